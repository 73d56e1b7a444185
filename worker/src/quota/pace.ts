/**
 * The time when the next request may be sent. No I/O. No clock.
 *
 * Requests are spaced evenly, at most 0.2 % wider than the rate allows. Thus neither a second nor a rolling minute ever contains more
 * requests than the provider permits. The extra 0.2 % absorbs some network jitter: at 3 a second, 180 requests take 60.1 s. Times have
 * fractions of a millisecond, because rounding would lower a high rate.
 */
import { MINUTE_MS, SECOND_MS } from "../lib/time.ts";
import type { Priority } from "./types.ts";

/** The longest wait of interactive callers. A longer one is refused with `pace_exceeded`. */
export const INTERACTIVE_PACE_AHEAD_MS = 10 * SECOND_MS;
/** Background work books slots at most this far ahead, so that interactive callers never wait long for it. */
const BACKGROUND_PACE_AHEAD_MS = 2 * SECOND_MS;

/** The longest pause, for any header value. The provider's own limit is a rolling minute, and a wrong header must not stop all calls. */
const MAX_PAUSE_MS = 5 * MINUTE_MS;

export function paceAheadMs(priority: Priority): number {
  return priority === "background" ? BACKGROUND_PACE_AHEAD_MS : INTERACTIVE_PACE_AHEAD_MS;
}

export type PaceDecision =
  | { readonly result: "granted"; readonly startAt: number; readonly nextFreeAt: number }
  | { readonly result: "refused"; readonly waitMs: number };

/** The rate's spacing plus a millisecond, or plus 0.2 % at high rates. */
function spacingMs(ratePerSecond: number): number {
  return (SECOND_MS + Math.min(ratePerSecond, 2)) / ratePerSecond;
}

/** The next slot. `nextFreeAt`: start of the slot after the last granted one. A `ratePerSecond` of 0 grants immediately. */
export function nextSlot(nextFreeAt: number, now: number, ratePerSecond: number, priority: Priority): PaceDecision {
  if (ratePerSecond === 0) return { result: "granted", startAt: now, nextFreeAt: now };
  // A slot further ahead than any pause means that the clock stepped back. Waiting for it would take too long.
  const startAt = nextFreeAt > now + MAX_PAUSE_MS + MINUTE_MS ? now : Math.max(now, nextFreeAt);
  const tooFar = startAt - now - paceAheadMs(priority);
  if (tooFar > 0) return { result: "refused", waitMs: Math.ceil(tooFar) };
  return { result: "granted", startAt, nextFreeAt: startAt + spacingMs(ratePerSecond) };
}

/** The start of the next slot after a pause: the provider said "wait", or its current minute has no calls left. */
export function pausedUntil(nextFreeAt: number, now: number, waitSeconds: number): number {
  return Math.max(nextFreeAt, now + Math.min(waitSeconds * SECOND_MS, MAX_PAUSE_MS));
}
