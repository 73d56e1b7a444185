/** What the ledger makes of the provider's own words: its count, its price for a batch, its refusals. Synchronous. */
import { log } from "../lib/log.ts";
import { callsFor, provenPrice } from "./billing.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { DayRow, LedgerStore, ReservationRow } from "./ledger-store.ts";
import { pausedUntil } from "./pace.ts";
import { safetyLimit, untrackedCalls } from "./policy.ts";
import type { BulkPrice, ProviderReport, Settlement } from "./types.ts";
import { HOUR_MS, PROVIDER_RESET_LAG_MS, SECOND_MS, windowOf, windowStart } from "./window.ts";

export const PACE_KEY = "next_free_at";

export class ProviderBook {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;

  constructor(store: LedgerStore, state: LedgerState) {
    this.#store = store;
    this.#state = state;
  }

  /** Spent by the provider's count, or null where it gave none or one that cannot be. Its limit may be unknown: then ours stands in. */
  spentIn(report: ProviderReport | null | undefined, day: DayRow): number | null {
    if (!report?.daily) return null;
    const limit = report.daily.limit ?? day.provider_limit ?? this.#state.value.providerLimit ?? this.#state.settings.dailyLimit;
    return limit >= report.daily.left ? limit - report.daily.left : null;
  }

  /** A count is today's only if it was asked for and answered today, and not while the provider may still be counting yesterday. */
  static isTodays(report: ProviderReport, now: number): boolean {
    const today = windowOf(now);
    const settled = report.requestedAt >= windowStart(now) + PROVIDER_RESET_LAG_MS;
    return settled && windowOf(report.requestedAt) === today && windowOf(report.receivedAt) === today;
  }

  /** Takes the provider's count into today. `reserved` is what may be part of that count without being charged yet. */
  observe(report: ProviderReport | null | undefined, reserved: number, now: number): void {
    if (!report || !ProviderBook.isTodays(report, now)) return;
    const day = this.#store.day(windowOf(now));
    const spent = this.spentIn(report, day);
    if (spent === null) return;
    const untracked = untrackedCalls(day.untracked, { spent, base: day.provider_base }, { charged: day.charged, reserved });
    this.#store.observe(day.date, { spent, limit: report.daily?.limit ?? null, untracked, at: now });
    const limit = report.daily?.limit ?? null;
    if (limit !== null && limit !== this.#state.value.providerLimit) this.#state.update({ providerLimit: limit });
    this.#burnUntracked(untracked - day.untracked, day, now);
  }

  /** Foreign calls happened some time since the last look: only the last hour's share of them is today's pace. */
  #burnUntracked(calls: number, day: DayRow, now: number): void {
    if (calls <= 0) return;
    const since = now - (day.observed_at ?? windowStart(now));
    this.#store.burn(now, Math.round(calls * Math.min(1, HOUR_MS / Math.max(1, since))));
  }

  /** What a settled request cost: 1 or the batch's size, never the rise of a count. Learns the price on the way. */
  costOf(row: ReservationRow, settlement: Settlement, before: ProviderReport | null | undefined, now: number): number {
    const batchOf = row.batch_of;
    if (batchOf === null || batchOf <= 1) return row.calls;
    const known = this.#state.price;
    const proven = this.#proven(row, batchOf, settlement, before, now);
    if (settlement.delivered && this.#state.learnsPrice) this.#learn(proven, settlement);
    const price: BulkPrice | null = proven ?? known?.price ?? this.#state.price?.price ?? null;
    return callsFor({ batchOf }, price);
  }

  #proven(row: ReservationRow, batchOf: number, settlement: Settlement, before: ProviderReport | null | undefined, now: number) {
    const day = this.#store.day(windowOf(now));
    const asked = this.spentIn(before, day);
    const spentBefore = asked ?? row.spent_before;
    const spentAfter = this.spentIn(settlement.report, day);
    if (spentBefore === null || spentAfter === null || windowOf(row.opened_at) !== day.date) return null;
    const chargedBefore = asked === null ? row.charged_when_observed : row.charged_before;
    const others = day.charged - chargedBefore + this.#store.reserved() - row.calls;
    return provenPrice({ batchOf, spentBefore, spentAfter, others: Math.max(0, others) });
  }

  #learn(proven: BulkPrice | null, settlement: Settlement): void {
    const known = this.#state.value.learnedPrice;
    if (proven !== null && (known?.price !== proven || known.source === "assumed")) {
      this.#state.update({ learnedPrice: { price: proven, source: "observed" } });
      log.warn(known ? "The provider's price for a batch changed" : "The provider's price for a batch is known now", {
        from: known?.price ?? "unknown",
        to: proven,
      });
    }
    if (known === null && proven === null && !settlement.report?.daily) {
      this.#state.update({ learnedPrice: { price: "per_request", source: "assumed" } });
      log.warn("The provider gives no count: a batch is assumed to cost one call", { to: "per_request" });
    }
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
    if (signal !== "day_over" || windowOf(settlement.sentAt) !== windowOf(now)) return;
    const trustedFrom = windowStart(now) + PROVIDER_RESET_LAG_MS;
    if (settlement.sentAt < trustedFrom) {
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
