/** The periods that a call is charged in: UTC days. No I/O. No clock: `now` is always given, in epoch milliseconds. */
import { SECOND_MS, dayOf, hourOf, startOfDay } from "../lib/time.ts";
import type { UnderWay } from "./types.ts";

/** A commit this close to midnight cannot be told apart from one on the other side: clocks differ. */
export const MIDNIGHT_MARGIN_MS = 5 * SECOND_MS;
/** The provider's own reset may lag: what it counts in the first two minutes may still be yesterday's. */
export const PROVIDER_RESET_LAG_MS = 120 * SECOND_MS;

/** The UTC day of a count is certain only if it was asked for and answered in it, and not while the provider may still count yesterday. */
export function isTodays({ requestedAt, receivedAt }: { requestedAt: number; receivedAt: number }, now: number): boolean {
  const today = dayOf(now);
  const settled = requestedAt >= startOfDay(now) + PROVIDER_RESET_LAG_MS;
  return settled && dayOf(requestedAt) === today && dayOf(receivedAt) === today;
}

/** The periods that the provider may have counted a request in: clocks differ, so close to midnight it may be either. */
export function possiblePeriods({ from, to }: UnderWay): readonly string[] {
  return [...new Set([dayOf(from - MIDNIGHT_MARGIN_MS), dayOf(to + MIDNIGHT_MARGIN_MS)])];
}

/**
 * The periods that a reservation is charged in, from where it was opened to where it ends. Across a midnight, a request that was surely under way on one side only is charged there; otherwise both are charged.
 */
export function chargedPeriods(openedAt: number, endedAt: number, underWay: UnderWay | null): readonly string[] {
  const held = [...new Set([dayOf(openedAt), dayOf(endedAt)])];
  if (held.length === 1 || underWay === null) return held;
  return possiblePeriods(underWay);
}

/** The hour that a charge in `date` made at `now` belongs to: the day's last where the day is over. */
export function hourIn(date: string, now: number): number {
  return date === dayOf(now) ? hourOf(now) : 23;
}
