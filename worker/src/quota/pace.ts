/**
 * The pace: the distance between requests, and the provider's pauses. No I/O. No clock.
 *
 * Requests are evenly spaced, at most 0.2% wider than the rate allows. Thus neither a second nor a rolling minute ever contains more
 * requests than the provider permits. The extra 0.2% absorbs some network jitter: at 3 a second, 180 requests take 60.1 s. Times are epoch
 * milliseconds with fractions, because rounding would lower a high rate.
 */
import { MINUTE_MS, SECOND_MS } from "../lib/time.ts";
import type { Priority } from "./types.ts";

/** The longest wait of interactive callers. A longer one is refused with `pace_exceeded`. */
export const INTERACTIVE_PACE_AHEAD_MS = 10 * SECOND_MS;
/** Background work books turns at most this far ahead. All later turns are free for interactive callers. */
const BACKGROUND_PACE_AHEAD_MS = 2 * SECOND_MS;

/** The longest pause, for any header value. The provider's own limit is a rolling minute, and a wrong header must not stop all calls. */
const MAX_PAUSE_MS = 5 * MINUTE_MS;
/** No turn is further ahead than this, unless the clock stepped back. */
export const MAX_AHEAD_MS = MAX_PAUSE_MS + MINUTE_MS;

export function paceAheadMs(priority: Priority): number {
  return priority === "background" ? BACKGROUND_PACE_AHEAD_MS : INTERACTIVE_PACE_AHEAD_MS;
}

/** The distance between turns: the rate's spacing plus a millisecond, or plus 0.2% at high rates. */
export function spacingMs(ratePerSecond: number): number {
  return (SECOND_MS + Math.min(ratePerSecond, 2)) / ratePerSecond;
}

/** The end of the pause after the provider requests another one. Never earlier than the current end, unless the clock stepped back. */
export function pauseEnd(pausedUntil: number, now: number, waitSeconds: number): number {
  const end = now + Math.min(waitSeconds * SECOND_MS, MAX_PAUSE_MS);
  return isTooFar(pausedUntil, now) ? end : Math.max(pausedUntil, end);
}

/** True for a time further ahead than any pause. The clock must have stepped back since it was set. */
export const isTooFar = (at: number, now: number): boolean => at > now + MAX_AHEAD_MS;
