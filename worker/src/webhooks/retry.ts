/** Interprets responses and schedules retries. No I/O. No clock. */
import type { Answer } from "./send.ts";

/** Attempts per delivery, including the first. */
export const DELIVERY_ATTEMPTS = 5;
/** Number of runs whose attempts are kept. Each attempt may have a response of 20 KB, and replays are unlimited. */
export const KEPT_RUNS = 10;
/** Consecutive failed deliveries that disable the endpoint. */
export const MAX_FAILURES = 5;

const FIRST_PAUSE_MS = 5_000;
/** 5 s, 40 s, 5 minutes, 43 minutes: a restart costs seconds, and an outage of 45 minutes loses nothing. */
const PAUSE_FACTOR = 8;
/** Random share of the pause, so that deliveries that failed together are not retried together. */
const JITTER = 0.2;
/** Longest pause that a receiver can request. */
const MAX_RETRY_AFTER_MS = 60 * 60 * 1_000;

/** `gone`: the receiver reports that it no longer exists. */
export type Meaning = "delivered" | "again" | "given_up" | "gone";

/** Meaning of the response to an attempt, of at most `maxAttempts`. */
export function meaningOf(answer: Pick<Answer, "status" | "sent">, attempt: number, maxAttempts: number): Meaning {
  const { status, sent } = answer;
  if (status !== null && status >= 200 && status <= 299) return "delivered";
  if (status === 410) return "gone";
  // Waiting does not make a forbidden address valid.
  return sent && attempt < maxAttempts ? "again" : "given_up";
}

/** Milliseconds to wait after an attempt. `chance` is between 0 and 1. The responses 429 and 503 may set a longer pause. */
export function pauseAfter(attempt: number, answer: Pick<Answer, "status" | "retryAfterSeconds">, chance: number): number {
  const own = Math.round(FIRST_PAUSE_MS * PAUSE_FACTOR ** (attempt - 1) * (1 + JITTER * chance));
  const { status, retryAfterSeconds } = answer;
  if (retryAfterSeconds === null || (status !== 429 && status !== 503)) return own;
  return Math.max(own, Math.min(retryAfterSeconds * 1_000, MAX_RETRY_AFTER_MS));
}
