/** What an answer means, and when the next try is. No I/O. No clock. */
import type { Answer } from "./send.ts";

/** Tries of a delivery, the first included. */
export const DELIVERY_ATTEMPTS = 5;
/** Runs of a delivery whose tries are kept: each may hold an answer of 20 KB, and it is sent once more as often as one likes. */
export const KEPT_RUNS = 10;
/** Deliveries given up one after the other, after which the endpoint is disabled. */
export const MAX_FAILURES = 5;

const FIRST_PAUSE_MS = 5_000;
/** 5 s, 40 s, 5 minutes, 43 minutes: a restart costs seconds, and an outage of three quarters of an hour loses nothing. */
const PAUSE_FACTOR = 8;
/** Spread over a fifth of the pause, so that what failed together does not come back together. */
const JITTER = 0.2;
/** A receiver that asks for more than this is asked again all the same. */
const MAX_RETRY_AFTER_MS = 60 * 60 * 1_000;

/** `gone`: the receiver says that nobody will ever be there again. */
export type Meaning = "delivered" | "again" | "given_up" | "gone";

/** What follows from the answer to a try, the `attempt`th of at most `tries`. */
export function meaningOf(answer: Pick<Answer, "status" | "sent">, attempt: number, tries: number): Meaning {
  const { status, sent } = answer;
  if (status !== null && status >= 200 && status <= 299) return "delivered";
  if (status === 410) return "gone";
  // An address that may not be called will not be a better one by waiting.
  return sent && attempt < tries ? "again" : "given_up";
}

/** Milliseconds to wait after the `attempt`th try; `chance` is from 0 to 1. Too many requests and being away may say when to come back. */
export function pauseAfter(attempt: number, answer: Pick<Answer, "status" | "retryAfterSeconds">, chance: number): number {
  const own = Math.round(FIRST_PAUSE_MS * PAUSE_FACTOR ** (attempt - 1) * (1 + JITTER * chance));
  const { status, retryAfterSeconds } = answer;
  if (retryAfterSeconds === null || (status !== 429 && status !== 503)) return own;
  return Math.max(own, Math.min(retryAfterSeconds * 1_000, MAX_RETRY_AFTER_MS));
}
