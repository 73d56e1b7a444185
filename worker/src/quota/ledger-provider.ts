/** What the ledger makes of the provider's own words: its count, its price for a batch, its refusals. Synchronous. */
import { log } from "../lib/log.ts";
import { callsFor, provenPrice } from "./billing.ts";
import type { KnownPrice } from "./billing.ts";
import type { LedgerPace } from "./ledger-pace.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { DayRow, LedgerStore, ReservationRow } from "./ledger-store.ts";
import { safetyLimit, untrackedCalls } from "./policy.ts";
import type { BulkPrice, CountsAround, ProviderReport, Settlement } from "./types.ts";
import { PROVIDER_RESET_LAG_MS, isTodays } from "./period.ts";
import { HOUR_MS, SECOND_MS, dayOf, startOfDay } from "../lib/time.ts";

/** A rise of a few calls is soon somebody else's: a smaller batch contradicts nothing. */
const LEAST_CONTRADICTING_BATCH = 10;

export class ProviderBook {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;
  readonly #pace: LedgerPace;

  constructor(store: LedgerStore, state: LedgerState, pace: LedgerPace) {
    this.#store = store;
    this.#state = state;
    this.#pace = pace;
  }

  /** Spent by the provider's count, or null where it gave none, or nobody knows of how many. */
  spentIn(report: ProviderReport | null | undefined, day: DayRow): number | null {
    if (!report?.daily) return null;
    const limit = report.daily.limit ?? day.provider_limit ?? this.#state.value.providerLimit;
    return limit !== null && limit >= report.daily.left ? limit - report.daily.left : null;
  }

  /** Takes the provider's count into today. `reserved` is what may be part of that count without being charged yet. */
  observe(report: ProviderReport | null | undefined, reserved: number, now: number): void {
    if (!report || !isTodays(report, now)) return;
    const day = this.#store.day(dayOf(now));
    const spent = this.spentIn(report, day);
    if (spent === null) return;
    const untracked = untrackedCalls(day.untracked, { spent, base: day.provider_base }, { charged: day.charged, reserved });
    this.#store.observe(day.date, { spent, limit: report.daily?.limit ?? null, untracked, at: now });
    const limit = report.daily?.limit ?? null;
    const providerLimit = limit ?? this.#state.value.providerLimit;
    if (!this.#state.value.everCounted || providerLimit !== this.#state.value.providerLimit) {
      this.#state.update({ everCounted: true, providerLimit });
    }
    this.#burnUntracked(untracked - day.untracked, day, now);
  }

  /** Foreign calls happened some time since the last look: only the last hour's share of them is today's pace. */
  #burnUntracked(calls: number, day: DayRow, now: number): void {
    if (calls <= 0) return;
    const since = now - (day.observed_at ?? startOfDay(now));
    this.#store.burn(now, Math.round(calls * Math.min(1, HOUR_MS / Math.max(1, since))));
  }

  /**
   * What a settled request cost: the price it was granted at, or for a lone batch of unknown price what its two counts prove, and its
   * size where they prove nothing. Never the rise of a count: what is beyond the charge becomes untracked in the same commit. Only a
   * lone batch teaches a price; any other can contradict it, and then the next lone one tells.
   */
  costOf(row: ReservationRow, settlement: Settlement, counts: CountsAround | undefined, now: number): number {
    const batchOf = row.batch_of;
    if (batchOf === null || batchOf <= 1) return row.calls;
    if (row.probe === 1 && this.#state.learnsPrice) return this.#learned(row, batchOf, settlement, counts, now);
    if (settlement.delivered && batchOf >= LEAST_CONTRADICTING_BATCH) this.#doubt(row, batchOf, settlement.report, now);
    return row.calls;
  }

  #doubt(row: ReservationRow, batchOf: number, report: ProviderReport | null, now: number): void {
    const known = this.#state.price;
    if (known === null || row.spent_before === null) return;
    const before = { spent: row.spent_before, charged: row.charged_when_observed };
    const seen = this.#proven(row, batchOf, before, report, now);
    if (seen === null || seen === known.price) return;
    log.warn("The provider's count contradicts the price of a batch", { known: known.price, seen, source: known.source });
    if (this.#state.learnsPrice) this.#state.update({ learnedPrice: null });
  }

  /** What the provider's count, compared with the one `before`, says of a batch. */
  #proven(
    row: ReservationRow,
    batchOf: number,
    before: { spent: number; charged: number },
    after: ProviderReport | null,
    now: number,
  ): BulkPrice | null {
    if (!after || !isTodays(after, now) || dayOf(row.opened_at) !== dayOf(now)) return null;
    const day = this.#store.day(dayOf(now));
    const spentAfter = this.spentIn(after, day);
    if (spentAfter === null) return null;
    const others = Math.max(0, day.charged - before.charged + this.#store.reserved() - row.calls);
    return provenPrice({ batchOf, spentBefore: before.spent, spentAfter, others });
  }

  /** What a lone batch taught, and what it cost. */
  #learned(row: ReservationRow, batchOf: number, settlement: Settlement, counts: CountsAround | undefined, now: number): number {
    if (!settlement.delivered || !counts) return batchOf;
    const price = this.#taught(row, batchOf, counts, now) ?? this.#assumed(settlement, counts);
    if (price === null) return batchOf;
    this.#state.update({ learnedPrice: price });
    log.warn("The price of a batch is known", { ...price, batch_of: batchOf });
    return callsFor({ batchOf }, price.price);
  }

  #taught(row: ReservationRow, batchOf: number, { before, after }: CountsAround, now: number): KnownPrice | null {
    if (before.kind !== "count" || after.kind !== "count" || !isTodays(before.report, now)) return null;
    const spent = this.spentIn(before.report, this.#store.day(dayOf(now)));
    if (spent === null) return null;
    const price = this.#proven(row, batchOf, { spent, charged: row.charged_before }, after.report, now);
    return price === null ? null : { price, source: "observed" };
  }

  /** A provider that answers and never gave a count cannot teach: one call a request is assumed, and shown as such. */
  #assumed(settlement: Settlement, { before, after }: CountsAround): KnownPrice | null {
    const silent = before.kind === "none" && after.kind === "none" && !settlement.report?.daily;
    return silent && !this.#state.value.everCounted ? { price: "per_request", source: "assumed" } : null;
  }

  /**
   * "Wait" holds back the pace; "the day is over" closes the day for everyone. Right after midnight a provider may still refuse
   * for yesterday: that only holds back the pace until its own reset is through.
   */
  heed(settlement: Settlement, now: number): void {
    const { report, signal } = settlement;
    const drained = report?.rate?.left === 0 ? report.rate.resetSeconds : null;
    if (signal === "wait") this.#pace.pause(now, settlement.retryAfterSeconds ?? drained ?? 1);
    else if (drained !== null) this.#pace.pause(now, drained);
    const sentAt = settlement.underWay?.from ?? now;
    if (signal !== "day_over" || dayOf(sentAt) !== dayOf(now)) return;
    const trustedFrom = startOfDay(now) + PROVIDER_RESET_LAG_MS;
    if (sentAt < trustedFrom) {
      this.#pace.pause(now, Math.ceil((trustedFrom - now) / SECOND_MS));
      return;
    }
    const day = this.#store.day(dayOf(now));
    const closed = safetyLimit(this.#state.settings) - day.charged;
    if (closed > day.untracked) this.#store.setUntracked(day.date, closed);
    log.warn("The provider says its day is over: the day is closed", { charged: day.charged, untracked: Math.max(closed, day.untracked) });
  }
}
