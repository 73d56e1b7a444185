/** The periods that a call is charged in: UTC days. No I/O. No clock: `now` is an argument, in epoch milliseconds. */
import { SECOND_MS, dayOf, hourOf, startOfDay } from "../lib/time.ts";
import type { UnderWay } from "./types.ts";

/** Clocks differ, so a request this close to midnight may belong to either day. */
export const MIDNIGHT_MARGIN_MS = 5 * SECOND_MS;
/** The provider's own reset may lag. Its count in the first two minutes may still be yesterday's. */
export const PROVIDER_RESET_LAG_MS = 120 * SECOND_MS;

/** Whether a count surely belongs to today: request and answer lie in today, and the request came after the provider's reset lag. */
export function isTodays({ requestedAt, receivedAt }: { requestedAt: number; receivedAt: number }, now: number): boolean {
  const today = dayOf(now);
  const afterLag = requestedAt >= startOfDay(now) + PROVIDER_RESET_LAG_MS;
  return afterLag && dayOf(requestedAt) === today && dayOf(receivedAt) === today;
}

/** The periods that the provider may have counted a request in. Clocks differ, so a request close to midnight has two. */
export function possiblePeriods({ from, to }: UnderWay): readonly string[] {
  return [...new Set([dayOf(from - MIDNIGHT_MARGIN_MS), dayOf(to + MIDNIGHT_MARGIN_MS)])];
}

/**
 * The periods that a reservation is charged in, between its opening and its end. If a midnight lies between them, a request that was
 * definitely in flight on one side only is charged on that side. Otherwise both days are charged.
 */
export function chargedPeriods(openedAt: number, endedAt: number, underWay: UnderWay | null): readonly string[] {
  const periods = [...new Set([dayOf(openedAt), dayOf(endedAt)])];
  if (periods.length === 1 || underWay === null) return periods;
  return possiblePeriods(underWay);
}

/** The hour of a charge in `date` at `now`. After the day has ended, it is the day's last hour. */
export function hourIn(date: string, now: number): number {
  return date === dayOf(now) ? hourOf(now) : 23;
}
