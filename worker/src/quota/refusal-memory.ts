/**
 * An instance's memory of a day that is over, for up to a second: a request for as much or more is refused without waking the ledger.
 * Only refusals that stay true until an operator changes the quota: `daily`, and spent, not merely reserved. No I/O. No clock.
 */
import { isProject } from "./types.ts";
import type { ReserveAnswer, ReserveRequest } from "./types.ts";
import { SECOND_MS, endOfDay, dayOf } from "../lib/time.ts";

type Refused = Extract<ReserveAnswer, { result: "refused" }>;

/** Refusals that were not reported to the ledger yet. */
export interface UnreportedRefusals {
  /** UTC day, YYYY-MM-DD. */
  readonly date: string;
  readonly refusals: number;
}

/** The contract's bound. */
const REMEMBERED_MS = SECOND_MS;

/**
 * Null for a project, whose refusal may have another reason (its share, its open reservations), and for a batch, whose price only the
 * ledger knows.
 */
function plainCalls({ cost, minCalls, caller, share }: ReserveRequest): number | null {
  const plain = "calls" in cost && (share ?? null) === null && !isProject(caller);
  return plain ? (minCalls ?? cost.calls) : null;
}

export class RefusalMemory {
  #last: { readonly answer: Refused; readonly requestedAt: number } | null = null;
  #changes = 0;
  #unreported: UnreportedRefusals | null = null;

  /** The number of changes of the quota: an answer to a request from before a change must not be remembered. */
  get changes(): number {
    return this.#changes;
  }

  /** An operator changed the quota here: the next request goes to the ledger. */
  forget(): void {
    this.#changes += 1;
    this.#last = null;
  }

  /** The answer to a request of a new id, null where the ledger is to be asked. */
  answerTo(request: ReserveRequest, now: number): Refused | null {
    if (this.#last === null) return null;
    const { answer, requestedAt } = this.#last;
    const calls = plainCalls(request);
    const fresh = now >= requestedAt && now - requestedAt < REMEMBERED_MS && dayOf(now) === answer.status.date;
    if (!fresh || calls === null || calls < answer.refusal.callsNeeded) return null;
    const before = this.#unreported?.date === answer.status.date ? this.#unreported.refusals : 0;
    this.#unreported = { date: answer.status.date, refusals: before + 1 };
    return {
      ...answer,
      refusal: {
        ...answer.refusal,
        callsNeeded: calls,
        waitMs: Math.max(SECOND_MS, endOfDay(now) - now),
        remembered: true,
        decidedAt: now,
      },
    };
  }

  /** `requestedAt`, `changes`: as they were when the request was sent. */
  note(request: ReserveRequest, answer: ReserveAnswer, requestedAt: number, changes: number): void {
    if (changes !== this.#changes || plainCalls(request) === null || answer.result !== "refused") return;
    if (answer.refusal.refusedBy === "daily" && !answer.refusal.held) this.#last = { answer, requestedAt };
  }

  /** To report to the ledger with the next request. An instance that ends before that loses them: a statistic, not a count. */
  takeUnreported(): UnreportedRefusals | null {
    const unreported = this.#unreported;
    this.#unreported = null;
    return unreported;
  }
}
