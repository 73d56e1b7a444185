/** When a reason stops a project, in SQL: for every statement that asks. Times are epoch milliseconds. */
import type { CapType } from "../limits/meters.ts";

export interface OpenSuspension {
  readonly reason: string;
  readonly cap_type: CapType | null;
  readonly detail: string | null;
  readonly since: number;
  readonly until: number | null;
}

/** The reasons that nobody lifted: a handful for each project, whatever its past. SQLite would rather read the past: both indexes begin with the project. */
export const OPEN_REASONS = "suspensions_open";

/** Whether a reason holds at `?now`: one with an end needs nobody to lift it. */
export const holds = (suspensions: string, now: string): string =>
  `${suspensions}.lifted_at IS NULL AND (${suspensions}.until IS NULL OR ${suspensions}.until > ${now})`;

/** FROM and WHERE of the reasons `s` that stop a project at `now`. */
export const heldBy = (project: string, now: string): string =>
  `FROM suspensions s INDEXED BY ${OPEN_REASONS} WHERE s.project_id = ${project} AND ${holds("s", now)}`;

/** The reasons that stop a project at `now`, as a JSON array. */
export const reasonsJson = (project: string, now: string): string =>
  `(SELECT json_group_array(json_object('reason', s.reason, 'cap_type', s.cap_type, 'detail', s.detail, 'since', s.since, 'until', s.until)
      ORDER BY s.since, s.reason) ${heldBy(project, now)})`;
