/** SQL for the reasons that currently suspend a project. Times are epoch milliseconds. */
import type { CapType } from "../limits/meters.ts";

export interface OpenSuspension {
  readonly reason: string;
  readonly cap_type: CapType | null;
  readonly detail: string | null;
  readonly since: number;
  readonly until: number | null;
}

/**
 * Index of the open reasons: a handful per project, however long its history. It must be named, because SQLite would otherwise choose the
 * index of the history.
 */
export const OPEN_REASONS = "suspensions_open";

/** SQL condition: the reason is open at `?now`. A reason with an end expires automatically. */
export const isOpen = (suspensions: string, now: string): string =>
  `${suspensions}.lifted_at IS NULL AND (${suspensions}.until IS NULL OR ${suspensions}.until > ${now})`;

/** FROM clause and condition of the reasons `s` that suspend a project at `now`. */
export const activeReasons = (project: string, now: string): string =>
  `FROM suspensions s INDEXED BY ${OPEN_REASONS} WHERE s.project_id = ${project} AND ${isOpen("s", now)}`;

/** The reasons that suspend a project at `now`, as a JSON array. */
export const reasonsJson = (project: string, now: string): string =>
  `(SELECT json_group_array(json_object('reason', s.reason, 'cap_type', s.cap_type, 'detail', s.detail, 'since', s.since, 'until', s.until)
      ORDER BY s.since, s.reason) ${activeReasons(project, now)})`;
