/**
 * An instance's memory of exhausted quota, for up to a second. A request for as many or more calls is refused without the ledger. It keeps
 * only refusals that stay true until an operator changes the quota: `daily`, with calls spent and not only reserved. No I/O. No clock.
 */
import { isProject } from "./types.ts";
import type { ReserveAnswer, ReserveRequest } from "./types.ts";
import { SECOND_MS, endOfDay, dayOf } from "../lib/time.ts";

type Refused = Extract<ReserveAnswer, { result: "refused" }>;

/** Refusals not yet reported to the ledger. */
export interface UnreportedRefusals {
  /** UTC day, YYYY-MM-DD. */
  readonly date: string;
  readonly refusals: number;
}

/** The longest time that the contract allows. */
const REMEMBERED_MS = SECOND_MS;

/**
 * The calls that the request needs. Null for a project: its refusal may have a different reason (its share, its open reservations). Null for
 * a batch too: only the ledger knows its price.
 */
function plainCalls({ cost, minCalls, caller, share }: ReserveRequest): number | null {
  const plain = "calls" in cost && (share ?? null) === null && !isProject(caller);
  return plain ? (minCalls ?? cost.calls) : null;
}

export class RefusalMemory {
  #last: { readonly answer: Refused; readonly requestedAt: number } | null = null;
  #changes = 0;
  #unreported: UnreportedRefusals | null = null;

  /** Number of quota changes. An answer to a request from before a change must not be remembered. */
  get changes(): number {
    return this.#changes;
  }

  /** Clears the memory after an operator's change in this instance. The next request goes to the ledger. */
  forget(): void {
    this.#changes += 1;
    this.#last = null;
  }

  /** The remembered refusal of a request with a new id, null if the ledger must decide. */
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

  /** Remembers the answer if it is a lasting refusal. `requestedAt`, `changes`: their values when the request was sent. */
  note(request: ReserveRequest, answer: ReserveAnswer, requestedAt: number, changes: number): void {
    if (changes !== this.#changes || plainCalls(request) === null || answer.result !== "refused") return;
    if (answer.refusal.refusedBy === "daily" && !answer.refusal.held) this.#last = { answer, requestedAt };
  }

  /** Refusals to report to the ledger with the next request. An instance that ends earlier loses them, which affects only statistics. */
  takeUnreported(): UnreportedRefusals | null {
    const unreported = this.#unreported;
    this.#unreported = null;
    return unreported;
  }
}
