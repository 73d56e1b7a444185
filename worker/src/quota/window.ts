/** UTC days as quota windows. No I/O. No clock: `now` is always given, in epoch milliseconds. */

import type { UnderWay } from "./types.ts";

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** A commit this close to midnight cannot be told apart from one on the other side: clocks differ. */
export const MIDNIGHT_MARGIN_MS = 5 * SECOND_MS;
/** The provider's own reset may lag: what it counts in the first two minutes may still be yesterday's. */
export const PROVIDER_RESET_LAG_MS = 120 * SECOND_MS;

/** The UTC day that contains `now`, YYYY-MM-DD. */
export function windowOf(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}

export function windowStart(now: number): number {
  return Math.floor(now / DAY_MS) * DAY_MS;
}

/** The next 00:00 UTC: always later than `now`. */
export function resetAt(now: number): number {
  return windowStart(now) + DAY_MS;
}

/** The first of the times that are known. */
export function earliest(...times: (number | null)[]): number | null {
  const known = times.filter((at) => at !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** 0 to 23, UTC. */
export function hourOf(now: number): number {
  return Math.floor((now - windowStart(now)) / HOUR_MS);
}

/** ISO 8601 in UTC without milliseconds. */
export function isoSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d{3}Z$/, "Z");
}

/** The UTC day of a count is certain only if it was asked for and answered in it, and not while the provider may still count yesterday. */
export function isTodays({ requestedAt, receivedAt }: { requestedAt: number; receivedAt: number }, now: number): boolean {
  const today = windowOf(now);
  const settled = requestedAt >= windowStart(now) + PROVIDER_RESET_LAG_MS;
  return settled && windowOf(requestedAt) === today && windowOf(receivedAt) === today;
}

/** The windows that the provider may have counted a request in: clocks differ, so close to midnight it may be either. */
export function windowsUnderWay({ from, to }: UnderWay): readonly string[] {
  return [...new Set([windowOf(from - MIDNIGHT_MARGIN_MS), windowOf(to + MIDNIGHT_MARGIN_MS)])];
}

/**
 * The windows that a reservation is charged in, from where it was opened and where it ends. One window is simple. Across a midnight,
 * a request that was surely under way on one side only is charged there; otherwise both are charged.
 */
export function chargedWindows(openedAt: number, endedAt: number, underWay: UnderWay | null): readonly string[] {
  const held = [...new Set([windowOf(openedAt), windowOf(endedAt)])];
  if (held.length === 1 || underWay === null) return held;
  return windowsUnderWay(underWay);
}

/** The hour that a charge in `date` made at `now` belongs to: the day's last where the day is over. */
export function hourIn(date: string, now: number): number {
  return date === windowOf(now) ? hourOf(now) : 23;
}
