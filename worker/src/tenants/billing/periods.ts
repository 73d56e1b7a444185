/**
 * Billing periods: whole months from an anchor, `[startsAt, endsAt)`. Each is computed from the anchor and never from the one before, so
 * that 31 January is followed by 28 February and then 31 March. No I/O. No clock: instants are epoch milliseconds, in UTC.
 */

import { startOfDay } from "../../lib/time.ts";
import type { BillingPeriod } from "../../store/billing/periods.ts";

const MONTHS_A_YEAR = 12;

/** `Date.UTC` would take the years 0 to 99 for those of the 20th century. */
const midnightOf = (year: number, month: number, day: number): number => new Date(0).setUTCFullYear(year, month, day);

/** `months` after the anchor: the same day and time, or the last day of a shorter month. */
export function monthsAfter(anchor: number, months: number): number {
  const from = new Date(anchor);
  const [year, month] = [from.getUTCFullYear(), from.getUTCMonth() + months];
  const lastDay = new Date(midnightOf(year, month + 1, 0)).getUTCDate();
  return midnightOf(year, month, Math.min(from.getUTCDate(), lastDay)) + (anchor - startOfDay(anchor));
}

export function billingPeriod(anchor: number, index: number): BillingPeriod {
  return { index, startsAt: monthsAfter(anchor, index), endsAt: monthsAfter(anchor, index + 1) };
}

/** The period that contains `now`. */
export function billingPeriodAt(anchor: number, now: number): BillingPeriod {
  const [from, to] = [new Date(anchor), new Date(now)];
  const months = (to.getUTCFullYear() - from.getUTCFullYear()) * MONTHS_A_YEAR + (to.getUTCMonth() - from.getUTCMonth());
  // One period begins in the calendar month of `now`. If it begins after `now`, the previous one is current.
  return billingPeriod(anchor, monthsAfter(anchor, months) <= now ? months : months - 1);
}
