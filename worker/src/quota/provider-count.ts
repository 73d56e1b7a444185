/** The provider's own data: its count, its batch price, its refusals. Synchronous. No I/O except the store. No clock. */
import { log } from "../lib/log.ts";
import { HOUR_MS, SECOND_MS, dayOf, startOfDay } from "../lib/time.ts";
import { MIN_CONCLUSIVE_BATCH, callsFor, isConfirmed, provenCost, suggestedPrice } from "./billing.ts";
import type { KnownPrice } from "./billing.ts";
import { pauseEnd } from "./pace.ts";
import { PROVIDER_RESET_LAG_MS, isTodays } from "./period.ts";
import { safetyLimit, untrackedCalls } from "./policy.ts";
import { refundProven } from "./refund.ts";
import type { LedgerState } from "./state.ts";
import type { DayRow, LedgerStore, ReservationRow } from "./store.ts";
import type { CountsAround, ProviderReport, Settlement } from "./types.ts";

/** Applies the provider's count to today. Counts arrive late and out of order, so the largest counts as the latest. */
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

/** The provider's count of today. Null if the report has none, belongs to another day, or precedes an operator's correction. */
function spentToday(store: LedgerStore, report: ProviderReport | null, now: number): number | null {
  if (!report || !isTodays(report, now)) return null;
  const day = store.today(now);
  return report.requestedAt >= (day.corrected_at ?? 0) ? spentIn(report, day, store.state) : null;
}

/**
 * Sets the count to `used` for an operator. The provider's fresh count becomes the base, even if an earlier one was higher. From then on,
 * both counts rise together, and any difference is untracked. Without a fresh count, the base is the last one, or else the ledger's own.
 */
export function rebase(store: LedgerStore, report: ProviderReport | null, used: number, now: number): void {
  const day = store.today(now);
  const fresh = report && isTodays(report, now) ? spentIn(report, day, store.state) : null;
  const counted = fresh ?? day.provider_spent ?? day.provider_base + day.charged + day.untracked;
  store.counts.forget(day.date);
  store.totals.forgetBurnRate();
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

/** Newly found untracked calls: counted by the provider, neither charged nor reserved, and not yet recorded as untracked. */
export function newlyUntracked(store: LedgerStore, now: number): number {
  const { provider_spent: spent, provider_base: base, charged, untracked } = store.today(now);
  if (spent === null) return 0;
  return untrackedCalls(untracked, { spent, base }, { charged, reserved: store.reserved() }) - untracked;
}

/** Runs after every change. Records untracked calls as soon as no open reservation can explain them. */
export function countUntracked(store: LedgerStore, now: number): void {
  const calls = newlyUntracked(store, now);
  if (calls <= 0) return;
  const day = store.today(now);
  store.updateDay(day.date, { untracked: day.untracked + calls });
  burnUntracked(store, calls, day, now);
}

/** The provider's count of spent calls, null if it gave none or its limit is unknown. */
function spentIn({ daily }: ProviderReport, day: DayRow, state: LedgerState): number | null {
  if (!daily) return null;
  const limit = daily.limit ?? day.provider_limit ?? state.value.providerLimit;
  return limit !== null && limit >= daily.left ? limit - daily.left : null;
}

/** Untracked calls happened at unknown times since the last count. Only the last hour's part of them belongs to the burn rate. */
function burnUntracked({ totals }: LedgerStore, calls: number, day: DayRow, now: number): void {
  if (calls <= 0) return;
  const since = now - (day.observed_at ?? startOfDay(now));
  totals.burn(now, Math.round(calls * Math.min(1, HOUR_MS / Math.max(1, since))));
}

/**
 * The cost of a settled request. Normally this is the price of its grant. For a lone batch of unknown price, it is the cost that the two
 * counts around it prove, or its size if they prove nothing. Any further rise of the count becomes untracked in the same commit. Prices
 * are learned from lone batches only. Any other batch can contradict the price, and then the next lone batches decide.
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
  if (settlement.delivered && batchOf >= MIN_CONCLUSIVE_BATCH) forgetWrongPrice(store, row, batchOf, settlement.report, now);
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
  if (cost !== null && delivered) learnFromProbe(store, row, batchOf, { spentBefore, spentAfter }, now);
  return cost ?? batchOf;
}

/** Learns the higher price from one batch, the lower one from two: a lagging count plus one untracked call looks like the lower. */
function learnFromProbe(
  store: LedgerStore,
  row: ReservationRow,
  batchOf: number,
  { spentBefore, spentAfter }: { spentBefore: number; spentAfter: number },
  now: number,
): void {
  const date = dayOf(now);
  const price = suggestedPrice({ batchOf, spentBefore, spentAfter, others: byOthers(store, row, row.charged_before, now) });
  if (price === "per_isbn" && batchOf >= MIN_CONCLUSIVE_BATCH) {
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
  log.info("Batch price learned", { ...price, batch_of: batchOf });
}

function forgetWrongPrice(store: LedgerStore, row: ReservationRow, batchOf: number, report: ProviderReport | null, now: number): void {
  const known = store.state.price;
  if (known === null || row.spent_before === null || dayOf(row.opened_at) !== dayOf(now)) return;
  const spentAfter = spentToday(store, report, now);
  if (spentAfter === null) return;
  const others = byOthers(store, row, row.charged_when_observed, now);
  const seen = suggestedPrice({ batchOf, spentBefore: row.spent_before, spentAfter, others });
  if (seen === null || seen === known.price) return;
  log.warn("Batch price contradicted by the provider's count", { known: known.price, seen, source: known.source });
  if (store.state.learnsPrice) store.state.update({ learnedPrice: null, cheapBatch: null });
}

/** The most that the coordinator's other requests can have added to the provider's count since `chargedBefore`. */
function byOthers(store: LedgerStore, row: ReservationRow, chargedBefore: number, now: number): number {
  return Math.max(0, store.today(now).charged - chargedBefore + store.reserved() - row.calls);
}

/** The provider's counts before and after a batch of today. Null if one is missing, or belongs to another day or account. */
function spentAround(store: LedgerStore, row: ReservationRow, { before, after }: CountsAround, now: number): [number, number] | null {
  if (before.kind !== "count" || after.kind !== "count" || dayOf(row.opened_at) !== dayOf(now)) return null;
  const [spentBefore, spentAfter] = [spentToday(store, before.report, now), spentToday(store, after.report, now)];
  return spentBefore === null || spentAfter === null ? null : [spentBefore, spentAfter];
}

/** If the provider answers but never gave a count, no price can be learned. One call per request is assumed, and reported as assumed. */
function assumedPrice({ state }: LedgerStore, settlement: Settlement, { before, after }: CountsAround): KnownPrice | null {
  const silent = before.kind === "none" && after.kind === "none" && !settlement.report?.daily;
  return silent && !state.value.everCounted ? { price: "per_request", source: "assumed" } : null;
}

/**
 * Applies the provider's refusal. "Wait" pauses all requests. "Quota exhausted" closes the day for all callers. Right after midnight, a
 * provider may still refuse for yesterday. Such a refusal only pauses requests until the provider's own reset is finished.
 */
export function applySignal(store: LedgerStore, settlement: Settlement, now: number): void {
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
  log.warn("Day closed: the provider reported exhausted quota", { charged: day.charged, untracked: Math.max(closed, day.untracked) });
}

/** No turn begins before the end of the pause. */
function pause({ state }: LedgerStore, waitSeconds: number, now: number): void {
  state.pauseUntil(pauseEnd(state.pausedUntil, now, waitSeconds));
}
