/**
 * QuotaManager: the interface for all code that calls the provider. `withQuota` wraps one provider call: it reserves, waits for the turn,
 * sends, and always settles by outcome. A refusal is a return value. If the ledger does not answer, methods throw `quota_unavailable`.
 */
import { waitUntil } from "cloudflare:workers";
import type { Enforcement } from "../env.ts";
import { Problem } from "../errors.ts";
import { errorFields, log } from "../lib/log.ts";
import { sleep } from "../lib/sleep.ts";
import { SECOND_MS, dayOf } from "../lib/time.ts";
import { LedgerClient } from "./client.ts";
import type { LedgerClientOptions } from "./client.ts";
import { INTERACTIVE_PACE_AHEAD_MS, paceAheadMs } from "./pace.ts";
import type { PublicAnswers } from "./public-answers.ts";
import type { RefusalMemory } from "./refusal-memory.ts";
import type { EnforcementSwitchReader } from "./snapshot.ts";
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
import { publishedStatus } from "./views.ts";
import { UNWATCHED } from "./watch.ts";
import type { Settled, Turn, Watch } from "./watch.ts";
import type { ReservationView } from "./views.ts";

/** One provider request: its caller and its cost. */
export interface Spending extends Spender {
  readonly cost: Cost;
}

/** Permission to send one request, until `deadline` by the caller's clock. */
export interface Grant {
  readonly id: string;
  readonly deadline: number;
  /** Reports the outcome as soon as it is known, so that the charge overlaps with other work. Later calls are ignored. */
  readonly settle: (settlement: Settlement) => void;
}

export type WithQuota<Result> =
  | { readonly result: "done"; readonly value: Result; readonly charged: number; readonly status: QuotaStatus | null }
  | { readonly result: "refused"; readonly refusal: Refusal; readonly status: QuotaStatus };

export interface QuotaManagerOptions extends LedgerClientOptions {
  readonly publicAnswers: PublicAnswers;
  readonly enforcementSwitch: EnforcementSwitchReader;
  readonly configuredEnforcement: Enforcement;
  readonly refusals: RefusalMemory;
}

const MAX_POLL_MS = 1_000;

/** The settlement if no outcome was reported: the request may have been sent, so it is charged. */
const AMBIGUOUS: Settlement = { sent: "maybe", underWay: null, delivered: false, report: null, signal: "none", retryAfterSeconds: null };

export class QuotaManager {
  readonly #options: QuotaManagerOptions;
  readonly #ledger: LedgerClient;

  constructor(options: QuotaManagerOptions) {
    this.#options = options;
    this.#ledger = new LedgerClient(options);
  }

  /** Calls that could be granted now. Other callers' reservations count as spent. */
  async checkQuota(calls: number, spender: Partial<Spender> = {}): Promise<CheckAnswer> {
    return this.check({ cost: { calls }, caller: "check", priority: "interactive", ...spender });
  }

  async check(spending: Spending): Promise<CheckAnswer> {
    return this.#ledger.call("check", spending);
  }

  /** `newId`: the id is new, so no earlier answer exists, and this instance may refuse from its memory. */
  async reserve(request: ReserveRequest, { newId = false } = {}): Promise<ReserveAnswer> {
    const { refusals, clock, enforcementSwitch } = this.#options;
    const [requestedAt, { changes }] = [clock(), refusals];
    const remembered = newId ? refusals.answerTo(request, requestedAt) : null;
    if (remembered) return remembered;
    const unreported = refusals.takeUnreported();
    if (unreported) log.info("Refused from memory", { ...unreported });
    const answer = await this.#ledger.call("reserve", request, enforcementSwitch.known, unreported);
    refusals.note(request, answer, requestedAt, changes);
    return answer;
  }

  async commit(request: CommitRequest): Promise<CommitAnswer> {
    return this.#ledger.call("commit", request);
  }

  /** A reservation of the last two days. */
  async reservation(id: string): Promise<ReservationView> {
    return this.#ledger.call("reservation", id);
  }

  async release(id: string): Promise<ReleaseAnswer> {
    return this.#ledger.call("release", id);
  }

  /** Charges calls that were made without a reservation, once per id. */
  async incrementUsage(calls: number, id: string, caller = "direct"): Promise<CommitAnswer> {
    return this.#ledger.call("add", id, caller, calls);
  }

  /** Charged and reserved calls of one caller today. */
  async callerUse(caller: string): Promise<CallerToday> {
    return this.#ledger.call("callerUse", caller);
  }

  /** The ledger's status, or its last published snapshot with its age. Throws `quota_unavailable` if neither is available. */
  async getStatus({ fresh = true, view = "by_project" }: { fresh?: boolean; view?: StatusView } = {}): Promise<QuotaStatus> {
    if (!fresh) {
      const published = await this.#published(view);
      // Yesterday's snapshot has no count of today.
      if (published?.date === dayOf(this.#options.clock())) return published;
    }
    try {
      return await this.#ledger.call("status", view);
    } catch (error) {
      return this.#statusWithoutLedger(view, error);
    }
  }

  /** The status without callers, at most a second old. Throws like `getStatus`. */
  async getPublicStatus(): Promise<QuotaStatus> {
    const { publicAnswers, clock } = this.#options;
    return publicAnswers.status.get(clock(), async () => this.getStatus({ view: { own: null } }));
  }

  /** The overview without callers, at most a second old. Throws like `getOverview`. */
  async getPublicOverview(days: number): Promise<QuotaOverview> {
    const { publicAnswers, clock } = this.#options;
    return publicAnswers.overview.get(clock(), async () => this.getOverview(days, { own: null }));
  }

  /** Today and the latest `days` UTC days. If the ledger is unavailable, only the snapshot's status. Throws `quota_unavailable` without a snapshot. */
  async getOverview(days: number, view: StatusView): Promise<QuotaOverview> {
    try {
      return await this.#ledger.call("overview", days, view);
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
      const age = Math.max(0, Math.floor((this.#options.clock() - Date.parse(status.as_of)) / SECOND_MS));
      return { ...status, source: "snapshot", age_seconds: age };
    } catch (error) {
      log.warn("Snapshot not read from KV", errorFields(error));
      return null;
    }
  }

  /** Makes a new day visible before its first call. The count needs no reset: each request's time gives its UTC day. */
  async resetIfNeeded(): Promise<{ date: string; rolledOver: boolean }> {
    return this.#ledger.call("rollOver");
  }

  async #enforcementWithoutLedger(): Promise<Enforcement> {
    const chosen = await this.#options.enforcementSwitch.current(this.#options.clock());
    return chosen ?? this.#options.configuredEnforcement;
  }

  /**
   * Wraps one provider call: reserves, waits for its turn, runs `send`, and settles by the outcome that `send` reported. Without a
   * reported outcome, all reserved calls are charged. After a refusal, nothing is sent.
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
      if ((await this.#enforcementWithoutLedger()) === "off") return this.#sendUncounted(id, spending, send);
      // The ledger may have granted it and only the answer was lost. It was not sent, so it must not stay reserved.
      waitUntil(this.abandon(id));
      throw error;
    }
    const { answer, requestedAt } = turn;
    if (answer.result === "refused") return answer;
    const { reservation, status } = answer;
    // Starts before the request to the ledger, so that a slow answer cannot extend the reservation.
    const deadline = requestedAt + (reservation.expiresAt - reservation.decidedAt);

    const turnAt = this.#options.clock() + (reservation.startAt - reservation.decidedAt);
    // A probe needs its own two counts: a header may lag behind, and reading the count is free. This runs during the wait for the turn.
    const before = reservation.probe ? await watch.count(this.#options.readProviderCount) : null;
    const wait = turnAt - this.#options.clock();
    if (wait > 0) await sleep(wait);

    let settled: Promise<Settled> | null = null;
    const settle = (settlement: Settlement): Promise<Settled> => {
      settled ??= watch.settle(async () => this.#settle(reservation, settlement, before, watch));
      return settled;
    };
    try {
      const value = await send({ id, deadline, settle: (settlement) => void settle(settlement) });
      const { charged, status: latest } = await settle(AMBIGUOUS);
      return { result: "done", value, charged, status: latest ?? status };
    } finally {
      await settle(AMBIGUOUS);
    }
  }

  /** Repeats the request while another batch reveals the price, up to this priority's longest wait for the pace. */
  async #reserveInTurn(request: ReserveRequest): Promise<Turn> {
    const giveUpAt = this.#options.clock() + paceAheadMs(request.priority);
    for (let poll = 0; ; poll += 1) {
      const requestedAt = this.#options.clock();
      const answer = await this.reserve(request, { newId: poll === 0 });
      if (answer.result === "conflict") throw new Error(answer.detail);
      if (answer.result === "impossible") throw new Problem("unprocessable", `${answer.detail}.`);
      const waitsForPrice = answer.result === "refused" && answer.refusal.refusedBy === "price";
      if (!waitsForPrice || requestedAt >= giveUpAt) return { answer, requestedAt };
      // Growing and random, so that many waiting callers do not retry at the same time.
      await sleep(Math.min(MAX_POLL_MS, answer.refusal.waitMs * 1.5 ** poll) * (0.5 + Math.random()));
    }
  }

  /** Commits or releases. If the ledger fails, the reservation's expiry charges it. */
  async #settle({ id, calls }: Reservation, settlement: Settlement, before: ProviderCount | null, watch: Watch): Promise<Settled> {
    const unsettled = { charged: calls, status: null };
    try {
      if (settlement.sent === "no") {
        const answer = await this.release(id);
        return answer.result === "released" ? { charged: 0, status: answer.status } : unsettled;
      }
      const counts = before && { before, after: await watch.count(this.#options.readProviderCount) };
      const answer = await this.commit({ id, settlement, ...(counts ? { counts } : {}) });
      if (answer.result === "committed") return answer;
      // The ledger lost its store since the reservation. Calls that were sent must still be counted.
      const added = await this.incrementUsage(calls, id, "recovered");
      return { charged: calls, status: added.result === "committed" ? added.status : null };
    } catch (error) {
      log.error("Provider call not settled: its reservation is charged when it expires", { id, ...errorFields(error) });
      return unsettled;
    }
  }

  /** Releases a reservation whose answer was lost, if there is one. Only for an id that no client knows. Never throws. */
  async abandon(id: string): Promise<void> {
    try {
      await this.#ledger.call("abandon", id);
    } catch {
      // The ledger is still unavailable. If it granted the reservation, its expiry charges it.
    }
  }

  /** Sends although the ledger is unavailable, because enforcement is off. The provider's own count will include the call. */
  async #sendUncounted<Result>(
    id: string,
    { cost, caller }: Spending,
    send: (grant: Grant) => Promise<Result>,
  ): Promise<WithQuota<Result>> {
    log.warn("Ledger unreachable, enforcement off: call allowed and not counted", { caller, ...cost });
    const deadline = this.#options.clock() + INTERACTIVE_PACE_AHEAD_MS;
    const value = await send({ id, deadline, settle: () => undefined });
    return { result: "done", value, charged: "calls" in cost ? cost.calls : cost.batchOf, status: null };
  }
}
