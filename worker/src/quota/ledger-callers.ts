/**
 * Who spent a day's calls. Reads only; synchronous. No decision may cost more the more projects there are: it is answered with sums,
 * and only who asks for the list gets one, of bounded length.
 */
import type { LedgerStore } from "./ledger-store.ts";
import { LISTED_PROJECTS, PROJECTS_CALLER } from "./types.ts";
import type { CallerStanding, CallerUse, StatusView } from "./types.ts";

/** `project:` and what follows it; `;` is the character after `:`. */
const PROJECTS = "caller >= 'project:' AND caller < 'project;'";
/** The others, as two ranges of the key. What a recovery knows of projects only as a sum belongs to neither. */
const OTHERS = ["caller < 'project:'", `caller >= 'project;' AND caller <> '${PROJECTS_CALLER}'`];
const OTHERS_OF_A_DAY = OTHERS.map((range) => `SELECT caller, used FROM callers WHERE date = ?1 AND ${range} AND used <> 0`).join(
  " UNION ALL ",
);

export class LedgerCallers {
  readonly #sql: SqlStorage;
  readonly #store: LedgerStore;

  constructor(sql: SqlStorage, store: LedgerStore) {
    this.#sql = sql;
    this.#store = store;
  }

  usedBy(date: string, caller: string): number {
    const sql = "SELECT used FROM callers WHERE date = ? AND caller = ?";
    return this.#sql.exec<{ used: number }>(sql, date, caller).toArray()[0]?.used ?? 0;
  }

  shown(date: string, view: StatusView): CallerUse[] {
    return view === "by_project" ? this.listed(date) : this.#summed(date, view.own);
  }

  /** Every caller that is no project, and all projects in one line, but for `own`. */
  #summed(date: string, own: string | null): CallerUse[] {
    const ownUsed = own?.startsWith("project:") ? this.usedBy(date, own) : 0;
    const projects = [
      { caller: PROJECTS_CALLER, used: this.#usedByProjects(date) - ownUsed },
      { caller: own ?? "", used: ownUsed },
    ];
    return [...this.#others(date), ...projects.filter(({ used }) => used !== 0)];
  }

  /** Every caller that is no project, the largest projects by name, and the others in one line. */
  listed(date: string, projects = LISTED_PROJECTS): CallerUse[] {
    const sql = `SELECT caller, used FROM callers WHERE date = ? AND ${PROJECTS} AND used <> 0 ORDER BY used DESC, caller LIMIT ?`;
    const named = this.#sql.exec<{ caller: string; used: number }>(sql, date, projects).toArray();
    const rest = this.#usedByProjects(date) - named.reduce((sum, { used }) => sum + used, 0);
    return [...this.#others(date), ...named, ...(rest === 0 ? [] : [{ caller: PROJECTS_CALLER, used: rest }])];
  }

  /** The same with what each holds: what a recovery begins with. */
  standing(date: string): CallerStanding[] {
    const named = this.#standing(date, PROJECTS, LISTED_PROJECTS);
    const rest = {
      caller: PROJECTS_CALLER,
      used: this.#usedByProjects(date) - named.reduce((sum, { used }) => sum + used, 0),
      reserved: this.reservedByProjects() - named.reduce((sum, { reserved }) => sum + reserved, 0),
    };
    const others = OTHERS.flatMap((range) => this.#standing(date, range, -1));
    return [...others, ...named, ...(rest.used === 0 && rest.reserved === 0 ? [] : [rest])];
  }

  /** A limit of -1 is none. */
  #standing(date: string, range: string, limit: number): CallerStanding[] {
    const sql = `SELECT caller, sum(used) AS used, sum(reserved) AS reserved FROM (
        SELECT caller, used, 0 AS reserved FROM callers WHERE date = ? AND ${range}
        UNION ALL SELECT caller, 0, calls FROM reservations WHERE state = 'held' AND ${range})
      GROUP BY caller HAVING sum(used) <> 0 OR sum(reserved) <> 0 ORDER BY sum(used) + sum(reserved) DESC, caller LIMIT ?`;
    return this.#sql.exec<{ caller: string; used: number; reserved: number }>(sql, date, limit).toArray();
  }

  /** Held by all projects together. */
  reservedByProjects(): number {
    const sql = `SELECT coalesce(sum(calls), 0) AS calls FROM reservations WHERE state = 'held' AND ${PROJECTS}`;
    return this.#sql.exec<{ calls: number }>(sql).one().calls;
  }

  /** When the first hold of any project ends. */
  nextExpiryOfProjects(): number | null {
    const sql = `SELECT min(expires_at) AS at FROM reservations WHERE state = 'held' AND ${PROJECTS}`;
    return this.#sql.exec<{ at: number | null }>(sql).one().at;
  }

  hours(date: string): { hour: number; used: number }[] {
    const sql = "SELECT hour, used FROM hours WHERE date = ? ORDER BY hour";
    return this.#sql.exec<{ hour: number; used: number }>(sql, date).toArray();
  }

  hoursOf(date: string, caller: string): { hour: number; used: number }[] {
    const sql = "SELECT hour, used FROM usage WHERE date = ? AND caller = ? ORDER BY hour";
    return this.#sql.exec<{ hour: number; used: number }>(sql, date, caller).toArray();
  }

  #others(date: string): CallerUse[] {
    return this.#sql.exec<{ caller: string; used: number }>(OTHERS_OF_A_DAY, date).toArray();
  }

  #usedByProjects(date: string): number {
    return this.#store.day(date).projects;
  }
}
