/** The ledger's SQL: one operation a function, all synchronous, so that a check and its write cannot be interleaved. */
import { PROJECTS_CALLER, PROJECT_CALLER_PREFIX } from "./types.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, dayOf } from "../lib/time.ts";

/** Settled reservations answer retries for two days, longer than any window that they can be charged in. */
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
};

export type ReservationRow = {
  id: string;
  /** `late`: charged by its expiry, and committed after it. */
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
  /** The day's charges when this was granted, and when `spent_before` was observed. */
  charged_before: number;
  charged_when_observed: number;
  charged: number | null;
  settled_at: number | null;
  /** Which slots of the pace its own stands among; null: it has none, or another has it now. */
  pace_chain: number | null;
};

export type AuditRow = { id: string; at: number; action: string; actor: string; before: string; after: string };

type DayCounter = "reserved_expired" | "refused" | "would_refuse";

const NO_DAY = {
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
};

/** The parts of a day's charges: by caller and hour, and the sums of each. */
const COUNTS = ["usage", "callers", "hours"] as const;

export class LedgerStore {
  readonly #sql: SqlStorage;

  /** Held by all open reservations: added up once, then kept; null where it has to be added up again. */
  #reserved: number | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** When the first hold ends, null where there is none; undefined where it has to be looked up again. */
  #firstExpiry: number | null | undefined = undefined;
  /** The day that was read last: each decision looks at it several times. Null after each write to its table. */
  #day: DayRow | null = null;

  /** After a transaction was rolled back: what is remembered of it never happened. */
  forget(): void {
    this.#reserved = null;
    this.#firstExpiry = undefined;
    this.#day = null;
  }

  #writeDay(sql: string, ...values: readonly (string | number | null)[]): void {
    this.#day = null;
    this.#sql.exec(sql, ...values);
  }

  state(key: string): string | null {
    return this.#sql.exec<{ value: string }>("SELECT value FROM state WHERE key = ?", key).toArray()[0]?.value ?? null;
  }

  setState(key: string, value: string): void {
    this.#sql.exec("INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, value);
  }

  /** A day nobody has touched reads as zeros: that is what makes the reset need no cron. */
  day(date: string): DayRow {
    if (this.#day?.date === date) return this.#day;
    this.#day = this.#sql.exec<DayRow>("SELECT * FROM days WHERE date = ?", date).toArray()[0] ?? { date, ...NO_DAY };
    return this.#day;
  }

  days(since: string): DayRow[] {
    return this.#sql.exec<DayRow>("SELECT * FROM days WHERE date >= ? ORDER BY date DESC", since).toArray();
  }

  /** Begins a day; false where it has begun already. */
  openDay(date: string): boolean {
    this.#day = null;
    return this.#sql.exec("INSERT INTO days (date) VALUES (?) ON CONFLICT DO NOTHING RETURNING date", date).toArray().length > 0;
  }

  countInDay(date: string, counter: DayCounter, by: number): void {
    this.openDay(date);
    this.#writeDay(`UPDATE days SET ${counter} = ${counter} + ? WHERE date = ?`, by, date);
  }

  /** Adds to the day's total and to all its parts in one place, so that the sum of callers is always the total. */
  charge(date: string, caller: string, hour: number, calls: number): void {
    const isProject = caller.startsWith(PROJECT_CALLER_PREFIX) || caller === PROJECTS_CALLER;
    this.#writeDay(
      `INSERT INTO days (date, charged, projects) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET charged = charged + excluded.charged, projects = projects + excluded.projects`,
      date,
      calls,
      isProject ? calls : 0,
    );
    const adds = "ON CONFLICT DO UPDATE SET used = used + excluded.used";
    this.#sql.exec(`INSERT INTO usage (date, caller, hour, used) VALUES (?, ?, ?, ?) ${adds}`, date, caller, hour, calls);
    this.#sql.exec(`INSERT INTO callers (date, caller, used) VALUES (?, ?, ?) ${adds}`, date, caller, calls);
    this.#sql.exec(`INSERT INTO hours (date, hour, used) VALUES (?, ?, ?) ${adds}`, date, hour, calls);
  }

  clearDay(date: string): void {
    this.#writeDay(
      `UPDATE days SET charged_when_observed = charged_when_observed - charged, charged = 0, projects = 0, untracked = 0
       WHERE date = ?`,
      date,
    );
    for (const table of COUNTS) this.#sql.exec(`DELETE FROM ${table} WHERE date = ?`, date);
  }

  setBase(date: string, base: number): void {
    this.openDay(date);
    this.#writeDay("UPDATE days SET provider_base = ? WHERE date = ?", base, date);
  }

  /** An operator's correction is no call that the provider could have counted since. */
  shiftObserved(date: string, by: number): void {
    this.#writeDay("UPDATE days SET charged_when_observed = charged_when_observed + ? WHERE date = ?", by, date);
  }

  observe(date: string, seen: { spent: number; limit: number | null; untracked: number; at: number }): void {
    this.openDay(date);
    this.#writeDay(
      `UPDATE days SET provider_spent = max(coalesce(provider_spent, 0), ?), provider_limit = coalesce(?, provider_limit),
         untracked = ?, observed_at = ?, charged_when_observed = charged WHERE date = ?`,
      seen.spent,
      seen.limit,
      seen.untracked,
      seen.at,
      date,
    );
  }

  setUntracked(date: string, untracked: number): void {
    this.openDay(date);
    this.#writeDay("UPDATE days SET untracked = ? WHERE date = ?", untracked, date);
  }

  /** For the burn rate: what was spent in this minute. */
  burn(now: number, calls: number): void {
    const sql = "INSERT INTO minutes (minute, used) VALUES (?, ?) ON CONFLICT DO UPDATE SET used = used + excluded.used";
    this.#sql.exec(sql, Math.floor(now / MINUTE_MS), calls);
  }

  /** Spent in the last 60 minutes, this one included. */
  burnedInLastHour(now: number): number {
    const since = Math.floor((now - HOUR_MS) / MINUTE_MS);
    const until = Math.floor(now / MINUTE_MS);
    const sql = "SELECT coalesce(sum(used), 0) AS used FROM minutes WHERE minute > ? AND minute <= ?";
    return this.#sql.exec<{ used: number }>(sql, since, until).one().used;
  }

  reservation(id: string): ReservationRow | null {
    return this.#sql.exec<ReservationRow>("SELECT * FROM reservations WHERE id = ?", id).toArray()[0] ?? null;
  }

  addReservation(row: Omit<ReservationRow, "state" | "charged" | "settled_at">): void {
    this.#sql.exec(
      `INSERT INTO reservations (id, state, fingerprint, caller, calls, batch_of, probe, opened_at, start_at, expires_at, spent_before,
         charged_before, charged_when_observed, pace_chain)
       VALUES (?, 'held', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      row.id,
      row.fingerprint,
      row.caller,
      row.calls,
      row.batch_of,
      row.probe,
      row.opened_at,
      row.start_at,
      row.expires_at,
      row.spent_before,
      row.charged_before,
      row.charged_when_observed,
      row.pace_chain,
    );
    if (this.#reserved !== null) this.#reserved += row.calls;
    if (this.#firstExpiry !== undefined) this.#firstExpiry = Math.min(this.#firstExpiry ?? row.expires_at, row.expires_at);
  }

  /**
   * The earliest slot of this chain that nobody will use, if it begins between the two times: given back, or said to have cost nothing,
   * before it began. It has a new holder then, and can't be handed out twice.
   */
  takeReturnedSlot(chain: number, after: number, until: number): number | null {
    const sql = `UPDATE reservations SET pace_chain = NULL WHERE id = (
        SELECT id FROM reservations WHERE charged = 0 AND pace_chain = ? AND start_at > ? AND start_at <= ? ORDER BY start_at LIMIT 1)
      RETURNING start_at`;
    return this.#sql.exec<{ start_at: number }>(sql, chain, after, until).toArray()[0]?.start_at ?? null;
  }

  settle(id: string, state: Exclude<ReservationRow["state"], "held">, charged: number, at: number): void {
    const held = this.#sql.exec<{ calls: number }>("SELECT calls FROM reservations WHERE id = ? AND state = 'held'", id).toArray()[0];
    if (this.#reserved !== null) this.#reserved -= held?.calls ?? 0;
    this.#firstExpiry = undefined;
    this.#sql.exec("UPDATE reservations SET state = ?, charged = ?, settled_at = ? WHERE id = ?", state, charged, at, id);
  }

  callerOf(id: string): string | null {
    return this.#sql.exec<{ caller: string }>("SELECT caller FROM reservations WHERE id = ?", id).toArray()[0]?.caller ?? null;
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

  /** Open batches of more than one ISBN: while the price is unknown there may be one at a time. */
  openBatches(): number {
    return this.#sql.exec<{ open: number }>("SELECT count(*) AS open FROM reservations WHERE state = 'held' AND batch_of > 1").one().open;
  }

  expiredHolds(now: number): ReservationRow[] {
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
    return this.#sql
      .exec<AuditRow>("SELECT id, at, action, actor, before, after FROM audit WHERE at >= ? ORDER BY seq DESC LIMIT 200", since)
      .toArray();
  }

  /** Deletes what no answer depends on any more. */
  purge(now: number): void {
    this.#sql.exec("DELETE FROM reservations WHERE state <> 'held' AND settled_at < ?", now - RESERVATION_KEPT_MS);
    this.#sql.exec("DELETE FROM minutes WHERE minute < ?", Math.floor((now - 2 * HOUR_MS) / MINUTE_MS));
    const oldest = dayOf(now - HISTORY_KEPT_DAYS * DAY_MS);
    this.#day = null;
    for (const table of [...COUNTS, "days"]) this.#sql.exec(`DELETE FROM ${table} WHERE date < ?`, oldest);
    this.#sql.exec("DELETE FROM audit WHERE at < ?", now - HISTORY_KEPT_DAYS * DAY_MS);
  }
}
