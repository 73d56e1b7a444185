/** Read-only views of the ledger: status, history, snapshot. Also the status in a published snapshot. Writes nothing. No clock. */
import { DAY_MS, dayOf, isoSeconds, startOfDay } from "../lib/time.ts";
import type { LedgerSnapshot } from "./snapshot.ts";
import { bySize, publicStatus, quotaStatus } from "./status.ts";
import type { LedgerStore, ReservationRow } from "./store.ts";
import { LISTED_CALLERS } from "./totals.ts";
import { OTHER_CALLERS, PROJECTS_CALLER } from "./types.ts";
import type {
  CallerToday,
  CallerUse,
  DayTotal,
  Operation,
  QuotaOverview,
  QuotaStatus,
  Settings,
  SettingsMirror,
  StatusView,
  UpstreamStatus,
} from "./types.ts";

/** The most lines of callers in a history, for any number of days. */
const HISTORY_LINES = 10_000;

/** One day of the history, of all callers or of one. For one caller, numbers that are not kept by caller are null. */
export interface DayHistory {
  readonly date: string;
  readonly used: number;
  readonly reserved_expired: number | null;
  readonly refused: number | null;
  /** Reservations granted in observe mode, although `enforce` would have refused them. */
  readonly would_refuse: number | null;
  readonly untracked: number | null;
  readonly callers: readonly CallerUse[];
  readonly hours: readonly { readonly hour: number; readonly used: number }[];
}

/** An operator's change, with the changed values before and after. */
export interface AuditEntry extends Operation {
  readonly at: string;
  readonly action: string;
  readonly before: string;
  readonly after: string;
}

/** A part of a long history, so that no single read delays decisions for long. */
export interface HistoryPart {
  /** Newest days to leave out. */
  readonly skip: number;
  /** Days of the whole history. */
  readonly of: number;
}

export interface History {
  readonly days: readonly DayHistory[];
  readonly operations: readonly AuditEntry[];
  readonly status: QuotaStatus;
}

/** The status. Without a view, it names no callers. */
export function status(store: LedgerStore, now: number, view: StatusView = { own: null }): QuotaStatus {
  const { state, totals, provider } = store;
  const day = store.today(now);
  const numbers = {
    provider,
    settings: state.settings,
    charged: day.charged,
    untracked: day.untracked,
    reserved: store.reserved(),
    callsPerHour: totals.burnedInLastHour(now),
    recovered: state.value.recoveredOn === day.date,
    callers: totals.callers(day, view),
    upstream: upstreamStatus(store, now),
  };
  return quotaStatus(numbers, now);
}

function upstreamStatus(store: LedgerStore, now: number): UpstreamStatus | null {
  const day = store.today(now);
  if (day.provider_spent === null || day.observed_at === null) return null;
  const { price, value, settings } = store.state;
  return {
    limit: day.provider_limit ?? value.providerLimit ?? settings.dailyLimit,
    spent: day.provider_spent,
    untracked: day.untracked,
    bulk_billing: price?.price ?? "unknown",
    bulk_billing_source: price?.source ?? "unknown",
    observed_at: isoSeconds(day.observed_at),
  };
}

/** Charged and reserved calls of one caller today. */
export function callerToday(store: LedgerStore, caller: string, now: number): CallerToday {
  return { used: store.totals.usedBy(dayOf(now), caller), reserved: store.reservedBy(caller) };
}

/** The latest `days` UTC days, newest first, without days on which nothing happened. `part`: only some of them. */
export function history(store: LedgerStore, days: number, now: number, part: HistoryPart = { skip: 0, of: days }): Omit<History, "status"> {
  const callersPerDay = Math.min(LISTED_CALLERS, Math.ceil(HISTORY_LINES / part.of));
  const rows = daysOf(store, days, now, part).map((day): DayHistory => {
    const { date, charged, untracked, reserved_expired, refused, would_refuse } = day;
    const callers = store.totals.listed(day, callersPerDay);
    if (untracked > 0) callers.push({ caller: "untracked", used: untracked });
    const counts = { used: charged + untracked, reserved_expired, refused, would_refuse, untracked };
    return { date, ...counts, callers: callers.toSorted((a, b) => b.used - a.used), hours: store.totals.hours(date) };
  });
  const operations = part.skip > 0 ? [] : store.audited(startOfFirst(part.of, now));
  return { days: rows, operations: operations.map(({ at, ...row }) => ({ ...row, at: isoSeconds(at) })) };
}

/** The history of one caller, without operations and without days on which it spent nothing. */
export function historyOf(
  store: LedgerStore,
  caller: string,
  days: number,
  now: number,
  part: HistoryPart = { skip: 0, of: days },
): Omit<History, "status"> {
  const rows = daysOf(store, days, now, part).map(({ date, untracked }): DayHistory => {
    const hours = store.totals.hoursOf(date, caller);
    // Untracked calls are kept by day only. Their hours are unknown.
    const used = caller === "untracked" ? untracked : hours.reduce((sum, hour) => sum + hour.used, 0);
    const notByCaller = { reserved_expired: null, refused: null, would_refuse: null, untracked: null };
    return { date, used, ...notByCaller, callers: [{ caller, used }], hours };
  });
  return { days: rows.filter(({ used }) => used !== 0), operations: [] };
}

export interface SettingsView {
  readonly settings: Settings;
  readonly configured: Settings;
  readonly status: QuotaStatus;
}

export function settingsView(store: LedgerStore, now: number): SettingsView {
  const { settings, configured } = store.state;
  return { settings, configured, status: status(store, now) };
}

export interface ReservationView {
  readonly reservation: {
    readonly state: ReservationRow["state"];
    readonly caller: string;
    readonly calls: number;
    readonly charged: number | null;
    readonly startAt: number;
    readonly expiresAt: number;
  } | null;
  readonly status: QuotaStatus;
}

export function reservationView(store: LedgerStore, id: string, now: number): ReservationView {
  const row = store.reservation(id);
  if (!row) return { reservation: null, status: status(store, now) };
  const { state, caller, calls, charged, start_at: startAt, expires_at: expiresAt } = row;
  const reservation = { state, caller, calls, charged, startAt: Math.ceil(startAt), expiresAt };
  return { reservation, status: status(store, now, { own: caller }) };
}

/** Today, and the totals of the latest `days` UTC days. */
export function overview(store: LedgerStore, days: number, now: number, view: StatusView): QuotaOverview {
  const totals = store.days(dayOf(startOfFirst(days, now))).map(({ date, charged, untracked, refused }): DayTotal => {
    return { date, used: charged + untracked, untracked, refused };
  });
  const { backgroundFloor } = store.state.settings;
  const ledger = { backgroundFloor, days: totals, hours: store.totals.hours(dayOf(now)), tallies: store.totals.counters() };
  return { status: status(store, now, view), ledger };
}

export function snapshot(store: LedgerStore, now: number): LedgerSnapshot {
  const day = store.today(now);
  const callers = store.totals.listedWithReserved(day);
  return { status: status(store, now), callers, providerBase: day.provider_base, learnedPrice: store.state.value.learnedPrice };
}

export function mirror({ state }: LedgerStore): SettingsMirror {
  return { enforcement: state.value.enforcement, overrides: state.value.overrides };
}

/** A published status with the lines of this view. Null if the snapshot has no separate line for `own`. */
export function publishedStatus({ status, callers }: LedgerSnapshot, view: StatusView): QuotaStatus | null {
  const used = callers.map((line) => ({ caller: line.caller, used: line.used })).filter((line) => line.used !== 0);
  if (view === "by_project") {
    const untracked = status.callers.filter(({ caller }) => caller === "untracked");
    const [named, rest] = [bySize(used).slice(0, LISTED_CALLERS), bySize(used).slice(LISTED_CALLERS)];
    const others = rest.reduce((sum, line) => sum + line.used, 0);
    const line = others === 0 ? [] : [{ caller: OTHER_CALLERS, used: others }];
    return { ...status, callers: bySize([...named, ...line, ...untracked]) };
  }
  const { own } = view;
  const isComplete = !callers.some(({ caller }) => caller === PROJECTS_CALLER || caller === OTHER_CALLERS);
  if (own !== null && !isComplete && !callers.some(({ caller }) => caller === own)) return null;
  return publicStatus({ ...status, callers: used }, own ?? undefined);
}

/** The days of a part. */
function daysOf(store: LedgerStore, days: number, now: number, { skip }: HistoryPart) {
  return store.days(dayOf(startOfFirst(skip + days, now)), dayOf(startOfFirst(skip + 1, now)));
}

/** Start of the first of the latest `days` days. */
function startOfFirst(days: number, now: number): number {
  return startOfDay(now) - (days - 1) * DAY_MS;
}
