/** What the provider says of itself: its count, its price for a batch, its refusals. Synchronous. No I/O except the store. No clock. */
import { log } from "../lib/log.ts";
import { HOUR_MS, SECOND_MS, dayOf, startOfDay } from "../lib/time.ts";
import { callsFor, provenPrice } from "./billing.ts";
import type { KnownPrice } from "./billing.ts";
import { pausedUntil } from "./pace.ts";
import { PROVIDER_RESET_LAG_MS, isTodays } from "./period.ts";
import { safetyLimit, untrackedCalls } from "./policy.ts";
import type { LedgerState } from "./state.ts";
import type { DayRow, LedgerStore, ReservationRow } from "./store.ts";
import type { BulkPrice, CountsAround, ProviderReport, Settlement } from "./types.ts";

/** A rise of a few calls is soon somebody else's: a smaller batch contradicts nothing. */
const LEAST_CONTRADICTING_BATCH = 10;

/** Takes the provider's count into today. Counts arrive late and out of order, so the largest is the latest. */
export function observe(store: LedgerStore, report: ProviderReport | null, now: number): void {
  const day = store.today(now);
  const spent = spentToday(store, report, now);
  if (report === null || spent === null) return;
  store.updateDay(day.date, {
    provider_spent: Math.max(day.provider_spent ?? 0, spent),
    provider_limit: report.daily?.limit ?? day.provider_limit,
    observed_at: now,
    charged_when_observed: day.charged,
  });
  rememberLimit(store.state, report.daily?.limit ?? null);
}

/** The provider's count of today; null where the report gives none, or is of another day or from before an operator's correction. */
function spentToday(store: LedgerStore, report: ProviderReport | null, now: number): number | null {
  if (!report || !isTodays(report, now)) return null;
  const day = store.today(now);
  return report.requestedAt >= (day.corrected_at ?? 0) ? spentIn(report, day, store.state) : null;
}

/**
 * An operator sets the count to `used`. The provider's fresh count becomes the base, and may be lower than an earlier one: from there on
 * both counts rise together, and any difference is untracked. Without a fresh count, the last one must do, or else our own.
 */
export function rebase(store: LedgerStore, report: ProviderReport | null, used: number, now: number): void {
  const day = store.today(now);
  const fresh = report && isTodays(report, now) ? spentIn(report, day, store.state) : null;
  const counted = fresh ?? day.provider_spent ?? day.provider_base + day.charged + day.untracked;
  if (report === null || fresh === null) {
    store.updateDay(day.date, { provider_base: counted - used, corrected_at: now });
    return;
  }
  store.updateDay(day.date, {
    provider_base: counted - used,
    corrected_at: report.requestedAt,
    provider_spent: fresh,
    provider_limit: report.daily?.limit ?? day.provider_limit,
    observed_at: now,
    charged_when_observed: day.charged,
  });
  rememberLimit(store.state, report.daily?.limit ?? null);
}

function rememberLimit(state: LedgerState, limit: number | null): void {
  const providerLimit = limit ?? state.value.providerLimit;
  if (!state.value.everCounted || providerLimit !== state.value.providerLimit) state.update({ everCounted: true, providerLimit });
}

/** Calls that the provider counted and that were neither charged nor are reserved, beyond those known already. */
export function newlyUntracked(store: LedgerStore, now: number): number {
  const { provider_spent: spent, provider_base: base, charged, untracked } = store.today(now);
  if (spent === null) return 0;
  return untrackedCalls(untracked, { spent, base }, { charged, reserved: store.reserved() }) - untracked;
}

/** After every change: what others spent is counted as soon as no reservation of ours can explain it any more. */
export function countUntracked(store: LedgerStore, now: number): void {
  const calls = newlyUntracked(store, now);
  if (calls <= 0) return;
  const day = store.today(now);
  store.updateDay(day.date, { untracked: day.untracked + calls });
  burnUntracked(store, calls, day, now);
}

/** The provider's count of spent calls; null where it gave none, or its limit is unknown. */
function spentIn({ daily }: ProviderReport, day: DayRow, state: LedgerState): number | null {
  if (!daily) return null;
  const limit = daily.limit ?? day.provider_limit ?? state.value.providerLimit;
  return limit !== null && limit >= daily.left ? limit - daily.left : null;
}

/** Untracked calls happened some time since the last count: only the last hour's part of them is today's pace. */
function burnUntracked({ totals }: LedgerStore, calls: number, day: DayRow, now: number): void {
  if (calls <= 0) return;
  const since = now - (day.observed_at ?? startOfDay(now));
  totals.burn(now, Math.round(calls * Math.min(1, HOUR_MS / Math.max(1, since))));
}

/**
 * What a settled request cost: the price it was granted at, or for a lone batch of unknown price what its two counts prove, and its
 * size where they prove nothing. Never the rise of a count: what is beyond the charge becomes untracked in the same commit. Only a
 * lone batch teaches a price. Any other can contradict it, and then the next lone one decides.
 */
export function costOf(
  store: LedgerStore,
  row: ReservationRow,
  settlement: Settlement,
  counts: CountsAround | undefined,
  now: number,
): number {
  const { batch_of: batchOf, calls, probe } = row;
  if (batchOf === null || batchOf <= 1) return calls;
  if (probe === 1 && store.state.learnsPrice) {
    if (!settlement.delivered || !counts) return batchOf;
    const price = taughtPrice(store, row, batchOf, counts, now) ?? assumedPrice(store, settlement, counts);
    if (price === null) return batchOf;
    store.state.update({ learnedPrice: price });
    log.warn("The price of a batch is known", { ...price, batch_of: batchOf });
    return callsFor({ batchOf }, price.price);
  }
  if (settlement.delivered && batchOf >= LEAST_CONTRADICTING_BATCH) forgetWrongPrice(store, row, batchOf, settlement.report, now);
  return calls;
}

function forgetWrongPrice(store: LedgerStore, row: ReservationRow, batchOf: number, report: ProviderReport | null, now: number): void {
  const known = store.state.price;
  if (known === null || row.spent_before === null) return;
  const before = { spent: row.spent_before, charged: row.charged_when_observed };
  const seen = provenBy(store, row, batchOf, before, report, now);
  if (seen === null || seen === known.price) return;
  log.warn("The provider's count contradicts the price of a batch", { known: known.price, seen, source: known.source });
  if (store.state.learnsPrice) store.state.update({ learnedPrice: null });
}

/** The price that the provider's count, compared with the one `before`, proves. */
function provenBy(
  store: LedgerStore,
  row: ReservationRow,
  batchOf: number,
  before: { spent: number; charged: number },
  after: ProviderReport | null,
  now: number,
): BulkPrice | null {
  if (!after || !isTodays(after, now) || dayOf(row.opened_at) !== dayOf(now)) return null;
  const day = store.today(now);
  const spentAfter = spentIn(after, day, store.state);
  if (spentAfter === null) return null;
  const others = Math.max(0, day.charged - before.charged + store.reserved() - row.calls);
  return provenPrice({ batchOf, spentBefore: before.spent, spentAfter, others });
}

function taughtPrice(
  store: LedgerStore,
  row: ReservationRow,
  batchOf: number,
  { before, after }: CountsAround,
  now: number,
): KnownPrice | null {
  if (before.kind !== "count" || after.kind !== "count" || !isTodays(before.report, now)) return null;
  const spent = spentIn(before.report, store.today(now), store.state);
  if (spent === null) return null;
  const price = provenBy(store, row, batchOf, { spent, charged: row.charged_before }, after.report, now);
  return price === null ? null : { price, source: "observed" };
}

/** A provider that answers and never gave a count cannot teach: one call a request is assumed, and shown as such. */
function assumedPrice({ state }: LedgerStore, settlement: Settlement, { before, after }: CountsAround): KnownPrice | null {
  const silent = before.kind === "none" && after.kind === "none" && !settlement.report?.daily;
  return silent && !state.value.everCounted ? { price: "per_request", source: "assumed" } : null;
}

/**
 * "Wait" holds back the pace; "the day is over" closes the day for everyone. Right after midnight a provider may still refuse
 * for yesterday: that only holds back the pace until its own reset is through.
 */
export function heed(store: LedgerStore, settlement: Settlement, now: number): void {
  const { report, signal } = settlement;
  const drained = report?.rate?.left === 0 ? report.rate.resetSeconds : null;
  if (signal === "wait") pause(store, settlement.retryAfterSeconds ?? drained ?? 1, now);
  else if (drained !== null) pause(store, drained, now);
  const sentAt = settlement.underWay?.from ?? now;
  if (signal !== "day_over" || dayOf(sentAt) !== dayOf(now)) return;
  const trustedFrom = startOfDay(now) + PROVIDER_RESET_LAG_MS;
  if (sentAt < trustedFrom) {
    pause(store, Math.ceil((trustedFrom - now) / SECOND_MS), now);
    return;
  }
  const day = store.today(now);
  const closed = safetyLimit(store.state.settings) - day.charged;
  if (closed > day.untracked) store.updateDay(day.date, { untracked: closed });
  log.warn("The provider says its day is over: the day is closed", { charged: day.charged, untracked: Math.max(closed, day.untracked) });
}

/** No slot of the pace before then. */
function pause({ state }: LedgerStore, waitSeconds: number, now: number): void {
  state.startPaceChain(pausedUntil(state.nextFreeAt, now, waitSeconds));
}
