/** What the ledger makes of the provider's own words: its count, its price for a batch, its refusals. Synchronous. */
import { log } from "../lib/log.ts";
import { callsFor, provenPrice } from "./billing.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { DayRow, LedgerStore, ReservationRow } from "./ledger-store.ts";
import { pausedUntil } from "./pace.ts";
import { safetyLimit, untrackedCalls } from "./policy.ts";
import type { BulkPrice, ProviderReport, Settlement } from "./types.ts";
import { HOUR_MS, PROVIDER_RESET_LAG_MS, SECOND_MS, isTodays, windowOf, windowStart } from "./window.ts";

export const PACE_KEY = "next_free_at";

export class ProviderBook {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;

  constructor(store: LedgerStore, state: LedgerState) {
    this.#store = store;
    this.#state = state;
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
    const day = this.#store.day(windowOf(now));
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
    const since = now - (day.observed_at ?? windowStart(now));
    this.#store.burn(now, Math.round(calls * Math.min(1, HOUR_MS / Math.max(1, since))));
  }

  /**
   * What a settled request cost: 1 or the batch's size, never the rise of a count; where that cannot be told, the batch's size. Only a
   * lone batch between two counts of its own teaches a price. Another batch can contradict what is known: then the price is unknown
   * again, and the next lone batch tells.
   */
  costOf(row: ReservationRow, settlement: Settlement, before: ProviderReport | null | undefined, now: number): number {
    const batchOf = row.batch_of;
    if (batchOf === null || batchOf <= 1) return row.calls;
    const known = this.#state.price;
    const proven = settlement.delivered ? this.#proven(row, batchOf, settlement, before, now) : null;
    if (row.probe === 1 && this.#state.learnsPrice) return this.#learned(batchOf, proven, settlement);
    if (known === null) return batchOf;
    if (proven === null || proven === known.price) return callsFor({ batchOf }, known.price);
    log.warn("The provider's count contradicts the price of a batch", { known: known.price, seen: proven, source: known.source });
    if (!this.#state.learnsPrice) return callsFor({ batchOf }, known.price);
    this.#state.update({ learnedPrice: null });
    return batchOf;
  }

  #proven(row: ReservationRow, batchOf: number, settlement: Settlement, before: ProviderReport | null | undefined, now: number) {
    const { report } = settlement;
    if (!report || !isTodays(report, now) || windowOf(row.opened_at) !== windowOf(now)) return null;
    const day = this.#store.day(windowOf(now));
    const asked = before && isTodays(before, now) ? this.spentIn(before, day) : null;
    const spentBefore = asked ?? row.spent_before;
    const spentAfter = this.spentIn(report, day);
    if (spentBefore === null || spentAfter === null) return null;
    const chargedBefore = asked === null ? row.charged_when_observed : row.charged_before;
    const others = day.charged - chargedBefore + this.#store.reserved() - row.calls;
    return provenPrice({ batchOf, spentBefore, spentAfter, others: Math.max(0, others) });
  }

  /** What a lone batch taught. A provider that never gave a count cannot teach: one call a request is assumed, and shown as such. */
  #learned(batchOf: number, proven: BulkPrice | null, settlement: Settlement): number {
    if (proven !== null) {
      this.#state.update({ learnedPrice: { price: proven, source: "observed" } });
      log.warn("The price of a batch is known", { price: proven, batch_of: batchOf });
      return callsFor({ batchOf }, proven);
    }
    if (!settlement.delivered || settlement.report?.daily || this.#state.value.everCounted) return batchOf;
    this.#state.update({ learnedPrice: { price: "per_request", source: "assumed" } });
    log.warn("The provider gives no count: a batch is assumed to cost one call");
    return 1;
  }

  /**
   * "Wait" holds back the pace; "the day is over" closes the day for everyone. Right after midnight a provider may still refuse
   * for yesterday: that only holds back the pace until its own reset is through.
   */
  heed(settlement: Settlement, now: number): void {
    const { report, signal } = settlement;
    const drained = report?.rate?.left === 0 ? report.rate.resetSeconds : null;
    if (signal === "wait") this.pause(now, settlement.retryAfterSeconds ?? drained ?? 1);
    else if (drained !== null) this.pause(now, drained);
    const sentAt = settlement.underWay?.from ?? now;
    if (signal !== "day_over" || windowOf(sentAt) !== windowOf(now)) return;
    const trustedFrom = windowStart(now) + PROVIDER_RESET_LAG_MS;
    if (sentAt < trustedFrom) {
      this.pause(now, Math.ceil((trustedFrom - now) / SECOND_MS));
      return;
    }
    const day = this.#store.day(windowOf(now));
    const closed = safetyLimit(this.#state.settings) - day.charged;
    if (closed > day.untracked) this.#store.setUntracked(day.date, closed);
    log.warn("The provider says its day is over: the day is closed", { charged: day.charged, untracked: Math.max(closed, day.untracked) });
  }

  pause(now: number, waitSeconds: number): void {
    this.#store.setState(PACE_KEY, String(pausedUntil(this.nextFreeAt, now, waitSeconds)));
  }

  get nextFreeAt(): number {
    return Number(this.#store.state(PACE_KEY) ?? 0);
  }
}
