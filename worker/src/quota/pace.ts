/**
 * When the next request may be sent. No I/O. No clock.
 *
 * Requests are spaced evenly, at most 0.2 % wider than the rate allows, so that neither a second nor a rolling minute ever holds
 * more than the provider permits, with some room for the network's jitter: at 3 a second, 180 take 60.1 s. Times are fractions of a
 * millisecond: rounded ones would make a high rate lower than it is.
 */
import { MINUTE_MS, SECOND_MS } from "../lib/time.ts";
import type { Priority } from "./types.ts";

/** Interactive callers wait at most this long; beyond it they are refused with `pace_exceeded`. */
export const INTERACTIVE_PACE_AHEAD_MS = 10 * SECOND_MS;
/** Background work books at most this far ahead, so that it never makes an interactive caller wait long. */
const BACKGROUND_PACE_AHEAD_MS = 2 * SECOND_MS;

/** No pause is longer, whatever a header says: the provider's own limit is a rolling minute, and a typo must not end the day. */
const MAX_PAUSE_MS = 5 * MINUTE_MS;

export function paceAheadMs(priority: Priority): number {
  return priority === "background" ? BACKGROUND_PACE_AHEAD_MS : INTERACTIVE_PACE_AHEAD_MS;
}

export type PaceDecision =
  | { readonly result: "granted"; readonly startAt: number; readonly nextFreeAt: number }
  | { readonly result: "refused"; readonly waitMs: number };

/** A millisecond wider than the rate allows, at high rates 0.2 %. */
function spacingMs(ratePerSecond: number): number {
  return (SECOND_MS + Math.min(ratePerSecond, 2)) / ratePerSecond;
}

/** `nextFreeAt` is when the slot after the last granted one begins. `ratePerSecond` 0 grants at once. */
export function nextSlot(nextFreeAt: number, now: number, ratePerSecond: number, priority: Priority): PaceDecision {
  if (ratePerSecond === 0) return { result: "granted", startAt: now, nextFreeAt: now };
  // Further ahead than any pause means that the clock stepped back: such a slot would never come nearer.
  const startAt = nextFreeAt > now + MAX_PAUSE_MS + MINUTE_MS ? now : Math.max(now, nextFreeAt);
  const tooFar = startAt - now - paceAheadMs(priority);
  if (tooFar > 0) return { result: "refused", waitMs: Math.ceil(tooFar) };
  return { result: "granted", startAt, nextFreeAt: startAt + spacingMs(ratePerSecond) };
}

/** After the provider said "wait", or that nothing is left of its minute: no slot before then. */
export function pausedUntil(nextFreeAt: number, now: number, waitSeconds: number): number {
  return Math.max(nextFreeAt, now + Math.min(waitSeconds * SECOND_MS, MAX_PAUSE_MS));
}
