/**
 * The sweep's SQL: checks a page of projects in a few statements and one transaction. It first records its decisions with the usage they
 * are based on (`evaluations`), then carries them out. A dry run stops after the first part, so that its plan equals a real run. Times are
 * epoch milliseconds.
 */
import { stored } from "../database.ts";
import { INSERT_EVENT } from "../events.ts";
import type { CapType } from "./meters.ts";
import { OPEN_REASONS, activeReasons, isOpen } from "../suspension/reasons.ts";
import type { Decision } from "../suspension/suspensions.ts";

/** Scope and rules of a sweep. */
export interface Sweep {
  /** Id of the job. All its rows carry it, so that repeating a page returns the same result. */
  readonly run: string;
  readonly now: number;
  /** UTC, YYYY-MM-DD. */
  readonly day: string;
  /** When the day and the suspensions by its counters end. */
  readonly dayEndsAt: number;
  readonly types: readonly { readonly type: CapType; readonly gauge: boolean }[];
  /** Number of cap rows that every project has. A project with fewer is damaged. */
  readonly capsOfProject: number;
  /** Percent. */
  readonly thresholds: readonly number[];
  /** null: all. */
  readonly projectIds: readonly string[] | null;
  readonly dryRun: boolean;
}

/** Projects whose ids lie in `(after, last]`. */
export interface Page {
  readonly after: string;
  readonly last: string;
  readonly projects: number;
}

/** An action of a sweep, taken or planned. */
export interface Action {
  readonly project_id: string;
  readonly cap_type: CapType;
  readonly decision: Extract<Decision, "warned" | "suspended" | "lifted">;
  readonly threshold: number | null;
  readonly used: number | null;
  readonly cap: number | null;
}

export interface Damage {
  readonly project_id: string;
  readonly error: string;
}

const SELECTED = "p.lifecycle = 'ACTIVE' AND p.provisioning = 'done' AND (?2 IS NULL OR p.id IN (SELECT value FROM json_each(?2)))";

const jsonOrNull = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

/** The next page of projects after an id (start with ""). Null after the last one. */
export async function getActiveProjects(db: D1Database, { projectIds }: Sweep, after: string, size: number): Promise<Page | null> {
  const sql = `SELECT max(id) AS last, count(*) AS projects FROM
    (SELECT p.id FROM projects p WHERE p.id > ?1 AND ${SELECTED} ORDER BY p.id LIMIT ?3)`;
  const query = db.prepare(sql).bind(after, jsonOrNull(projectIds), size);
  const found = await stored(async () => query.first<{ last: string | null; projects: number }>());
  return found === null || found.last === null ? null : { after, last: found.last, projects: found.projects };
}

/**
 * ?1 after, ?2 ids, ?3 last, ?4 day, ?5 types, ?6 now, ?7 caps of a project, ?8 thresholds. Parts that are read more than once are
 * materialized. Otherwise SQLite computes them again each time, and a page takes 50% longer.
 */
const PAGE = `WITH
  page AS (SELECT p.id FROM projects p WHERE p.id > ?1 AND p.id <= ?3 AND ${SELECTED}),
  types AS (SELECT value ->> 'type' AS type, value ->> 'gauge' AS gauge FROM json_each(?5)),
  damaged AS MATERIALIZED (
    SELECT page.id AS project_id, CASE
        WHEN count(c.cap_type) < ?7 THEN 'a cap is missing'
        WHEN total(typeof(c.value) NOT IN ('integer', 'null')) > 0 THEN 'a cap is not a whole number'
        WHEN total(typeof(n.used) NOT IN ('integer', 'null')) > 0 THEN 'a counter is not a whole number'
        WHEN total(typeof(g.level) NOT IN ('integer', 'null')) > 0 THEN 'a gauge is not a whole number' END AS error
    FROM page LEFT JOIN caps c ON c.project_id = page.id
    LEFT JOIN counters n ON n.project_id = page.id AND n.meter = c.cap_type AND n.day = ?4
    LEFT JOIN gauges g ON g.project_id = page.id AND g.meter = c.cap_type
    GROUP BY page.id HAVING error IS NOT NULL)`;

const PLAN = `${PAGE},
  measured AS (
    SELECT c.project_id, c.cap_type, c.value AS cap, c.revision, types.gauge,
      CASE types.gauge WHEN 1 THEN max(g.level, 0) ELSE coalesce(n.used, 0) END AS used
    FROM page JOIN caps c ON c.project_id = page.id JOIN types ON types.type = c.cap_type
    LEFT JOIN counters n ON n.project_id = c.project_id AND n.meter = c.cap_type AND n.day = ?4
    LEFT JOIN gauges g ON g.project_id = c.project_id AND g.meter = c.cap_type
    WHERE page.id NOT IN (SELECT project_id FROM damaged)),
  -- The rules of tenants/limits/thresholds.ts.
  compared AS MATERIALIZED (
    SELECT *, coalesce(CASE WHEN cap = 0 OR gauge = 1 THEN used > cap ELSE used >= cap END, 0) AS exceeded FROM measured),
  -- Reasons that end: their period is over, or the level is back at the cap.
  lifted AS MATERIALIZED (
    SELECT s.seq, compared.* FROM compared JOIN suspensions s INDEXED BY ${OPEN_REASONS}
      ON s.project_id = compared.project_id AND s.lifted_at IS NULL AND s.reason = 'quota:' || compared.cap_type
    WHERE s.until <= ?6 OR (s.until IS NULL AND gauge = 1 AND NOT exceeded AND (used IS NOT NULL OR cap IS NULL))),
  stopped AS MATERIALIZED (
    SELECT s.project_id FROM page JOIN suspensions s INDEXED BY ${OPEN_REASONS} ON s.project_id = page.id AND ${isOpen("s", "?6")}
    WHERE s.seq NOT IN (SELECT seq FROM lifted)),
  reached AS MATERIALIZED (
    SELECT compared.project_id, compared.cap_type, max(t.value) AS threshold FROM compared JOIN json_each(?8) AS t
    WHERE cap > 0 AND used * 100 >= cap * t.value AND NOT EXISTS (SELECT 1 FROM threshold_notices x
      WHERE x.project_id = compared.project_id AND x.cap_type = compared.cap_type AND x.period = ?4 AND x.threshold = t.value
        AND x.revision = compared.revision)
    GROUP BY 1, 2),
  decided AS (
    SELECT compared.*, CASE
        WHEN cap IS NULL THEN 'unlimited' WHEN used IS NULL THEN 'unknown'
        WHEN exceeded AND compared.project_id IN (SELECT project_id FROM stopped) THEN 'exceeded'
        WHEN exceeded THEN 'suspended'
        WHEN threshold IS NOT NULL AND compared.project_id NOT IN (SELECT project_id FROM stopped) THEN 'warned'
        ELSE 'ok' END AS decision, threshold
    FROM compared LEFT JOIN reached ON reached.project_id = compared.project_id AND reached.cap_type = compared.cap_type
    UNION ALL
    SELECT project_id, cap_type, cap, revision, gauge, used, exceeded, 'lifted', NULL FROM lifted)`;

/** ?9 run, ?10 dry run. */
const DECIDE = `${PLAN} INSERT INTO evaluations (project_id, run, at, cap_type, period, used, cap, revision, decision, threshold, dry_run)
  SELECT project_id, ?9, ?6, cap_type, ?4, used, cap, revision, decision, CASE decision WHEN 'warned' THEN threshold END, ?10 FROM decided
  ORDER BY project_id, decision <> 'lifted', cap_type ON CONFLICT DO NOTHING`;

/** The rows that this run wrote for this page. ?1 run, ?2 after, ?3 last. */
const OWN = "e.run = ?1 AND e.project_id > ?2 AND e.project_id <= ?3";

/** ?4 now. */
const LIFT = `UPDATE suspensions INDEXED BY ${OPEN_REASONS} SET lifted_at = ?4, lifted_by = ?1 FROM evaluations e
  WHERE ${OWN} AND e.decision = 'lifted' AND suspensions.project_id = e.project_id AND suspensions.lifted_at IS NULL
    AND suspensions.reason = 'quota:' || e.cap_type AND e.at = ?4`;

/** ?4 now, ?5 end of the current day, ?6 types. */
const SUSPEND = `INSERT INTO suspensions (project_id, reason, cap_type, detail, since, until, actor)
  SELECT e.project_id, 'quota:' || e.cap_type, e.cap_type, e.used || ' of ' || e.cap, ?4, CASE t.value ->> 'gauge' WHEN 1 THEN NULL ELSE ?5 END, ?1
  FROM evaluations e JOIN json_each(?6) AS t ON t.value ->> 'type' = e.cap_type
  WHERE ${OWN} AND e.decision = 'suspended' AND e.at = ?4 ON CONFLICT DO NOTHING`;

/**
 * The run that inserts the row sends the notice. One notice covers all thresholds of a cap. A suspension needs no further notice. ?4 now,
 * ?5 thresholds.
 */
const NOTE = `INSERT INTO threshold_notices (project_id, cap_type, period, threshold, revision, at, sent)
  SELECT e.project_id, e.cap_type, e.period, t.value, e.revision, ?4, e.decision = 'warned'
  FROM evaluations e JOIN json_each(?5) AS t
  WHERE ${OWN} AND e.decision IN ('warned', 'suspended') AND e.at = ?4 AND e.cap > 0 AND e.used * 100 >= e.cap * t.value ON CONFLICT DO NOTHING`;

/** ?5 end of the current day, ?6 thresholds. */
const WARNING_EVENTS = `${INSERT_EVENT}
  SELECT 'quota.warning:' || e.project_id || ':' || e.cap_type || ':' || e.period || ':' || e.revision || ':' || e.threshold,
    'quota.warning', e.project_id,
    json_object('project_id', e.project_id, 'cap_type', e.cap_type, 'used', e.used, 'cap', e.cap, 'threshold', e.threshold,
      'thresholds_reached', (SELECT json_group_array(t.value) FROM json_each(?6) AS t WHERE t.value <= e.threshold), 'period', e.period,
      'reset_at', strftime('%Y-%m-%dT%H:%M:%SZ', ?5 / 1000, 'unixepoch')), ?4
  FROM evaluations e WHERE ${OWN} AND e.decision = 'warned' AND e.at = ?4 ON CONFLICT DO NOTHING`;

const SUSPENDED_EVENTS = `${INSERT_EVENT}
  SELECT 'project.suspended:' || e.project_id || ':' || ?1, 'project.suspended', e.project_id,
    json_object('project_id', e.project_id, 'reasons', json_group_array(
      json_object('reason', 'quota:' || e.cap_type, 'cap_type', e.cap_type, 'used', e.used, 'cap', e.cap) ORDER BY e.cap_type)), ?4
  FROM evaluations e WHERE ${OWN} AND e.decision = 'suspended' AND e.at = ?4 GROUP BY e.project_id ON CONFLICT DO NOTHING`;

const REACTIVATED_EVENTS = `${INSERT_EVENT}
  SELECT 'project.reactivated:' || e.project_id || ':' || ?1, 'project.reactivated', e.project_id,
    json_object('project_id', e.project_id, 'reasons', json_group_array('quota:' || e.cap_type ORDER BY e.cap_type)), ?4
  FROM evaluations e WHERE ${OWN} AND e.decision = 'lifted' AND e.at = ?4
    AND NOT EXISTS (SELECT 1 ${activeReasons("e.project_id", "?4")})
  GROUP BY e.project_id ON CONFLICT DO NOTHING`;

const ACTIONS = `SELECT project_id, cap_type, decision, threshold, used, cap FROM evaluations e
  WHERE ${OWN} AND e.decision IN ('warned', 'suspended', 'lifted') ORDER BY e.seq`;

/** Records each decision with the usage it is based on. */
const recordQuotaCheck = (db: D1Database, values: readonly unknown[]): D1PreparedStatement => db.prepare(DECIDE).bind(...values);

/** One event for each cap of a project that passed thresholds. */
const sendWarning = (db: D1Database, values: readonly unknown[]): D1PreparedStatement => db.prepare(WARNING_EVENTS).bind(...values);

/**
 * Checks a page in one transaction: decides and, unless it is a dry run, lifts, suspends and warns. Idempotent within a run: repeating a
 * page changes nothing and returns the same result.
 */
export async function checkProjectQuotas(db: D1Database, sweep: Sweep, page: Page): Promise<{ actions: Action[]; damaged: Damage[] }> {
  const { run, now, day, dayEndsAt, dryRun } = sweep;
  const [types, thresholds] = [JSON.stringify(sweep.types), JSON.stringify(sweep.thresholds)];
  const scope = [page.after, jsonOrNull(sweep.projectIds), page.last, day, types, now, sweep.capsOfProject];
  const own = [run, page.after, page.last];
  const effects = [
    db.prepare(LIFT).bind(...own, now),
    db.prepare(SUSPEND).bind(...own, now, dayEndsAt, types),
    db.prepare(NOTE).bind(...own, now, thresholds),
    sendWarning(db, [...own, now, dayEndsAt, thresholds]),
    db.prepare(SUSPENDED_EVENTS).bind(...own, now),
    db.prepare(REACTIVATED_EVENTS).bind(...own, now),
  ];
  const statements = [
    db.prepare(`${PAGE} SELECT project_id, error FROM damaged ORDER BY project_id`).bind(...scope),
    recordQuotaCheck(db, [...scope, thresholds, run, dryRun ? 1 : 0]),
    ...(dryRun ? [] : effects),
    db.prepare(ACTIONS).bind(...own),
  ];
  const results = await stored(async () => db.batch(statements));
  return { damaged: (results.at(0)?.results ?? []) as Damage[], actions: (results.at(-1)?.results ?? []) as Action[] };
}

/** The given ids that are not active projects. */
export async function findInactiveProjects(db: D1Database, ids: readonly string[]): Promise<string[]> {
  const sql = `SELECT DISTINCT value AS id FROM json_each(?) WHERE value NOT IN (SELECT id FROM projects WHERE lifecycle = 'ACTIVE' AND provisioning = 'done')`;
  const { results } = await stored(async () => db.prepare(sql).bind(JSON.stringify(ids)).all<{ id: string }>());
  return results.map(({ id }) => id);
}
