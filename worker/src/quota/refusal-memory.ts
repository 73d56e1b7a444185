/**
 * What an instance remembers of a day that is over, for up to a second: whoever asks for as much or more is refused without waking the
 * ledger. No I/O. No clock. Only what can't be true any more before somebody changes the quota: `daily`, and spent, not merely held.
 */
import { PROJECT_CALLER_PREFIX } from "./types.ts";
import type { ReserveAnswer, ReserveRequest } from "./types.ts";
import { SECOND_MS, endOfDay, dayOf } from "../lib/time.ts";

type Refused = Extract<ReserveAnswer, { result: "refused" }>;

/** Refusals that the ledger has not heard of yet. */
export interface RefusedHere {
  /** UTC day, YYYY-MM-DD. */
  readonly date: string;
  readonly refusals: number;
}

/** The contract's bound. */
const REMEMBERED_MS = SECOND_MS;

/**
 * A project may be told something else: that its share is spent, or that it holds too much. A batch's calls are the ledger's to say.
 */
function demanded({ cost, minCalls, caller, share }: ReserveRequest): number | null {
  const plain = "calls" in cost && (share ?? null) === null && !caller.startsWith(PROJECT_CALLER_PREFIX);
  return plain ? (minCalls ?? cost.calls) : null;
}

export class RefusalMemory {
  #last: { readonly answer: Refused; readonly askedAt: number } | null = null;
  #changes = 0;
  #untold: RefusedHere | null = null;

  /** Changes whenever what was asked before must not be remembered any more. */
  get changes(): number {
    return this.#changes;
  }

  /** An operator changed the quota here: the next question goes to the ledger. */
  forget(): void {
    this.#changes += 1;
    this.#last = null;
  }

  /** The answer to a request of a new id, null where the ledger is to be asked. */
  answerTo(request: ReserveRequest, now: number): Refused | null {
    if (this.#last === null) return null;
    const { answer, askedAt } = this.#last;
    const calls = demanded(request);
    const fresh = now >= askedAt && now - askedAt < REMEMBERED_MS && dayOf(now) === answer.status.date;
    if (!fresh || calls === null || calls < answer.refusal.callsNeeded) return null;
    const before = this.#untold?.date === answer.status.date ? this.#untold.refusals : 0;
    this.#untold = { date: answer.status.date, refusals: before + 1 };
    return {
      ...answer,
      refusal: { ...answer.refusal, callsNeeded: calls, waitMs: Math.max(SECOND_MS, endOfDay(now) - now), remembered: true },
    };
  }

  /** `changes`: as they were when the ledger was asked. */
  note(request: ReserveRequest, answer: object, { askedAt, changes }: { readonly askedAt: number; readonly changes: number }): void {
    if (changes !== this.#changes || demanded(request) === null || !isRefused(answer)) return;
    if (answer.refusal.refusedBy !== "daily" || answer.refusal.held) return;
    this.#last = { answer, askedAt };
  }

  /** To be told to the ledger with the next question. An instance that ends before that takes them along: a statistic, not a count. */
  takeUntold(): RefusedHere | null {
    const untold = this.#untold;
    this.#untold = null;
    return untold;
  }
}

function isRefused(answer: object): answer is Refused {
  return "refusal" in answer;
}
