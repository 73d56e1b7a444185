/**
 * QuotaLedger: the exact count of one provider's calls. Each provider has one Durable Object. Only its entry methods change the count.
 * Each runs as one synchronous transaction, so nothing can come between a check and its write. Answers leave only after the writes are
 * durable. An empty store decides nothing: it answers `empty` until `initialise` gives it a count to start from.
 */
import { DurableObject } from "cloudflare:workers";
import { configOf } from "../env.ts";
import { errorFields, log } from "../lib/log.ts";
import { HOUR_MS, dayOf, earliest } from "../lib/time.ts";
import { adoptSwitch, applyMirror, changeSettings, resetDay, setUsage } from "./operator.ts";
import { validRequest } from "./protocol.ts";
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
import { callerToday, history, historyOf, overview, reservationView, settingsView, status } from "./views.ts";
import type { History, HistoryPart, ReservationView, SettingsView } from "./views.ts";

/** The store holds no count yet, not even 0. */
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
    const provider = ctx.id.name;
    // Without it, the snapshot would get a wrong key in KV.
    if (provider === undefined) throw new Error("A ledger is named after its provider");
    this.#store = new LedgerStore(ctx.storage.sql, provider, configOf(env).quota);
    this.#publisher = new LedgerPublisher(new QuotaKv(env.QUOTA_KV, provider), this.#store);
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAt = await ctx.storage.getAlarm();
    });
  }

  /** Grants permission to send one request, or refuses with a reason. `refusals`: refusals from the calling instance's memory. */
  async reserve(
    request: ReserveRequest,
    view: EnforcementSwitch | null,
    refusals: UnreportedRefusals | null = null,
  ): Promise<ReserveAnswer | EmptyLedger> {
    return this.#change((now) => {
      adoptSwitch(this.#store, view, now);
      if (refusals) this.#store.countRefusals("refusals", "daily", refusals.date, refusals.refusals);
      return reserve(this.#store, validRequest("reserve", request), now);
    });
  }

  /** Charges the actual cost. A repeated commit gets the same answer. */
  async commit(request: CommitRequest): Promise<CommitAnswer | EmptyLedger> {
    return this.#change((now) => commit(this.#store, validRequest("commit", request), now));
  }

  /** Returns calls that were definitely not sent. */
  async release(id: string): Promise<ReleaseAnswer | EmptyLedger> {
    return this.#change((now) => release(this.#store, id, now));
  }

  /** Releases a reservation whose answer never arrived. If its request arrives later, it is not granted. */
  async abandon(id: string): Promise<{ abandoned: true } | EmptyLedger> {
    return this.#change((now) => {
      abandon(this.#store, id, now);
      return { abandoned: true };
    });
  }

  /** Charges calls made without a reservation, once per id. */
  async add(id: string, caller: string, calls: number): Promise<CommitAnswer | EmptyLedger> {
    return this.#change((now) => add(this.#store, id, caller, validRequest("add", { id, caller, calls }).calls, now));
  }

  /** Calls that a reservation would be granted now, with other reservations counted. Reserves nothing. */
  async check(request: Omit<ReserveRequest, "id">): Promise<CheckAnswer | EmptyLedger> {
    return this.#read((now) => check(this.#store, validRequest("check", request), now));
  }

  async status(view: StatusView = "by_project"): Promise<QuotaStatus | EmptyLedger> {
    return this.#read((now) => status(this.#store, now, view));
  }

  /** Today, and the totals of the latest `days` UTC days. */
  async overview(days: number, view: StatusView): Promise<QuotaOverview | EmptyLedger> {
    return this.#read((now) => overview(this.#store, days, now, view));
  }

  /** The settings in force and the configured ones. */
  async settings(): Promise<SettingsView | EmptyLedger> {
    return this.#read((now) => settingsView(this.#store, now));
  }

  /** A reservation of the last two days, null if there is none with this id. */
  async reservation(id: string): Promise<ReservationView | EmptyLedger> {
    return this.#read((now) => reservationView(this.#store, id, now));
  }

  /** Charged and reserved calls of one caller today. */
  async callerUse(caller: string): Promise<CallerToday | EmptyLedger> {
    return this.#read((now) => callerToday(this.#store, caller, now));
  }

  /** The latest `days` UTC days, newest first, without days on which nothing happened. With a caller: only its own days. */
  async history(days: number, caller: string | null = null, part?: HistoryPart): Promise<History | EmptyLedger> {
    return this.#read((now) => {
      const answer = caller === null ? history(this.#store, days, now, part) : historyOf(this.#store, caller, days, now, part);
      return { ...answer, status: status(this.#store, now) };
    });
  }

  /** Applies the provider's count, read with a free request (`GET /key`). */
  async observe(report: ProviderReport): Promise<QuotaStatus | EmptyLedger> {
    return this.#change((now) => {
      observe(this.#store, report, now);
      countUntracked(this.#store, now);
      return status(this.#store, now);
    });
  }

  /** Sets today's count. `report`: the provider's fresh count, which becomes the base of later comparisons. */
  async setUsage(used: number, operation: Operation, report: ProviderReport | null): Promise<QuotaStatus | EmptyLedger> {
    return this.#change((now) => {
      setUsage(this.#store, used, validRequest("setUsage", { operation, used }).operation, report, now);
      return status(this.#store, now);
    });
  }

  /** Sets today's count to 0. Open reservations stay reserved. */
  async reset(operation: Operation, report: ProviderReport | null): Promise<QuotaStatus | EmptyLedger> {
    return this.#change((now) => {
      resetDay(this.#store, validRequest("reset", { operation }).operation, report, now);
      return status(this.#store, now);
    });
  }

  /** Changes settings. `null` restores the configured values. */
  async changeSettings(
    change: SettingsChange | null,
    operation: Operation,
    view: EnforcementSwitch | null,
  ): Promise<SettingsAnswer | EmptyLedger> {
    return this.#change((now) => {
      validRequest("changeSettings", { operation, change });
      // The calling instance read its switch before this change.
      adoptSwitch(this.#store, view, now);
      return changeSettings(this.#store, change, operation, now);
    });
  }

  /** Creates today's row. True the first time in a day. Decisions do not need it: it only makes the new day visible. */
  async rollOver(): Promise<{ date: string; rolledOver: boolean } | EmptyLedger> {
    return this.#change((now) => ({ date: dayOf(now), rolledOver: this.#store.openDay(dayOf(now)) }));
  }

  /** Gives an empty store its first count. Does nothing if a count exists. */
  async initialise(evidence: RecoveryEvidence): Promise<void> {
    const now = Date.now();
    if (this.#store.state.value.initialisedAt !== null) return;
    this.#transact(() => recover(this.#store, evidence, now));
    this.#schedule(now);
  }

  /** Expires reservations, publishes, deletes old rows. The platform runs it at least once. A second run changes nothing. */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    const now = Date.now();
    if (this.#store.state.value.initialisedAt === null) return;
    // First, because all other writes fail in a full store.
    if (now - this.#purgedAt > HOUR_MS) {
      this.#transact(() => this.#store.purge(now));
      this.#purgedAt = now;
    }
    const expires = (this.#store.nextExpiry() ?? Infinity) <= now;
    this.#transact(() => expire(this.#store, now));
    if (expires) this.#publisher.changed();
    const stored = await this.#publisher.publish(now);
    const { settingsRevision } = this.#store.state.value;
    this.#transact(() => applyMirror(this.#store, stored, now));
    if (this.#store.state.value.settingsRevision !== settingsRevision) this.#publisher.changed();
    this.#schedule(now);
  }

  /** Runs a change. Expired reservations are charged first, so that the decision sees the exact count at `now`. */
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

  /** Runs a query. It becomes a change, which is published, only if something must be counted first. */
  #read<Answer>(query: (now: number) => Answer): Answer | EmptyLedger {
    const now = Date.now();
    const initialized = this.#store.state.value.initialisedAt !== null;
    const mustCount = initialized && ((this.#store.nextExpiry() ?? Infinity) <= now || newlyUntracked(this.#store, now) > 0);
    if (!initialized || mustCount) return this.#change(query);
    this.#publisher.wasRead(now);
    this.#schedule(now);
    return query(now);
  }

  /** An exception rolls back all statements of the entry, and the values kept in memory. */
  #transact<Answer>(work: () => Answer): Answer {
    try {
      return this.ctx.storage.transactionSync(work);
    } catch (error) {
      this.#store.reload();
      throw error;
    }
  }

  /** Sets one alarm for all later work. An alarm only ever moves to an earlier time. */
  #schedule(now: number): void {
    const at = earliest(this.#store.nextExpiry(), this.#publisher.dueAt(now));
    if (at === null || (this.#alarmAt !== null && this.#alarmAt <= at)) return;
    this.#alarmAt = at;
    const failed = (error: unknown): void => {
      this.#alarmAt = null;
      log.error("Ledger alarm not set, the next request retries", errorFields(error));
    };
    this.ctx.waitUntil(this.ctx.storage.setAlarm(at).catch(failed));
  }
}
