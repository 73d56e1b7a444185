/**
 * The ledger's totals: calls by caller, hour and minute, and the monitoring counters. One SQL operation per function, synchronous. The
 * cost of a decision does not depend on the number of callers: it reads sums and one caller's line.
 */
import { HOUR_MS, MINUTE_MS } from "../lib/time.ts";
import { OTHER_CALLERS, PROJECTS_CALLER } from "./types.ts";
import type { CallerTotals, CallerUse, Counter, StatusView } from "./types.ts";

/** The most callers that an answer names. */
export const LISTED_CALLERS = 50;
/** The most projects, and the most other callers, that a snapshot or an audit entry names. */
export const KEPT_CALLERS = 1_000;

/** Range of all keys with the prefix `project:`. `;` is the character after `:`. */
const PROJECTS = "caller >= 'project:' AND caller < 'project;'";
/** The other callers. Without `projects`, a recovery's sum of unnamed projects. */
const LABELS = `NOT (${PROJECTS}) AND caller <> '${PROJECTS_CALLER}'`;

/** The tables of a day's charges: by caller and hour, and the sums of each. */
const TABLES = ["usage", "callers", "hours"] as const;

/** A day, with the charges of all callers and of projects. */
interface Day {
  readonly date: string;
  readonly charged: number;
  readonly projects: number;
}

type HourUse = { hour: number; used: number };

export class LedgerTotals {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  charge(date: string, caller: string, hour: number, calls: number): void {
    const adds = "ON CONFLICT DO UPDATE SET used = used + excluded.used";
    this.#sql.exec(`INSERT INTO usage (date, caller, hour, used) VALUES (?, ?, ?, ?) ${adds}`, date, caller, hour, calls);
    this.#sql.exec(`INSERT INTO callers (date, caller, used) VALUES (?, ?, ?) ${adds}`, date, caller, calls);
    this.#sql.exec(`INSERT INTO hours (date, hour, used) VALUES (?, ?, ?) ${adds}`, date, hour, calls);
  }

  clearDay(date: string): void {
    for (const table of TABLES) this.#sql.exec(`DELETE FROM ${table} WHERE date = ?`, date);
  }

  /** Adds calls to the burn rate of this minute. `charged`: the charged part of them. */
  burn(now: number, calls: number, charged = 0): void {
    const sql = `INSERT INTO minutes (minute, used, charged) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET used = used + excluded.used, charged = charged + excluded.charged`;
    this.#sql.exec(sql, Math.floor(now / MINUTE_MS), calls, charged);
  }

  /** Calls spent in the last 60 minutes, including this one. */
  burnedInLastHour(now: number): number {
    const since = Math.floor((now - HOUR_MS) / MINUTE_MS);
    const until = Math.floor(now / MINUTE_MS);
    const sql = "SELECT coalesce(sum(used), 0) AS used FROM minutes WHERE minute > ? AND minute <= ?";
    return this.#sql.exec<{ used: number }>(sql, since, until).one().used;
  }

  /** Calls charged since the start of the minute of `since`. This may be slightly too many, never too few. */
  chargedSince(since: number): number {
    const sql = "SELECT coalesce(sum(charged), 0) AS charged FROM minutes WHERE minute >= ?";
    return this.#sql.exec<{ charged: number }>(sql, Math.floor(since / MINUTE_MS)).one().charged;
  }

  /** Clears the burn rate after an operator's correction, because earlier calls no longer predict later ones. */
  forgetBurnRate(): void {
    this.#sql.exec("DELETE FROM minutes");
  }

  usedBy(date: string, caller: string): number {
    const sql = "SELECT used FROM callers WHERE date = ? AND caller = ?";
    return this.#sql.exec<{ used: number }>(sql, date, caller).toArray()[0]?.used ?? 0;
  }

  /** The caller's own line, or the largest callers and one line for all others. */
  callers(day: Day, view: StatusView): CallerUse[] {
    if (view === "by_project") return this.listed(day);
    const used = view.own === null ? 0 : this.usedBy(day.date, view.own);
    return used === 0 ? [] : [{ caller: view.own ?? "", used }];
  }

  /** The largest callers, then one line for all others. */
  listed({ date, charged }: Day, limit = LISTED_CALLERS): CallerUse[] {
    const sql = "SELECT caller, used FROM callers WHERE date = ? AND used <> 0 ORDER BY used DESC, caller LIMIT ?";
    const named = this.#sql.exec<{ caller: string; used: number }>(sql, date, limit).toArray();
    const rest = charged - named.reduce((sum, { used }) => sum + used, 0);
    return rest === 0 ? named : [...named, { caller: OTHER_CALLERS, used: rest }];
  }

  /** The largest projects and the largest other callers with their reserved calls, for a recovery. Each has a line for its rest. */
  listedWithReserved({ date, charged, projects }: Day): CallerTotals[] {
    const list = (range: string, restCaller: string, used: number, reserved: number): CallerTotals[] => {
      const named = this.#withReserved(date, range);
      const rest = {
        caller: restCaller,
        used: used - named.reduce((sum, line) => sum + line.used, 0),
        reserved: reserved - named.reduce((sum, line) => sum + line.reserved, 0),
      };
      return rest.used === 0 && rest.reserved === 0 ? named : [...named, rest];
    };
    const [ofProjects, ofLabels] = [this.#reserved(PROJECTS), this.#reserved(LABELS)];
    return [...list(LABELS, OTHER_CALLERS, charged - projects, ofLabels), ...list(PROJECTS, PROJECTS_CALLER, projects, ofProjects)];
  }

  #withReserved(date: string, range: string): CallerTotals[] {
    const sql = `SELECT caller, sum(used) AS used, sum(reserved) AS reserved FROM (
        SELECT caller, used, 0 AS reserved FROM callers WHERE date = ? AND ${range}
        UNION ALL SELECT caller, 0, calls FROM reservations WHERE state = 'held' AND ${range})
      GROUP BY caller HAVING sum(used) <> 0 OR sum(reserved) <> 0 ORDER BY sum(used) + sum(reserved) DESC, caller LIMIT ?`;
    return this.#sql.exec<{ caller: string; used: number; reserved: number }>(sql, date, KEPT_CALLERS).toArray();
  }

  /** Reserved by all projects together. */
  reservedByProjects(): number {
    return this.#reserved(PROJECTS);
  }

  #reserved(range: string): number {
    const sql = `SELECT coalesce(sum(calls), 0) AS calls FROM reservations WHERE state = 'held' AND ${range}`;
    return this.#sql.exec<{ calls: number }>(sql).one().calls;
  }

  /** When the first reservation of any project expires. */
  nextExpiryOfProjects(): number | null {
    const sql = `SELECT min(expires_at) AS at FROM reservations WHERE state = 'held' AND ${PROJECTS}`;
    return this.#sql.exec<{ at: number | null }>(sql).one().at;
  }

  hours(date: string): HourUse[] {
    return this.#sql.exec<HourUse>("SELECT hour, used FROM hours WHERE date = ? ORDER BY hour", date).toArray();
  }

  hoursOf(date: string, caller: string): HourUse[] {
    return this.#sql.exec<HourUse>("SELECT hour, used FROM usage WHERE date = ? AND caller = ? ORDER BY hour", date, caller).toArray();
  }

  /** Raises a monitoring counter. It is written in the transaction of the counted change. */
  incrementCounter(name: Counter["name"], label: string, count = 1): void {
    const sql = "INSERT INTO tallies (name, label, count) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count";
    this.#sql.exec(sql, name, label, count);
  }

  counters(): Counter[] {
    return this.#sql.exec<Counter>("SELECT name, label, count FROM tallies ORDER BY name, label").toArray();
  }

  purge(now: number, oldestDay: string): void {
    this.#sql.exec("DELETE FROM minutes WHERE minute < ?", Math.floor((now - 2 * HOUR_MS) / MINUTE_MS));
    for (const table of TABLES) this.#sql.exec(`DELETE FROM ${table} WHERE date < ?`, oldestDay);
  }
}
