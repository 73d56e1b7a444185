/** What the provider says of itself: its count, its price for a batch, its refusals. Synchronous. No I/O except the store. No clock. */
import { log } from "../lib/log.ts";
import { HOUR_MS, SECOND_MS, dayOf, startOfDay } from "../lib/time.ts";
import { LEAST_TELLING_BATCH, callsFor, isConfirmed, provenCost, suggestedPrice } from "./billing.ts";
import type { KnownPrice } from "./billing.ts";
import { pausedUntil } from "./pace.ts";
import { PROVIDER_RESET_LAG_MS, isTodays } from "./period.ts";
import { safetyLimit, untrackedCalls } from "./policy.ts";
import { refundProven } from "./refund.ts";
import type { LedgerState } from "./state.ts";
import type { DayRow, LedgerStore, ReservationRow } from "./store.ts";
import type { CountsAround, ProviderReport, Settlement } from "./types.ts";

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
  refundProven(store, report, now);
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
  store.counts.forget(day.date);
  store.totals.forgetPace();
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
 * What a settled request cost: the price it was granted at, or for a lone batch of unknown price what the two counts around it prove,
 * and its size where they prove nothing. What the count rose beyond that becomes untracked in the same commit. Only lone batches teach a
 * price. Any other can contradict it, and then the next lone ones decide.
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
  if (probe === 1 && store.state.learnsPrice) return costOfProbe(store, row, batchOf, settlement, counts, now);
  if (settlement.delivered && batchOf >= LEAST_TELLING_BATCH) forgetWrongPrice(store, row, batchOf, settlement.report, now);
  return calls;
}

function costOfProbe(
  store: LedgerStore,
  row: ReservationRow,
  batchOf: number,
  settlement: Settlement,
  counts: CountsAround | undefined,
  now: number,
): number {
  if (!counts) return batchOf;
  const { delivered } = settlement;
  const around = spentAround(store, row, counts, now);
  if (around === null) {
    const assumed = delivered ? assumedPrice(store, settlement, counts) : null;
    if (assumed === null) return batchOf;
    learn(store, assumed, batchOf);
    return callsFor({ batchOf }, assumed.price);
  }
  const [spentBefore, spentAfter] = around;
  const cost = provenCost({ batchOf, spentBefore, spentAfter, delivered });
  if (cost !== null && delivered) teach(store, row, batchOf, { spentBefore, spentAfter }, now);
  return cost ?? batchOf;
}

/** The dearer price is learned from one batch, the cheaper one from two: a count that lags and one foreign call look like it. */
function teach(
  store: LedgerStore,
  row: ReservationRow,
  batchOf: number,
  { spentBefore, spentAfter }: { spentBefore: number; spentAfter: number },
  now: number,
): void {
  const date = dayOf(now);
  const price = suggestedPrice({ batchOf, spentBefore, spentAfter, others: byOthers(store, row, row.charged_before, now) });
  if (price === "per_isbn" && batchOf >= LEAST_TELLING_BATCH) {
    learn(store, { price, source: "observed" }, batchOf);
    return;
  }
  const { cheapBatch } = store.state.value;
  if (price !== "per_request") {
    store.state.update({ cheapBatch: null });
  } else if (cheapBatch?.date === date && isConfirmed(cheapBatch, spentAfter)) {
    learn(store, { price, source: "observed" }, batchOf);
  } else {
    store.state.update({ cheapBatch: { date, batchOf, spentBefore } });
  }
}

function learn({ state }: LedgerStore, price: KnownPrice, batchOf: number): void {
  state.update({ learnedPrice: price, cheapBatch: null });
  log.info("Price of a batch learned", { ...price, batch_of: batchOf });
}

function forgetWrongPrice(store: LedgerStore, row: ReservationRow, batchOf: number, report: ProviderReport | null, now: number): void {
  const known = store.state.price;
  if (known === null || row.spent_before === null || dayOf(row.opened_at) !== dayOf(now)) return;
  const spentAfter = spentToday(store, report, now);
  if (spentAfter === null) return;
  const others = byOthers(store, row, row.charged_when_observed, now);
  const seen = suggestedPrice({ batchOf, spentBefore: row.spent_before, spentAfter, others });
  if (seen === null || seen === known.price) return;
  log.warn("The provider's count contradicts the price of a batch", { known: known.price, seen, source: known.source });
  if (store.state.learnsPrice) store.state.update({ learnedPrice: null, cheapBatch: null });
}

/** The most that other requests of ours may have added to the provider's count since `chargedBefore`. */
function byOthers(store: LedgerStore, row: ReservationRow, chargedBefore: number, now: number): number {
  return Math.max(0, store.today(now).charged - chargedBefore + store.reserved() - row.calls);
}

/** What the provider had spent before and after a batch of today; null where one of the counts is missing, or of another day or account. */
function spentAround(store: LedgerStore, row: ReservationRow, { before, after }: CountsAround, now: number): [number, number] | null {
  if (before.kind !== "count" || after.kind !== "count" || dayOf(row.opened_at) !== dayOf(now)) return null;
  const [spentBefore, spentAfter] = [spentToday(store, before.report, now), spentToday(store, after.report, now)];
  return spentBefore === null || spentAfter === null ? null : [spentBefore, spentAfter];
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
