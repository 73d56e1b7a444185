/**
 * QuotaLedger: the exact count of one provider's calls. One Durable Object a provider; its entry methods are the only way in.
 * Each runs as one synchronous transaction, so a check and its write cannot be interleaved, and answers leave only when the
 * writes are durable. An empty store decides nothing: it answers `empty` until `initialise` told it where to start from.
 */
import { DurableObject } from "cloudflare:workers";
import { configOf } from "../env.ts";
import { errorFields, log } from "../lib/log.ts";
import { LedgerAdmission } from "./ledger-admission.ts";
import { LedgerBook } from "./ledger-book.ts";
import { LedgerCallers } from "./ledger-callers.ts";
import { OperatorBook } from "./ledger-operator.ts";
import type { Operation } from "./ledger-operator.ts";
import { LedgerPace } from "./ledger-pace.ts";
import { ProviderBook } from "./ledger-provider.ts";
import { LedgerReader } from "./ledger-reader.ts";
import type { History } from "./ledger-reader.ts";
import { LedgerPublisher } from "./ledger-publisher.ts";
import { recover } from "./ledger-recovery.ts";
import type { RecoveryEvidence } from "./ledger-recovery.ts";
import { readable } from "./ledger-requests.ts";
import { migrate } from "./ledger-schema.ts";
import { LedgerState } from "./ledger-state.ts";
import { LedgerStore } from "./ledger-store.ts";
import { LedgerTallies } from "./ledger-tallies.ts";
import type { RefusedHere } from "./refusal-memory.ts";
import { QuotaKv } from "./snapshot.ts";
import type { SettingsMirror } from "./snapshot.ts";
import type {
  CallerToday,
  CheckAnswer,
  CommitAnswer,
  CommitRequest,
  EnforcementSwitch,
  ProviderReport,
  QuotaOverview,
  QuotaStatus,
  ReleaseAnswer,
  ReserveAnswer,
  ReserveRequest,
  Settings,
  SettingsChange,
  StatusView,
} from "./types.ts";
import { HOUR_MS, earliest, dayOf } from "../lib/time.ts";

/** The store holds nothing yet, not even a zero. */
export interface EmptyLedger {
  readonly empty: true;
}

export type SettingsAnswer =
  | { readonly result: "changed"; readonly mirror: SettingsMirror; readonly settings: Settings; readonly status: QuotaStatus }
  | { readonly result: "impossible"; readonly detail: string };

/** Of no project by name: for answers that are about the day. */
const SUMMED = { own: null };

interface LedgerBindings {
  readonly QUOTA_KV: KVNamespace;
}

export class QuotaLedger extends DurableObject<LedgerBindings> {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;
  readonly #tallies: LedgerTallies;
  readonly #provider: ProviderBook;
  readonly #admission: LedgerAdmission;
  readonly #book: LedgerBook;
  readonly #operator: OperatorBook;
  readonly #reader: LedgerReader;
  readonly #publisher: LedgerPublisher;
  #alarmAt: number | null = null;
  #purgedAt = 0;

  constructor(ctx: DurableObjectState, env: LedgerBindings) {
    super(ctx, env);
    migrate(ctx.storage);
    const name = ctx.id.name ?? "unknown";
    this.#store = new LedgerStore(ctx.storage.sql);
    this.#state = new LedgerState(this.#store, configOf(env).quota);
    const callers = new LedgerCallers(ctx.storage.sql, this.#store);
    this.#tallies = new LedgerTallies(ctx.storage.sql, this.#store);
    const pace = new LedgerPace(this.#store, this.#state);
    this.#provider = new ProviderBook(this.#store, this.#state, pace);
    this.#admission = new LedgerAdmission(this.#store, this.#state, callers);
    this.#book = new LedgerBook(this.#store, this.#state, this.#tallies, this.#provider, this.#admission, pace);
    this.#operator = new OperatorBook(this.#store, this.#state, callers, pace);
    this.#reader = new LedgerReader(this.#store, this.#state, callers, this.#tallies, name);
    this.#publisher = new LedgerPublisher(new QuotaKv(env.QUOTA_KV, name), this.#state, this.#reader);
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAt = await ctx.storage.getAlarm();
    });
  }

  /** One permission to send one request, or the reason why not. `refusedHere`: what the asking instance refused by itself since it asked last. */
  async reserve(
    request: ReserveRequest,
    view: EnforcementSwitch | null,
    refusedHere: RefusedHere | null = null,
  ): Promise<ReserveAnswer | EmptyLedger> {
    return this.#change((now) => {
      this.#operator.adopt(view, now);
      if (refusedHere) this.#tallies.refused("refusals", "daily", refusedHere.date, refusedHere.refusals);
      const outcome = this.#book.reserve(readable("reserve", request), now);
      if (outcome.result === "conflict" || outcome.result === "impossible") return outcome;
      return { ...outcome, status: this.#reader.status(now, { own: request.caller }) };
    });
  }

  /** Charges what was really spent. Twice answers the same. */
  async commit(request: CommitRequest): Promise<CommitAnswer | EmptyLedger> {
    return this.#change((now) => {
      const outcome = this.#book.commit(readable("commit", request), now);
      return outcome.result === "committed" ? { ...outcome, status: this.#statusFor(request.id, now) } : outcome;
    });
  }

  /** Gives back what was surely not sent. */
  async release(id: string): Promise<ReleaseAnswer | EmptyLedger> {
    return this.#change((now) => {
      const outcome = this.#book.release(id, now);
      return outcome.result === "released" ? { ...outcome, status: this.#statusFor(id, now) } : outcome;
    });
  }

  /** For a request whose answer never arrived: whatever became of it, nothing stays reserved, and nothing will be. */
  async abandon(id: string): Promise<{ abandoned: true } | EmptyLedger> {
    return this.#change((now) => {
      this.#book.abandon(id, now);
      return { abandoned: true };
    });
  }

  /** Charges calls made without a reservation, once an id. */
  async add(id: string, caller: string, calls: number): Promise<CommitAnswer | EmptyLedger> {
    return this.#change((now) => {
      const outcome = this.#book.add(id, caller, readable("add", { id, caller, calls }).calls, now);
      return outcome.result === "committed" ? { ...outcome, status: this.#reader.status(now, { own: caller }) } : outcome;
    });
  }

  /** What a reservation would be granted now; it sees what others hold, and takes nothing. */
  async check(request: Omit<ReserveRequest, "id">): Promise<CheckAnswer | EmptyLedger> {
    return this.#read((now) => {
      const checked = this.#admission.check(readable("check", request), now);
      return { ...checked, allowed: checked.refusal === null, status: this.#reader.status(now, { own: request.caller }) };
    });
  }

  async status(view: StatusView = "by_project"): Promise<QuotaStatus | EmptyLedger> {
    return this.#read((now) => this.#reader.status(now, view));
  }

  /** Today, and the totals of the latest `days` UTC days. */
  async overview(days: number, view: StatusView): Promise<QuotaOverview | EmptyLedger> {
    return this.#read((now) => this.#reader.overview(days, now, view));
  }

  /** What one caller has spent today, and holds. */
  async callerUse(caller: string): Promise<CallerToday | EmptyLedger> {
    return this.#read((now) => this.#admission.callerToday(caller, now));
  }

  /**
   * The latest `days` UTC days, the newest first; days on which nothing happened are left out. With a caller, only what it spent, and
   * no operations.
   */
  async history(days: number, caller: string | null = null): Promise<History | EmptyLedger> {
    return this.#read((now) => {
      const shown = caller === null ? this.#reader.history(days, now) : this.#reader.historyOf(caller, days, now);
      return { ...shown, status: this.#reader.status(now, SUMMED) };
    });
  }

  /** Takes in the provider's count from a free look (`GET /key`). */
  async observe(report: ProviderReport): Promise<QuotaStatus | EmptyLedger> {
    return this.#change((now) => {
      this.#provider.observe(report, this.#store.reserved(), now);
      return this.#reader.status(now, SUMMED);
    });
  }

  /** Sets today's count. `report`: the provider's own, fresh, so that what it has counted becomes the base. */
  async setUsage(used: number, operation: Operation, report: ProviderReport | null): Promise<QuotaStatus | EmptyLedger> {
    return this.#change((now) => {
      this.#provider.observe(report, this.#store.reserved(), now);
      this.#operator.setUsage(used, readable("setUsage", { operation, used }).operation, now);
      return this.#reader.status(now, SUMMED);
    });
  }

  /** Sets today's count to 0; open reservations stay held. */
  async reset(operation: Operation, report: ProviderReport | null): Promise<QuotaStatus | EmptyLedger> {
    return this.#change((now) => {
      this.#provider.observe(report, this.#store.reserved(), now);
      this.#operator.reset(readable("reset", { operation }).operation, now);
      return this.#reader.status(now, SUMMED);
    });
  }

  /** Changes settings; `null` returns to the configured values. */
  async changeSettings(
    change: SettingsChange | null,
    operation: Operation,
    view: EnforcementSwitch | null,
  ): Promise<SettingsAnswer | EmptyLedger> {
    return this.#change((now) => {
      // Whatever was known where the operator speaks is older than what the operator says now.
      this.#operator.adopt(readable("changeSettings", { operation, change, view }).view, now);
      const outcome =
        change === null ? this.#operator.restoreSettings(operation, now) : this.#operator.changeSettings(change, operation, now);
      if (outcome.result === "impossible") return outcome;
      return { ...outcome, mirror: this.#reader.mirror(), status: this.#reader.status(now, SUMMED) };
    });
  }

  /** Begins today's row. True the first time in a day. The window needs no such call: this only makes the rollover visible. */
  async rollOver(): Promise<{ date: string; rolledOver: boolean } | EmptyLedger> {
    return this.#change((now) => ({ date: dayOf(now), rolledOver: this.#store.openDay(dayOf(now)) }));
  }

  /**
   * Gives an empty store its beginning: the published snapshot, settings included, then the provider's own count on top. What was
   * reserved when the snapshot was published may have been sent, and counts as spent. Does nothing where a count exists.
   */
  async initialise(evidence: RecoveryEvidence): Promise<void> {
    const now = Date.now();
    if (this.#state.value.initialisedAt !== null) return;
    this.#transact(() => recover(evidence, { store: this.#store, state: this.#state, provider: this.#provider }, now));
    this.#schedule(now);
  }

  /** Expires holds, publishes, tidies up. Runs at least once; running twice changes nothing. */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    const now = Date.now();
    if (this.#state.value.initialisedAt === null) return;
    this.#transact(() => this.#book.expire(now));
    await this.#publisher.publish(now);
    this.#transact(() => this.#operator.follow(this.#publisher.seen, now));
    if (now - this.#purgedAt > HOUR_MS) {
      this.#purgedAt = now;
      this.#transact(() => this.#store.purge(now));
    }
    this.#schedule(now);
  }

  /** What the holder of a reservation sees: its own line stands apart. */
  #statusFor(id: string, now: number): QuotaStatus {
    return this.#reader.status(now, { own: this.#store.callerOf(id) });
  }

  /** Every entry: holds whose life is over are charged first, so that each decision sees the truth of `now`. */
  #change<Answer>(decide: (now: number) => Answer): Answer | EmptyLedger {
    if (this.#state.value.initialisedAt === null) return { empty: true };
    const now = Date.now();
    const answer = this.#transact(() => {
      this.#book.expire(now);
      return decide(now);
    });
    this.#publisher.changed();
    this.#schedule(now);
    return answer;
  }

  /** Like a change, but the snapshot only falls behind where a hold's life was over. */
  #read<Answer>(look: (now: number) => Answer): Answer | EmptyLedger {
    const expiry = this.#store.nextExpiry();
    const now = Date.now();
    if (this.#state.value.initialisedAt === null || (expiry !== null && expiry <= now)) return this.#change(look);
    this.#publisher.lookedAt(now);
    this.#schedule(now);
    return look(now);
  }

  /** A throw undoes the statements of the whole entry, and what was remembered of them. */
  #transact<Answer>(work: () => Answer): Answer {
    try {
      return this.ctx.storage.transactionSync(work);
    } catch (error) {
      this.#state.reload();
      this.#store.forget();
      throw error;
    }
  }

  /** One alarm serves all that is due later; it is only ever moved to an earlier time. */
  #schedule(now: number): void {
    const at = earliest(this.#store.nextExpiry(), this.#publisher.dueAt(now));
    if (at === null || (this.#alarmAt !== null && this.#alarmAt <= at)) return;
    this.#alarmAt = at;
    const forgotten = (error: unknown): void => {
      this.#alarmAt = null;
      log.error("The ledger's alarm could not be set; the next request sets it", errorFields(error));
    };
    this.ctx.waitUntil(this.ctx.storage.setAlarm(at).catch(forgotten));
  }
}
