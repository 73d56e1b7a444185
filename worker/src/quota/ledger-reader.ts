/** What the ledger shows: status, history, and what it publishes. Reads only. */
import type { LedgerCallers } from "./ledger-callers.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { LedgerStore } from "./ledger-store.ts";
import type { LedgerTallies } from "./ledger-tallies.ts";
import type { LedgerSnapshot, SettingsMirror } from "./snapshot.ts";
import { quotaStatus } from "./status.ts";
import { LISTED_PROJECTS } from "./types.ts";
import type { DayHistory, QuotaOverview, QuotaStatus, StatusView, UpstreamStatus } from "./types.ts";
import { DAY_MS, isoSeconds, dayOf, startOfDay } from "../lib/time.ts";

/** An answer carries no more lines of projects than this, whatever the number of its days. */
const HISTORY_LINES = 10 * LISTED_PROJECTS;

/** Something an operator did to the ledger. `before` and `after` are what changed. */
export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly action: string;
  readonly actor: string;
  readonly before: string;
  readonly after: string;
}

export interface History {
  readonly days: readonly DayHistory[];
  readonly operations: readonly AuditEntry[];
  readonly status: QuotaStatus;
}

export class LedgerReader {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;
  readonly #callers: LedgerCallers;
  readonly #tallies: LedgerTallies;
  readonly #provider: string;

  constructor(store: LedgerStore, state: LedgerState, callers: LedgerCallers, tallies: LedgerTallies, provider: string) {
    this.#tallies = tallies;
    this.#store = store;
    this.#state = state;
    this.#callers = callers;
    this.#provider = provider;
  }

  status(now: number, view: StatusView): QuotaStatus {
    const date = dayOf(now);
    const { charged, untracked } = this.#store.day(date);
    const numbers = {
      provider: this.#provider,
      settings: this.#state.settings,
      charged,
      untracked,
      reserved: this.#store.reserved(),
      callsPerHour: this.#store.burnedInLastHour(now),
      recovered: this.#state.value.recoveredOn === date,
      callers: this.#callers.shown(date, view),
      upstream: this.#upstream(date),
    };
    return quotaStatus(numbers, now);
  }

  #upstream(date: string): UpstreamStatus | null {
    const day = this.#store.day(date);
    if (day.provider_spent === null || day.observed_at === null) return null;
    const { price } = this.#state;
    return {
      limit: day.provider_limit ?? this.#state.value.providerLimit ?? this.#state.settings.dailyLimit,
      spent: day.provider_spent,
      untracked: day.untracked,
      bulk_billing: price?.price ?? "unknown",
      bulk_billing_source: price?.source ?? "unknown",
      observed_at: isoSeconds(day.observed_at),
    };
  }

  history(days: number, now: number): { days: DayHistory[]; operations: AuditEntry[] } {
    const from = firstOf(days, now);
    const named = Math.min(LISTED_PROJECTS, Math.ceil(HISTORY_LINES / days));
    const shown = this.#store.days(dayOf(from)).map((day): DayHistory => {
      const callers = this.#callers.listed(day.date, named);
      if (day.untracked > 0) callers.push({ caller: "untracked", used: day.untracked });
      return {
        date: day.date,
        used: day.charged + day.untracked,
        reserved_expired: day.reserved_expired,
        refused: day.refused,
        would_refuse: day.would_refuse,
        untracked: day.untracked,
        callers: callers.toSorted((a, b) => b.used - a.used),
        hours: this.#callers.hours(day.date),
      };
    });
    const operations = this.#store.audited(from).map(({ at, ...row }): AuditEntry => ({ ...row, at: isoSeconds(at) }));
    return { days: shown, operations };
  }

  overview(days: number, now: number, view: StatusView): QuotaOverview {
    const totals = this.#store.days(dayOf(firstOf(days, now))).map(({ date, charged, untracked, refused }) => {
      return { date, used: charged + untracked, untracked, refused };
    });
    const { backgroundFloor } = this.#state.settings;
    const ledger = { backgroundFloor, days: totals, hours: this.#callers.hours(dayOf(now)), tallies: this.#tallies.all() };
    return { status: this.status(now, view), ledger };
  }

  /** What one caller spent. Days on which it spent nothing are left out. */
  historyOf(caller: string, days: number, now: number): { days: DayHistory[]; operations: AuditEntry[] } {
    const since = dayOf(firstOf(days, now));
    const shown = this.#store.days(since).map((day): DayHistory => {
      const hours = this.#callers.hoursOf(day.date, caller);
      // Untracked calls are kept by day alone: nobody knows their hours.
      const used = caller === "untracked" ? day.untracked : hours.reduce((sum, hour) => sum + hour.used, 0);
      const notByCaller = { reserved_expired: null, refused: null, would_refuse: null, untracked: null };
      return { date: day.date, used, ...notByCaller, callers: [{ caller, used }], hours };
    });
    return { days: shown.filter(({ used }) => used !== 0), operations: [] };
  }

  snapshot(now: number): LedgerSnapshot {
    const date = dayOf(now);
    return {
      status: this.status(now, { own: null }),
      callers: this.#callers.standing(date),
      providerBase: this.#store.day(date).provider_base,
      learnedPrice: this.#state.value.learnedPrice,
    };
  }

  mirror(): SettingsMirror {
    const { enforcement, overrides } = this.#state.value;
    return { enforcement, overrides };
  }
}

/** The beginning of the first of the latest `days` days. */
function firstOf(days: number, now: number): number {
  return startOfDay(now) - (days - 1) * DAY_MS;
}
