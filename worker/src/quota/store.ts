/** The ledger's rows: days, reservations, audit. One SQL operation per function, all synchronous. Decides nothing. */
import type { QuotaConfig } from "../env.ts";
import { DAY_MS, dayOf } from "../lib/time.ts";
import { LedgerCounts } from "./counts.ts";
import { MAX_AHEAD_MS, spacingMs } from "./pace.ts";
import { Returns } from "./returns.ts";
import { LedgerState } from "./state.ts";
import { LedgerTotals } from "./totals.ts";
import { Turns } from "./turns.ts";
import { PROJECTS_CALLER, isProject } from "./types.ts";
import type { RefusedBy } from "./types.ts";

/** Retention of settled reservations, which answer retries. It is longer than any period that they can be charged in. */
const RESERVATION_KEPT_MS = 2 * DAY_MS;
const HISTORY_KEPT_DAYS = 400;

export type DayRow = {
  date: string;
  charged: number;
  /** The projects' part of `charged`. */
  projects: number;
  untracked: number;
  reserved_expired: number;
  refused: number;
  would_refuse: number;
  provider_spent: number | null;
  provider_limit: number | null;
  provider_base: number;
  observed_at: number | null;
  charged_when_observed: number;
  /** Time of an operator's last correction, null if none. Counts requested before it are ignored. */
  corrected_at: number | null;
};

export type ReservationRow = {
  id: string;
  /** `late`: charged at its expiry, and committed after it. */
  state: "held" | "committed" | "released" | "expired" | "late";
  fingerprint: string;
  caller: string;
  calls: number;
  batch_of: number | null;
  probe: number;
  opened_at: number;
  start_at: number;
  expires_at: number;
  spent_before: number | null;
  /** Calls charged that day, at the grant and when `spent_before` was observed. */
  charged_before: number;
  charged_when_observed: number;
  charged: number | null;
  settled_at: number | null;
  /** The chain of its turn in the pace. Null if it has no turn, or returned it before its start. */
  pace_chain: number | null;
};

type NewReservation = Pick<ReservationRow, "id" | "fingerprint" | "caller" | "calls"> & Partial<ReservationRow>;

export type AuditRow = { id: string; at: number; action: string; actor: string; before: string; after: string };

const EMPTY_DAY = {
  charged: 0,
  projects: 0,
  untracked: 0,
  reserved_expired: 0,
  refused: 0,
  would_refuse: 0,
  provider_spent: null,
  provider_limit: null,
  provider_base: 0,
  observed_at: null,
  charged_when_observed: 0,
  corrected_at: null,
};

export class LedgerStore {
  readonly provider: string;
  readonly state: LedgerState;
  readonly totals: LedgerTotals;
  readonly counts: LedgerCounts;
  readonly returns = new Returns();
  readonly #sql: SqlStorage;

  /** `at`: the time of the latest use. */
  #turns: { readonly key: string; readonly turns: Turns; at: number } | null = null;
  /** Cached sum of the calls of all open reservations. Null if it must be read again. */
  #reserved: number | null = null;
  /** Cached time of the first expiry, null if no reservation is open. `undefined` if it must be read again. */
  #firstExpiry: number | null | undefined = undefined;
  /** Cached last day read or written: each decision reads it several times. */
  #day: DayRow | null = null;

  constructor(sql: SqlStorage, provider: string, config: QuotaConfig) {
    this.#sql = sql;
    this.provider = provider;
    this.state = new LedgerState(sql, config);
    this.totals = new LedgerTotals(sql);
    this.counts = new LedgerCounts(sql);
  }

  /** Clears the caches after a rolled-back transaction. */
  reload(): void {
    this.#turns = null;
    this.#reserved = null;
    this.#firstExpiry = undefined;
    this.#day = null;
    this.state.reload();
  }

  /** A day without a row has zeros, so the reset needs no cron. */
  day(date: string): DayRow {
    if (this.#day?.date === date) return this.#day;
    this.#day = this.#sql.exec<DayRow>("SELECT * FROM days WHERE date = ?", date).toArray()[0] ?? { date, ...EMPTY_DAY };
    return this.#day;
  }

  today(now: number): DayRow {
    return this.day(dayOf(now));
  }

  /** Days from `since` to `until`, newest first. */
  days(since: string, until = "9999"): DayRow[] {
    return this.#sql.exec<DayRow>("SELECT * FROM days WHERE date >= ? AND date <= ? ORDER BY date DESC", since, until).toArray();
  }

  /** Creates a day's row. False if it exists already. */
  openDay(date: string): boolean {
    this.#day = null;
    return this.#sql.exec("INSERT INTO days (date) VALUES (?) ON CONFLICT DO NOTHING RETURNING date", date).toArray().length > 0;
  }

  /** Sets columns of a day, and creates its row if necessary. */
  updateDay(date: string, change: Partial<Omit<DayRow, "date">>): void {
    const row = { ...this.day(date), ...change };
    const columns = Object.keys(change);
    const places = columns.map(() => "?").join(", ");
    const sets = columns.map((column) => `${column} = excluded.${column}`).join(", ");
    const sql = `INSERT INTO days (date, ${columns.join(", ")}) VALUES (?, ${places}) ON CONFLICT DO UPDATE SET ${sets}`;
    this.#sql.exec(sql, date, ...Object.values(change));
    this.#day = row;
  }

  countExpired(date: string, calls: number): void {
    this.updateDay(date, { reserved_expired: this.day(date).reserved_expired + calls });
  }

  /** Counts refusals in the day's history and in the monitoring counters. */
  countRefusals(name: "refusals" | "would_refuse", by: RefusedBy, date: string, count = 1): void {
    const column = name === "refusals" ? "refused" : "would_refuse";
    this.updateDay(date, { [column]: this.day(date)[column] + count });
    this.totals.incrementCounter(name, by, count);
  }

  /** Charges the day and all its parts in one place, so that the sum of callers always equals the total. */
  charge(date: string, caller: string, hour: number, calls: number): void {
    const { charged, projects } = this.day(date);
    const ofProjects = isProject(caller) || caller === PROJECTS_CALLER ? calls : 0;
    this.updateDay(date, { charged: charged + calls, projects: projects + ofProjects });
    this.totals.charge(date, caller, hour, calls);
  }

  /** Clears a day's charges. Keeps the number of calls charged since the last provider count. */
  clearDay(date: string): void {
    const { charged, charged_when_observed } = this.day(date);
    this.updateDay(date, { charged_when_observed: charged_when_observed - charged, charged: 0, projects: 0, untracked: 0 });
    this.totals.clearDay(date);
  }

  reservation(id: string): ReservationRow | null {
    return this.#sql.exec<ReservationRow>("SELECT * FROM reservations WHERE id = ?", id).toArray()[0] ?? null;
  }

  openReservation(values: NewReservation, now: number): ReservationRow {
    const day = this.today(now);
    const row: ReservationRow = {
      state: "held",
      batch_of: null,
      probe: 0,
      opened_at: now,
      start_at: now,
      expires_at: now,
      spent_before: day.provider_spent,
      charged_before: day.charged,
      charged_when_observed: day.charged_when_observed,
      charged: null,
      settled_at: null,
      pace_chain: null,
      ...values,
    };
    const columns = Object.keys(row);
    const places = columns.map(() => "?").join(", ");
    this.#sql.exec(`INSERT INTO reservations (${columns.join(", ")}) VALUES (${places})`, ...Object.values(row));
    if (this.#reserved !== null) this.#reserved += row.calls;
    if (this.#firstExpiry !== undefined) this.#firstExpiry = Math.min(this.#firstExpiry ?? row.expires_at, row.expires_at);
    return row;
  }

  /** The booked turns of the pace. Read again after a start, a rollback, a change of the rate, and a step of the clock. */
  turns(now: number): Turns {
    const { paceChain, nextFreeAt, settings } = this.state;
    const key = `${paceChain} ${settings.ratePerSecond}`;
    const spacing = spacingMs(settings.ratePerSecond);
    if (this.#turns?.key === key && this.#turns.at > now - MAX_AHEAD_MS && this.#turns.at < now + spacing) {
      this.#turns.at = now;
      return this.#turns.turns;
    }
    const sql = "SELECT caller, start_at AS startAt FROM reservations WHERE pace_chain = ? AND start_at > ? AND start_at < ?";
    const rows = this.#sql.exec<{ caller: string; startAt: number }>(sql, paceChain, now - spacing, now + MAX_AHEAD_MS);
    this.#turns = { key, turns: new Turns(settings.ratePerSecond, nextFreeAt, rows), at: now };
    return this.#turns.turns;
  }

  /** Start of the latest booked turn of the current chain, 0 without one. */
  lastTurn(): number {
    const sql = "SELECT max(start_at) AS last FROM reservations WHERE pace_chain = ?";
    return this.#sql.exec<{ last: number | null }>(sql, this.state.paceChain).one().last ?? 0;
  }

  /** Releases the turn of a reservation. Another caller can book it if it has not begun. */
  releaseTurn({ id, caller, start_at: startAt, pace_chain: chain }: ReservationRow, now: number): void {
    if (chain === null || chain !== this.state.paceChain) return;
    this.turns(now).release({ caller, startAt }, now);
    if (startAt > now) this.#sql.exec("UPDATE reservations SET pace_chain = NULL WHERE id = ?", id);
  }

  /** Ends a reservation. `row`: its values before. */
  settle(row: ReservationRow, state: Exclude<ReservationRow["state"], "held">, charged: number, at: number): void {
    if (this.#reserved !== null && row.state === "held") this.#reserved -= row.calls;
    this.#firstExpiry = undefined;
    this.#sql.exec("UPDATE reservations SET state = ?, charged = ?, settled_at = ? WHERE id = ?", state, charged, at, row.id);
  }

  reserved(): number {
    const sql = "SELECT coalesce(sum(calls), 0) AS calls FROM reservations WHERE state = 'held'";
    this.#reserved ??= this.#sql.exec<{ calls: number }>(sql).one().calls;
    return this.#reserved;
  }

  reservedBy(caller: string): number {
    const sql = "SELECT coalesce(sum(calls), 0) AS calls FROM reservations WHERE state = 'held' AND caller = ?";
    return this.#sql.exec<{ calls: number }>(sql, caller).one().calls;
  }

  /** Open batches of more than one ISBN. While the price is unknown, at most one is open. */
  openBatches(): number {
    return this.#sql.exec<{ open: number }>("SELECT count(*) AS open FROM reservations WHERE state = 'held' AND batch_of > 1").one().open;
  }

  /** Reservations that expired and are not charged yet. */
  overdue(now: number): ReservationRow[] {
    if ((this.nextExpiry() ?? Infinity) > now) return [];
    return this.#sql
      .exec<ReservationRow>("SELECT * FROM reservations WHERE state = 'held' AND expires_at <= ? ORDER BY expires_at", now)
      .toArray();
  }

  nextExpiryOf(caller: string): number | null {
    const sql = "SELECT min(expires_at) AS at FROM reservations WHERE state = 'held' AND caller = ?";
    return this.#sql.exec<{ at: number | null }>(sql, caller).one().at;
  }

  nextExpiry(): number | null {
    if (this.#firstExpiry !== undefined) return this.#firstExpiry;
    const sql = "SELECT min(expires_at) AS at FROM reservations WHERE state = 'held'";
    return (this.#firstExpiry = this.#sql.exec<{ at: number | null }>(sql).one().at);
  }

  audit(row: AuditRow): void {
    const sql = "INSERT INTO audit (id, at, action, actor, before, after) VALUES (?, ?, ?, ?, ?, ?)";
    this.#sql.exec(sql, row.id, row.at, row.action, row.actor, row.before, row.after);
  }

  wasAudited(id: string): boolean {
    return this.#sql.exec("SELECT 1 FROM audit WHERE id = ?", id).toArray().length > 0;
  }

  audited(since: number): AuditRow[] {
    const sql = "SELECT id, at, action, actor, before, after FROM audit WHERE at >= ? ORDER BY seq DESC LIMIT 200";
    return this.#sql.exec<AuditRow>(sql, since).toArray();
  }

  /** Deletes expired rows. Answers no longer depend on them. */
  purge(now: number): void {
    this.#sql.exec("DELETE FROM reservations WHERE state <> 'held' AND settled_at < ?", now - RESERVATION_KEPT_MS);
    this.#sql.exec("DELETE FROM audit WHERE at < ?", now - HISTORY_KEPT_DAYS * DAY_MS);
    const oldest = dayOf(now - HISTORY_KEPT_DAYS * DAY_MS);
    this.#sql.exec("DELETE FROM days WHERE date < ?", oldest);
    this.#day = null;
    this.totals.purge(now, oldest);
    this.counts.purge(dayOf(now - DAY_MS));
  }
}
