/** The monthly reset's SQL: closes the periods of a page of organizations. Times are epoch milliseconds. */
import { stored } from "../database.ts";
import { INSERT_EVENT } from "../events.ts";
import { MAKE_PERIODS } from "./periods.ts";
import type { PeriodOf } from "./periods.ts";
import { OPEN_REASONS, isOpen } from "../suspension/reasons.ts";

export interface DueOrganization {
  readonly id: string;
  readonly billing_anchor: number;
  /** The first period that is not closed. Null without a row. */
  readonly first_open: number | null;
}

/** Organizations after an id that have a period to close, or no current period. */
export async function dueOrganizations(db: D1Database, after: string, limit: number, now: number): Promise<DueOrganization[]> {
  const sql = `SELECT o.id, o.billing_anchor,
      coalesce((SELECT max(b.period_index) + 1 FROM billing_periods b WHERE b.organization_id = o.id AND b.closed_at IS NOT NULL),
        (SELECT min(b.period_index) FROM billing_periods b WHERE b.organization_id = o.id)) AS first_open
    FROM organizations o
    WHERE o.id > ?1 AND (
      o.id IN (SELECT b.organization_id FROM billing_periods b WHERE b.closed_at IS NULL AND b.ends_at <= ?2)
      OR NOT EXISTS (SELECT 1 FROM billing_periods b WHERE b.organization_id = o.id AND b.starts_at <= ?2 AND b.ends_at > ?2))
    ORDER BY o.id LIMIT ?3`;
  const { results } = await stored(async () => db.prepare(sql).bind(after, now, limit).all<DueOrganization>());
  return results;
}

export interface ResetOutcome {
  /** Periods closed. */
  readonly closed: number;
  /** Reasons lifted because they had ended. */
  readonly lifted: number;
}

/**
 * Creates missing periods, closes those that have ended, and lifts the reasons that ended with them, in one transaction. A closed period
 * keeps its total. Later reports go to its adjustments.
 */
export async function closePeriods(
  db: D1Database,
  periods: readonly PeriodOf[],
  { run, now }: { readonly run: string; readonly now: number },
): Promise<ResetOutcome> {
  const json = JSON.stringify(periods);
  const organizations = JSON.stringify([...new Set(periods.map(({ organization }) => organization))]);
  const close = `UPDATE billing_periods SET closed_at = ?2
    WHERE closed_at IS NULL AND ends_at <= ?2 AND organization_id IN (SELECT value FROM json_each(?1)) RETURNING period_index`;
  const lift = `UPDATE suspensions INDEXED BY ${OPEN_REASONS} SET lifted_at = ?2, lifted_by = ?3
    WHERE lifted_at IS NULL AND until <= ?2 AND reason LIKE 'quota:%'
      AND project_id IN (SELECT p.id FROM projects p WHERE p.organization_id IN (SELECT value FROM json_each(?1)) AND p.lifecycle = 'ACTIVE')
    RETURNING seq`;
  const events = `${INSERT_EVENT}
    SELECT 'project.reactivated:' || s.project_id || ':' || ?3, 'project.reactivated', s.project_id,
      json_object('project_id', s.project_id, 'reasons', json_group_array(s.reason ORDER BY s.reason)), ?2
    FROM suspensions s JOIN projects p ON p.id = s.project_id
    WHERE p.organization_id IN (SELECT value FROM json_each(?1)) AND s.lifted_at = ?2 AND s.lifted_by = ?3
      AND NOT EXISTS (SELECT 1 FROM suspensions o INDEXED BY ${OPEN_REASONS} WHERE o.project_id = s.project_id AND ${isOpen("o", "?2")})
    GROUP BY s.project_id ON CONFLICT DO NOTHING`;
  const [, closed, lifted] = await stored(async () =>
    db.batch([
      db.prepare(MAKE_PERIODS).bind(json),
      db.prepare(close).bind(organizations, now),
      db.prepare(lift).bind(organizations, now, run),
      db.prepare(events).bind(organizations, now, run),
    ]),
  );
  return { closed: closed?.results.length ?? 0, lifted: lifted?.results.length ?? 0 };
}
