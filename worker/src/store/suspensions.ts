/** The reasons that stop a project, and the caps whose change lifts them. Times are epoch milliseconds. */
import { applyChange, claimed, ifClaimed } from "./changes.ts";
import type { AuditNote, Operation } from "./changes.ts";
import { stored } from "./database.ts";
import type { CapType } from "./meters.ts";
import { holds } from "./projects.ts";

interface ProjectSeen {
  readonly id: string;
  readonly changed_by: string;
}

export interface NewSuspension {
  readonly reason: string;
  readonly capType: CapType | null;
  readonly detail: string | null;
  readonly until: number | null;
}

/** Adds a reason by hand; one that holds already keeps its beginning. False where the project was changed meanwhile. */
export async function suspend(
  db: D1Database,
  project: ProjectSeen,
  { reason, capType, detail, until }: NewSuspension,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const add = `INSERT INTO suspensions (project_id, reason, cap_type, detail, since, until, actor)
    SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?8 WHERE ${claimed("projects")} ON CONFLICT DO NOTHING`;
  const values = [reason, capType, detail, operation.now, until, operation.actor];
  const change = { owner: "projects", id: project.id, seen: project.changed_by, operation, note } as const;
  return applyChange(db, change, [ifClaimed(db, project.id, operation, add, ...values)]);
}

/** Lifts reasons by hand. False where the project was changed meanwhile. */
export async function lift(
  db: D1Database,
  project: ProjectSeen,
  reasons: readonly string[],
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const sql = `UPDATE suspensions SET lifted_at = ?4, lifted_by = ?5 WHERE project_id = ?1 AND ${holds("suspensions", "?4")}
    AND reason IN (SELECT value FROM json_each(?3)) AND ${claimed("projects")}`;
  const change = { owner: "projects", id: project.id, seen: project.changed_by, operation, note } as const;
  return applyChange(db, change, [ifClaimed(db, project.id, operation, sql, JSON.stringify(reasons), operation.now, operation.actor)]);
}

export interface SuspensionRow {
  readonly seq: number;
  readonly reason: string;
  readonly cap_type: CapType | null;
  readonly detail: string | null;
  readonly since: number;
  readonly until: number | null;
  readonly actor: string;
  readonly lifted_at: number | null;
  readonly lifted_by: string | null;
  readonly holds: number;
}

/** A project's reasons, those of the past too, the newest first. */
export async function listSuspensions(
  db: D1Database,
  projectId: string,
  { before, limit }: { readonly before: number | null; readonly limit: number },
  now: number,
): Promise<SuspensionRow[]> {
  const sql = `SELECT s.*, ${holds("s", "?2")} AS holds FROM suspensions s
    WHERE s.project_id = ?1 AND (?3 IS NULL OR s.seq < ?3) ORDER BY s.seq DESC LIMIT ?4`;
  const { results } = await stored(async () => db.prepare(sql).bind(projectId, now, before, limit).all<SuspensionRow>());
  return results;
}

/** What a cap is changed to, and what that does. */
export interface CapChange {
  readonly type: CapType;
  readonly value: number | null;
  readonly gauge: boolean;
}

/** Thresholds in percent, for the notices that a change of the cap makes needless. */
interface CapsContext {
  readonly day: string;
  readonly thresholds: readonly number[];
}

/**
 * Sets caps, lifts the reasons that this cures, and marks the thresholds already reached under the new cap, without a message: all in one
 * transaction. False where the project was changed meanwhile: nothing was written.
 */
export async function changeCaps(
  db: D1Database,
  project: ProjectSeen,
  changes: readonly CapChange[],
  { day, thresholds }: CapsContext,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const json = JSON.stringify(changes);
  const changed = "SELECT value ->> 'type' AS type, value ->> 'value' AS value, value ->> 'gauge' AS gauge FROM json_each(?3)";
  // A counter nobody touched today is 0; a gauge nobody reported is unknown, and cures nothing.
  const use = (type: string, gauge: string) => `CASE ${gauge} WHEN 1
    THEN (SELECT level FROM gauges g WHERE g.project_id = ?1 AND g.meter = ${type})
    ELSE coalesce((SELECT used FROM counters n WHERE n.project_id = ?1 AND n.meter = ${type} AND n.day = ?4), 0) END`;
  const set = `UPDATE caps SET value = d.value, revision = revision + 1, updated_at = ?4 FROM (${changed}) AS d
    WHERE caps.project_id = ?1 AND caps.cap_type = d.type AND caps.value IS NOT d.value AND ${claimed("projects")}`;
  const cure = `UPDATE suspensions SET lifted_at = ?5, lifted_by = ?6
    FROM (SELECT d.*, ${use("d.type", "d.gauge")} AS used FROM (${changed}) AS d) AS d
    WHERE suspensions.project_id = ?1 AND ${holds("suspensions", "?5")} AND suspensions.reason = 'quota:' || d.type
      AND (d.value IS NULL OR d.used < d.value OR (d.used = d.value AND (d.gauge = 1 OR d.value = 0))) AND ${claimed("projects")}`;
  const mark = `INSERT INTO threshold_notices (project_id, cap_type, period, threshold, revision, at, sent)
    SELECT ?1, c.cap_type, ?4, t.value, c.revision, ?5, 0
    FROM (SELECT d.*, ${use("d.type", "d.gauge")} AS used FROM (${changed}) AS d) AS d
    JOIN caps c ON c.project_id = ?1 AND c.cap_type = d.type JOIN json_each(?6) AS t
    WHERE c.value > 0 AND d.used * 100 >= c.value * t.value AND ${claimed("projects")} ON CONFLICT DO NOTHING`;
  const change = { owner: "projects", id: project.id, seen: project.changed_by, operation, note } as const;
  return applyChange(db, change, [
    ifClaimed(db, project.id, operation, set, json, operation.now),
    ifClaimed(db, project.id, operation, cure, json, day, operation.now, operation.actor),
    ifClaimed(db, project.id, operation, mark, json, day, operation.now, JSON.stringify(thresholds)),
  ]);
}

/** What a sweep decided about a project and a cap. */
export type Decision = "ok" | "unlimited" | "unknown" | "exceeded" | "warned" | "suspended" | "lifted";

export interface EvaluationRow {
  readonly seq: number;
  readonly run: string;
  readonly at: number;
  readonly cap_type: CapType;
  readonly period: string;
  readonly used: number | null;
  readonly cap: number | null;
  readonly revision: number;
  readonly decision: Decision;
  readonly threshold: number | null;
  readonly dry_run: number;
}

/** Why each decision was taken, the newest first. */
export async function listEvaluations(
  db: D1Database,
  projectId: string,
  { before, limit }: { readonly before: number | null; readonly limit: number },
): Promise<EvaluationRow[]> {
  const sql = "SELECT * FROM evaluations WHERE project_id = ?1 AND (?2 IS NULL OR seq < ?2) ORDER BY seq DESC LIMIT ?3";
  const { results } = await stored(async () => db.prepare(sql).bind(projectId, before, limit).all<EvaluationRow>());
  return results;
}
