/** The reasons that suspend a project, and the decisions of sweeps. Times are epoch milliseconds. */
import { applyChange, claimed, ifClaimed } from "../changes.ts";
import type { AuditNote, Operation, Seen } from "../changes.ts";
import { olderThan, stored, where } from "../database.ts";
import { reactivatedStatement, suspendedStatement } from "../events.ts";
import type { CapType } from "../limits/meters.ts";
import { OPEN_REASONS, activeReasons, isOpen } from "./reasons.ts";

export interface NewSuspension {
  readonly reason: string;
  readonly capType: CapType | null;
  readonly detail: string | null;
  readonly until: number | null;
}

/**
 * Adds a reason. Returns false, and writes nothing, if it is open already or the project was changed meanwhile. An ended reason with the
 * same name is closed first. Its `lifted_by` stays null, because it ended automatically. The statements `more` run in the same transaction and
 * must check the claim themselves.
 */
export async function suspend(
  db: D1Database,
  project: Seen,
  { reason, capType, detail, until }: NewSuspension,
  operation: Operation,
  note: AuditNote,
  more: readonly D1PreparedStatement[] = [],
): Promise<boolean> {
  const condition = { sql: `NOT EXISTS (SELECT 1 ${activeReasons("projects.id", "?3")} AND s.reason = ?5)`, values: [reason] };
  const makeRoom = `UPDATE suspensions INDEXED BY ${OPEN_REASONS} SET lifted_at = until
    WHERE project_id = ?1 AND reason = ?3 AND lifted_at IS NULL AND until <= ?4 AND ${claimed("projects")}`;
  const add = `INSERT INTO suspensions (project_id, reason, cap_type, detail, since, until, actor)
    SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?8 WHERE ${claimed("projects")}`;
  const values = [reason, capType, detail, operation.now, until, operation.actor];
  return applyChange(db, { owner: "projects", seen: project, operation, note, condition }, [
    ifClaimed(db, project.id, operation, makeRoom, reason, operation.now),
    ifClaimed(db, project.id, operation, add, ...values),
    suspendedStatement(db, project.id, operation),
    ...more,
  ]);
}

/** The last time a manual change lifted a reason without an end. Null: never. */
export async function lastLifted(db: D1Database, projectId: string): Promise<number | null> {
  const sql = "SELECT max(lifted_at) AS at FROM suspensions WHERE project_id = ? AND lifted_by IS NOT NULL AND reason NOT LIKE 'quota:%'";
  return (await stored(async () => db.prepare(sql).bind(projectId).first<{ at: number | null }>()))?.at ?? null;
}

/** Lifts reasons by a manual change. Returns false if the project was changed meanwhile. */
export async function lift(
  db: D1Database,
  project: Seen,
  reasons: readonly string[],
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const sql = `UPDATE suspensions INDEXED BY ${OPEN_REASONS} SET lifted_at = ?4, lifted_by = ?5 WHERE project_id = ?1 AND ${isOpen("suspensions", "?4")}
    AND reason IN (SELECT value FROM json_each(?3)) AND ${claimed("projects")}`;
  const change = { owner: "projects", seen: project, operation, note } as const;
  return applyChange(db, change, [
    ifClaimed(db, project.id, operation, sql, JSON.stringify(reasons), operation.now, operation.actor),
    reactivatedStatement(db, project.id, operation),
  ]);
}

export interface SuspensionRow {
  readonly seq: number;
  readonly reason: string;
  readonly cap_type: CapType | null;
  readonly detail: string | null;
  readonly since: number;
  readonly until: number | null;
  readonly actor: string;
  /** When it was lifted. Null if it ended automatically. */
  readonly lifted_at: number | null;
  readonly lifted_by: string | null;
  readonly holds: number;
}

/** A project's reasons, including past ones, newest first. */
export async function listSuspensions(
  db: D1Database,
  projectId: string,
  { before, limit }: { readonly before: number | null; readonly limit: number },
  now: number,
): Promise<SuspensionRow[]> {
  const { sql, values } = where([{ sql: "s.project_id = ?", values: [projectId] }, olderThan(before)]);
  // A reason that ended automatically may have `lifted_at` in the table. The result shows `lifted_at` only with `lifted_by`.
  const columns =
    "s.seq, s.reason, s.cap_type, s.detail, s.since, s.until, s.actor, iif(s.lifted_by IS NULL, NULL, s.lifted_at) AS lifted_at";
  const list = `SELECT ${columns}, s.lifted_by, ${isOpen("s", "?1")} AS holds FROM suspensions s ${sql} ORDER BY s.seq DESC LIMIT ?`;
  const { results } = await stored(async () =>
    db
      .prepare(list)
      .bind(now, ...values, limit)
      .all<SuspensionRow>(),
  );
  return results;
}

/** Decision of a sweep about a project and a cap. */
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

/** Decisions with the usage they are based on, newest first. */
export async function listEvaluations(
  db: D1Database,
  projectId: string,
  { before, limit }: { readonly before: number | null; readonly limit: number },
): Promise<EvaluationRow[]> {
  const { sql, values } = where([{ sql: "project_id = ?", values: [projectId] }, olderThan(before)]);
  const query = db.prepare(`SELECT * FROM evaluations ${sql} ORDER BY seq DESC LIMIT ?`).bind(...values, limit);
  const { results } = await stored(async () => query.all<EvaluationRow>());
  return results;
}
