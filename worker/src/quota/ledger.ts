/**
 * QuotaLedger: the exact count of one provider's calls. One Durable Object per provider; its entry methods are the only way in.
 * Each runs as one synchronous transaction, so a check and its write cannot be interleaved, and answers leave only when the
 * writes are durable. An empty store decides nothing: it answers `empty` until `initialise` gave it a count to start from.
 */
import { DurableObject } from "cloudflare:workers";
import { configOf } from "../env.ts";
import { errorFields, log } from "../lib/log.ts";
import { HOUR_MS, dayOf, earliest } from "../lib/time.ts";
import { adoptSwitch, changeSettings, followMirror, resetDay, setUsage } from "./operator.ts";
import { readableRequest } from "./protocol.ts";
import { countUntracked, newlyUntracked, observe } from "./provider-count.ts";
import { LedgerPublisher, recover } from "./publish.ts";
import type { RecoveryEvidence } from "./publish.ts";
import type { UnreportedRefusals } from "./refusal-memory.ts";
import { check, reserve } from "./reserve.ts";
import { migrate } from "./schema.ts";
import { abandon, add, commit, expire, release } from "./settle.ts";
import { QuotaKv } from "./snapshot.ts";
import { LedgerStore } from "./store.ts";
import type {
  CallerToday,
  CheckAnswer,
  CommitAnswer,
  CommitRequest,
  EnforcementSwitch,
  Operation,
  ProviderReport,
  QuotaOverview,
  QuotaStatus,
  ReleaseAnswer,
  ReserveAnswer,
  ReserveRequest,
  SettingsAnswer,
  SettingsChange,
  StatusView,
} from "./types.ts";
import { callerToday, history, historyOf, overview, status } from "./views.ts";
import type { History } from "./views.ts";

/** The store holds nothing yet, not even a zero. */
export interface EmptyLedger {
  readonly empty: true;
}

interface LedgerBindings {
  readonly QUOTA_KV: KVNamespace;
}

export class QuotaLedger extends DurableObject<LedgerBindings> {
  readonly #store: LedgerStore;
  readonly #publisher: LedgerPublisher;
  #alarmAt: number | null = null;
  #purgedAt = 0;

  constructor(ctx: DurableObjectState, env: LedgerBindings) {
    super(ctx, env);
    migrate(ctx.storage);
    const provider = ctx.id.name ?? "unknown";
    this.#store = new LedgerStore(ctx.storage.sql, provider, configOf(env).quota);
    this.#publisher = new LedgerPublisher(new QuotaKv(env.QUOTA_KV, provider), this.#store);
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAt = await ctx.storage.getAlarm();
    });
  }

  /** One permission to send one request, or the reason why not. `refusals`: what the asking instance refused by itself before. */
  async reserve(
    request: ReserveRequest,
    view: EnforcementSwitch | null,
    refusals: UnreportedRefusals | null = null,
  ): Promise<ReserveAnswer | EmptyLedger> {
    return this.#change((now) => {
      adoptSwitch(this.#store, view, now);
      if (refusals) this.#store.countRefusals("refusals", "daily", refusals.date, refusals.refusals);
      return reserve(this.#store, readableRequest("reserve", request), now);
    });
  }

  /** Charges what was really spent. Twice answers the same. */
  async commit(request: CommitRequest): Promise<CommitAnswer | EmptyLedger> {
    return this.#change((now) => commit(this.#store, readableRequest("commit", request), now));
  }

  /** Returns calls that were surely not sent. */
  async release(id: string): Promise<ReleaseAnswer | EmptyLedger> {
    return this.#change((now) => release(this.#store, id, now));
  }

  /** For a request whose answer never arrived: nothing stays reserved, and nothing will be. */
  async abandon(id: string): Promise<{ abandoned: true } | EmptyLedger> {
    return this.#change((now) => {
      abandon(this.#store, id, now);
      return { abandoned: true };
    });
  }

  /** Charges calls made without a reservation, once per id. */
  async add(id: string, caller: string, calls: number): Promise<CommitAnswer | EmptyLedger> {
    return this.#change((now) => add(this.#store, id, caller, readableRequest("add", { id, caller, calls }).calls, now));
  }

  /** What a reservation would be granted now; it sees what others reserved, and takes nothing. */
  async check(request: Omit<ReserveRequest, "id">): Promise<CheckAnswer | EmptyLedger> {
    return this.#read((now) => check(this.#store, readableRequest("check", request), now));
  }

  async status(view: StatusView = "by_project"): Promise<QuotaStatus | EmptyLedger> {
    return this.#read((now) => status(this.#store, now, view));
  }

  /** Today, and the totals of the latest `days` UTC days. */
  async overview(days: number, view: StatusView): Promise<QuotaOverview | EmptyLedger> {
    return this.#read((now) => overview(this.#store, days, now, view));
  }

  /** Charged and reserved calls of one caller today. */
  async callerUse(caller: string): Promise<CallerToday | EmptyLedger> {
    return this.#read((now) => callerToday(this.#store, caller, now));
  }

  /** The latest `days` UTC days, the newest first; days on which nothing happened are left out. With a caller, only its own days. */
  async history(days: number, caller: string | null = null): Promise<History | EmptyLedger> {
    return this.#read((now) => {
      const shown = caller === null ? history(this.#store, days, now) : historyOf(this.#store, caller, days, now);
      return { ...shown, status: status(this.#store, now) };
    });
  }

  /** Takes in the provider's count from a free look (`GET /key`). */
  async observe(report: ProviderReport): Promise<QuotaStatus | EmptyLedger> {
    return this.#change((now) => {
      observe(this.#store, report, now);
      countUntracked(this.#store, now);
      return status(this.#store, now);
    });
  }

  /** Sets today's count. `report`: the provider's own, fresh, so that what it has counted becomes the base. */
  async setUsage(used: number, operation: Operation, report: ProviderReport | null): Promise<QuotaStatus | EmptyLedger> {
    return this.#change((now) => {
      setUsage(this.#store, used, readableRequest("setUsage", { operation, used }).operation, report, now);
      return status(this.#store, now);
    });
  }

  /** Sets today's count to 0; open reservations stay reserved. */
  async reset(operation: Operation, report: ProviderReport | null): Promise<QuotaStatus | EmptyLedger> {
    return this.#change((now) => {
      resetDay(this.#store, readableRequest("reset", { operation }).operation, report, now);
      return status(this.#store, now);
    });
  }

  /** Changes settings; `null` returns to the configured values. */
  async changeSettings(
    change: SettingsChange | null,
    operation: Operation,
    view: EnforcementSwitch | null,
  ): Promise<SettingsAnswer | EmptyLedger> {
    return this.#change((now) => {
      readableRequest("changeSettings", { operation, change });
      // The switch that the asking instance knows is older than this change.
      adoptSwitch(this.#store, view, now);
      return changeSettings(this.#store, change, operation, now);
    });
  }

  /** Begins today's row. True the first time in a day. No decision needs it: this only makes the new day visible. */
  async rollOver(): Promise<{ date: string; rolledOver: boolean } | EmptyLedger> {
    return this.#change((now) => ({ date: dayOf(now), rolledOver: this.#store.openDay(dayOf(now)) }));
  }

  /** Gives an empty store its first count. Does nothing where a count exists. */
  async initialise(evidence: RecoveryEvidence): Promise<void> {
    const now = Date.now();
    if (this.#store.state.value.initialisedAt !== null) return;
    this.#transact(() => recover(this.#store, evidence, now));
    this.#schedule(now);
  }

  /** Expires reservations, publishes, deletes old rows. Runs at least once; running twice changes nothing. */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    const now = Date.now();
    if (this.#store.state.value.initialisedAt === null) return;
    this.#transact(() => expire(this.#store, now));
    const stored = await this.#publisher.publish(now);
    this.#transact(() => followMirror(this.#store, stored, now));
    if (now - this.#purgedAt > HOUR_MS) {
      this.#purgedAt = now;
      this.#transact(() => this.#store.purge(now));
    }
    this.#schedule(now);
  }

  /** Every entry: expired reservations are charged first, so that each decision sees the truth of `now`. */
  #change<Answer>(decide: (now: number) => Answer): Answer | EmptyLedger {
    if (this.#store.state.value.initialisedAt === null) return { empty: true };
    const now = Date.now();
    const answer = this.#transact(() => {
      expire(this.#store, now);
      return decide(now);
    });
    this.#publisher.changed();
    this.#schedule(now);
    return answer;
  }

  /** Like a change, but the snapshot only falls behind where something is to be counted first. */
  #read<Answer>(look: (now: number) => Answer): Answer | EmptyLedger {
    const now = Date.now();
    const begun = this.#store.state.value.initialisedAt !== null;
    const due = begun && ((this.#store.nextExpiry() ?? Infinity) <= now || newlyUntracked(this.#store, now) > 0);
    if (!begun || due) return this.#change(look);
    this.#publisher.lookedAt(now);
    this.#schedule(now);
    return look(now);
  }

  /** A throw undoes the statements of the whole entry, and what was remembered of them. */
  #transact<Answer>(work: () => Answer): Answer {
    try {
      return this.ctx.storage.transactionSync(work);
    } catch (error) {
      this.#store.reload();
      throw error;
    }
  }

  /** One alarm serves all that is due later; it is only ever moved to an earlier time. */
  #schedule(now: number): void {
    const at = earliest(this.#store.nextExpiry(), this.#publisher.dueAt(now));
    if (at === null || (this.#alarmAt !== null && this.#alarmAt <= at)) return;
    this.#alarmAt = at;
    const failed = (error: unknown): void => {
      this.#alarmAt = null;
      log.error("The ledger's alarm could not be set; the next request sets it", errorFields(error));
    };
    this.ctx.waitUntil(this.ctx.storage.setAlarm(at).catch(failed));
  }
}
