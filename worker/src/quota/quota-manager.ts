/**
 * QuotaManager: what everybody who wants to call the provider uses. `withQuota` wraps one provider call: reserve, wait for its
 * turn, run, settle by outcome, always. Refusals are data; a ledger that does not answer throws `quota_unavailable`.
 */
import { waitUntil } from "cloudflare:workers";
import type { Enforcement } from "../env.ts";
import { Problem } from "../errors.ts";
import { errorFields, log } from "../lib/log.ts";
import { LedgerClient } from "./ledger-client.ts";
import type { ReadProviderCount } from "./ledger-client.ts";
import type { QuotaLedger } from "./ledger.ts";
import { INTERACTIVE_PACE_AHEAD_MS, paceAheadMs } from "./pace.ts";
import type { EnforcementSwitchReader, QuotaKv } from "./snapshot.ts";
import type { RefusalMemory } from "./refusal-memory.ts";
import { publishedStatus } from "./published-status.ts";
import { UNWATCHED } from "./watch.ts";
import type { Settled, Turn, Watch } from "./watch.ts";
import { dayOf } from "../lib/time.ts";
import type {
  CallerToday,
  CheckAnswer,
  CommitAnswer,
  CommitRequest,
  Cost,
  ProviderCount,
  QuotaOverview,
  QuotaStatus,
  Refusal,
  ReleaseAnswer,
  Reservation,
  ReserveAnswer,
  ReserveRequest,
  Settlement,
  Spender,
  StatusView,
} from "./types.ts";

/** Who spends what on one provider request. */
export interface Spending extends Spender {
  readonly cost: Cost;
}

/** Permission to send one request, until `deadline` by the caller's clock. */
export interface Grant {
  readonly id: string;
  readonly deadline: number;
  /** Tells how the request ended as soon as that is known: the charge then overlaps with what else is to do. Later calls are ignored. */
  readonly settle: (settlement: Settlement) => void;
}

export type WithQuota<Result> =
  | { readonly result: "done"; readonly value: Result; readonly charged: number; readonly status: QuotaStatus | null }
  | { readonly result: "refused"; readonly refusal: Refusal; readonly status: QuotaStatus };

interface QuotaManagerOptions {
  readonly namespace: DurableObjectNamespace<QuotaLedger>;
  readonly provider: string;
  readonly kv: QuotaKv;
  readonly enforcementSwitch: EnforcementSwitchReader;
  readonly configuredEnforcement: Enforcement;
  readonly refusals: RefusalMemory;
  readonly readProviderCount: ReadProviderCount;
  /** Epoch milliseconds. */
  readonly clock: () => number;
}

const MAX_POLL_MS = 1_000;

/** Only a probe asks for the provider's count. */
const NOT_ASKED: ProviderCount = { kind: "failed" };

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class QuotaManager {
  readonly #options: QuotaManagerOptions;
  readonly #ledger: LedgerClient;

  constructor(options: QuotaManagerOptions) {
    this.#options = options;
    this.#ledger = new LedgerClient(options);
  }

  /** What could be granted now; a check sees what others hold. */
  async checkQuota(calls: number, who: Partial<Spender> = {}): Promise<CheckAnswer> {
    return this.check({ cost: { calls }, caller: "check", priority: "interactive", ...who });
  }

  async check(spending: Spending): Promise<CheckAnswer> {
    return this.#ledger.call((ledger) => ledger.check(spending));
  }

  /**
   * `newId`: nobody has used the id before, so that no earlier answer has to be found. Then a day that is over may be answered from what
   * this instance remembers of it, for a second.
   */
  async reserve(request: ReserveRequest, { newId = false } = {}): Promise<ReserveAnswer> {
    const { refusals, clock, enforcementSwitch } = this.#options;
    const asked = { askedAt: clock(), changes: refusals.changes };
    const remembered = newId ? refusals.answerTo(request, asked.askedAt) : null;
    if (remembered) return remembered;
    const refusedHere = refusals.takeUntold();
    if (refusedHere) log.info("Refused from memory", { ...refusedHere });
    const answer = await this.#ledger.call((ledger) => ledger.reserve(request, enforcementSwitch.known, refusedHere));
    refusals.note(request, answer, asked);
    return answer;
  }

  async commit(request: CommitRequest): Promise<CommitAnswer> {
    return this.#ledger.call((ledger) => ledger.commit(request));
  }

  async release(id: string): Promise<ReleaseAnswer> {
    return this.#ledger.call((ledger) => ledger.release(id));
  }

  /** Charges calls that were made without a reservation. The id makes it happen once. */
  async incrementUsage(calls: number, id: string, caller = "direct"): Promise<CommitAnswer> {
    return this.#ledger.call((ledger) => ledger.add(id, caller, calls));
  }

  /** What one caller has spent today, and holds. */
  async callerUse(caller: string): Promise<CallerToday> {
    return this.#ledger.call((ledger) => ledger.callerUse(caller));
  }

  /** The ledger's status, or its last published snapshot with its age. Throws `quota_unavailable` when there is neither. */
  async getStatus({ fresh = true, view = "by_project" }: { fresh?: boolean; view?: StatusView } = {}): Promise<QuotaStatus> {
    if (!fresh) {
      const published = await this.#published(view);
      // Yesterday's state says nothing of today.
      if (published?.date === dayOf(this.#options.clock())) return published;
    }
    try {
      return await this.#ledger.call((ledger) => ledger.status(view));
    } catch (error) {
      return this.#statusWithoutLedger(view, error);
    }
  }

  /** Today and the latest `days` UTC days; while the ledger is away, what its snapshot says. Throws `quota_unavailable` without either. */
  async getOverview(days: number, view: StatusView): Promise<QuotaOverview> {
    try {
      return await this.#ledger.call((ledger) => ledger.overview(days, view));
    } catch (error) {
      return { status: await this.#statusWithoutLedger(view, error), ledger: null };
    }
  }

  async #statusWithoutLedger(view: StatusView, failure: unknown): Promise<QuotaStatus> {
    const published = await this.#published(view);
    if (!published) throw failure;
    const enforcement = await this.#enforcementWithoutLedger();
    return { ...published, enforcement, can_make_calls: enforcement === "off" };
  }

  async #published(view: StatusView): Promise<QuotaStatus | null> {
    try {
      const snapshot = await this.#options.kv.snapshot();
      const status = snapshot && publishedStatus(snapshot, view);
      if (!status) return null;
      const age = Math.max(0, Math.floor((this.#options.clock() - Date.parse(status.as_of)) / 1_000));
      return { ...status, source: "snapshot", age_seconds: age };
    } catch (error) {
      log.warn("KV did not give the snapshot", errorFields(error));
      return null;
    }
  }

  /** The window is the UTC day of every request, so nothing needs resetting; this makes a new day visible before its first call. */
  async resetIfNeeded(): Promise<{ date: string; rolledOver: boolean }> {
    return this.#ledger.call((ledger) => ledger.rollOver());
  }

  async #enforcementWithoutLedger(): Promise<Enforcement> {
    const chosen = await this.#options.enforcementSwitch.current(this.#options.clock());
    return chosen ?? this.#options.configuredEnforcement;
  }

  /**
   * One provider call, paid exactly: reserves, waits for its turn, runs `send`, and settles by the outcome that `send` reported,
   * or as fully spent where it reported none. A refusal is an answer; nothing was sent then. `watch` sees what is asked for it.
   */
  async withQuota<Result>(
    spending: Spending,
    send: (grant: Grant) => Promise<Result>,
    watch: Watch = UNWATCHED,
  ): Promise<WithQuota<Result>> {
    const id = crypto.randomUUID();
    let turn: Turn;
    try {
      turn = await watch.reserve(async () => this.#reserveInTurn({ id, ...spending }));
    } catch (error) {
      if (error instanceof Problem && error.code !== "quota_unavailable") throw error;
      if ((await this.#enforcementWithoutLedger()) === "off") return this.#uncounted(id, spending, send);
      // Perhaps it was granted, and only the answer was lost: it was not sent, and must not be held.
      waitUntil(this.#abandon(id));
      throw error;
    }
    const { answer, askedAt } = turn;
    if (answer.result === "refused") return answer;
    const { reservation, status } = answer;
    // Counted from before the question, so that an answer that took its time cannot lengthen the life.
    const deadline = askedAt + (reservation.expiresAt - reservation.decidedAt);

    const count = async (): Promise<ProviderCount> => watch.count(this.#options.readProviderCount);
    const before = reservation.probe ? await count() : NOT_ASKED;
    const wait = reservation.startAt - reservation.decidedAt;
    if (wait > 0) await sleep(wait);

    const settling = new Settling(async (settlement) => watch.settle(async () => this.#settle(reservation, settlement, { before, count })));
    try {
      const value = await send({ id, deadline, settle: (settlement) => settling.settle(settlement) });
      const settled = await settling.result(this.#ambiguous());
      return { result: "done", value, charged: settled.charged, status: settled.status ?? status };
    } catch (error) {
      await settling.result(this.#ambiguous());
      throw error;
    }
  }

  /** Asks again while another batch is finding out the price, as long as a caller of this priority waits for the pace. */
  async #reserveInTurn(request: ReserveRequest): Promise<Turn> {
    const giveUpAt = this.#options.clock() + paceAheadMs(request.priority);
    for (let poll = 0; ; poll += 1) {
      const askedAt = this.#options.clock();
      const answer = await this.reserve(request, { newId: poll === 0 });
      if (answer.result === "conflict") throw new Error(answer.detail);
      if (answer.result === "impossible") throw new Problem("unprocessable", `${answer.detail}.`);
      const waitsForPrice = answer.result === "refused" && answer.refusal.refusedBy === "price";
      if (!waitsForPrice || askedAt >= giveUpAt) return { answer, askedAt };
      // Growing and uneven, so that many who wait do not ask all at once.
      await sleep(Math.min(MAX_POLL_MS, answer.refusal.waitMs * 1.5 ** poll) * (0.5 + Math.random()));
    }
  }

  /** Whatever happens to the ledger now, a hold that was sent is charged: by this commit, or by its expiry. */
  async #settle(
    reservation: Reservation,
    settlement: Settlement,
    { before, count }: { readonly before: ProviderCount; readonly count: () => Promise<ProviderCount> },
  ): Promise<Settled> {
    try {
      if (settlement.sent === "no") {
        const answer = await this.release(reservation.id);
        return answer.result === "released" ? { charged: 0, status: answer.status } : { charged: reservation.calls, status: null };
      }
      // A probe is judged by two counts that were asked for: a header may lag behind, and asking is free.
      const counts = reservation.probe ? { before, after: await count() } : null;
      const answer = await this.commit({ id: reservation.id, settlement, ...(counts ? { counts } : {}) });
      if (answer.result === "committed") return answer;
      // The ledger lost its store in between: what was sent must not be lost with it.
      const added = await this.incrementUsage(reservation.calls, reservation.id, "recovered");
      return { charged: reservation.calls, status: added.result === "committed" ? added.status : null };
    } catch (error) {
      log.error("A provider call could not be settled; its hold is charged when it expires", { id: reservation.id, ...errorFields(error) });
      return { charged: reservation.calls, status: null };
    }
  }

  async #abandon(id: string): Promise<void> {
    try {
      await this.#ledger.call((ledger) => ledger.abandon(id));
    } catch {
      // The ledger is still away: if it granted anything, the hold is charged when it expires.
    }
  }

  #ambiguous(): Settlement {
    return { sent: "maybe", underWay: null, delivered: false, report: null, signal: "none", retryAfterSeconds: null };
  }

  /** Enforcement is off and the ledger is away: the call goes on, and the provider's own count will show it. */
  async #uncounted<Result>(id: string, { cost, caller }: Spending, send: (grant: Grant) => Promise<Result>): Promise<WithQuota<Result>> {
    log.warn("Enforcement is off and the ledger is away: a call goes uncounted", { caller, ...cost });
    const deadline = this.#options.clock() + INTERACTIVE_PACE_AHEAD_MS;
    const value = await send({ id, deadline, settle: () => undefined });
    return { result: "done", value, charged: "calls" in cost ? cost.calls : cost.batchOf, status: null };
  }
}

/** Settles once: with what was reported first, or with the given default. */
class Settling {
  readonly #run: (settlement: Settlement) => Promise<Settled>;
  #settled: Promise<Settled> | null = null;

  constructor(run: (settlement: Settlement) => Promise<Settled>) {
    this.#run = run;
  }

  settle(settlement: Settlement): void {
    this.#settled ??= this.#run(settlement);
  }

  result(otherwise: Settlement): Promise<Settled> {
    this.#settled ??= this.#run(otherwise);
    return this.#settled;
  }
}
