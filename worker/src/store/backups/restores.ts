/** Rows of restores. A project has at most one, because it can only be filled once. Times are epoch milliseconds. */
import { claimed, ifClaimed } from "../changes.ts";
import type { Operation } from "../changes.ts";
import { stored } from "../database.ts";
import { INSERT_EVENT } from "../events.ts";

export const RESTORE_STATUSES = ["running", "completed", "failed"] as const;

export interface RestoreRow {
  /** The new project. */
  readonly project_id: string;
  readonly backup_id: string;
  readonly source_project_id: string;
  readonly status: (typeof RESTORE_STATUSES)[number];
  /** Starts at 1. Each new request after a failure increments it. */
  readonly attempt: number;
  readonly job_id: string;
  readonly requested_by: string;
  readonly error: string | null;
  readonly changed_by: string;
  readonly created_at: number;
  readonly ended_at: number | null;
  readonly updated_at: number;
}

export type NewRestore = Pick<RestoreRow, "project_id" | "backup_id" | "source_project_id" | "job_id" | "requested_by">;

const AUDIT = `INSERT INTO audit_log (operation, at, actor, action, subject, project_id, before, after)
  SELECT ?2, ?3, ?4, 'backup.restore', 'backup:' || backup_id, source_project_id, 'null', json_object('project_id', project_id)
  FROM restores WHERE project_id = ?1 AND changed_by = ?2`;

/** Claims the project's id for this restore. False if a project or a restore with that id exists. */
export async function addRestore(db: D1Database, row: NewRestore, { id, actor, now }: Operation): Promise<boolean> {
  const sql = `INSERT INTO restores
    (project_id, backup_id, source_project_id, status, attempt, job_id, requested_by, changed_by, created_at, updated_at)
    SELECT ?1, ?2, ?3, 'running', 1, ?4, ?5, ?6, ?7, ?7
    WHERE NOT EXISTS (SELECT 1 FROM projects WHERE id = ?1) AND EXISTS (SELECT 1 FROM backups WHERE id = ?2 AND status = 'verified')
    ON CONFLICT DO NOTHING RETURNING project_id`;
  const { project_id, backup_id, source_project_id, job_id, requested_by } = row;
  const [added] = await stored(async () =>
    db.batch([
      db.prepare(sql).bind(project_id, backup_id, source_project_id, job_id, requested_by, id, now),
      db.prepare(AUDIT).bind(project_id, id, now, actor),
    ]),
  );
  return (added?.results ?? []).length > 0;
}

/** Removes a restore whose project was never created. Keeps it if another request has created the project meanwhile. */
export async function dropRestore(
  db: D1Database,
  { project_id, changed_by }: Pick<RestoreRow, "project_id" | "changed_by">,
): Promise<void> {
  const sql = "DELETE FROM restores WHERE project_id = ?1 AND changed_by = ?2 AND NOT EXISTS (SELECT 1 FROM projects WHERE id = ?1)";
  await stored(async () => db.prepare(sql).bind(project_id, changed_by).run());
}

export async function findRestore(db: D1Database, projectId: string): Promise<RestoreRow | null> {
  return stored(async () => db.prepare("SELECT * FROM restores WHERE project_id = ?").bind(projectId).first<RestoreRow>());
}

/** Removes an earlier restore into this id. Only if the operation has claimed the id for a project that is not restored. */
export const forgetRestoreStatement = (db: D1Database, projectId: string, operation: Operation): D1PreparedStatement =>
  ifClaimed(db, projectId, operation, `DELETE FROM restores WHERE project_id = ?1 AND ${claimed("projects")}`);

/**
 * Gives a failed restore to a new job. Another backup is only allowed if the project does not exist. False if the restore has not failed,
 * or another request was faster.
 */
export async function retryRestore(
  db: D1Database,
  seen: RestoreRow,
  next: Pick<RestoreRow, "backup_id" | "source_project_id" | "job_id">,
  { id, actor, now }: Operation,
): Promise<boolean> {
  const sql = `UPDATE restores SET status = 'running', attempt = attempt + 1, job_id = ?3, error = NULL, ended_at = NULL, changed_by = ?4,
    updated_at = ?5, backup_id = ?6, source_project_id = ?7 WHERE project_id = ?1 AND changed_by = ?2 AND status = 'failed'
    AND (backup_id = ?6 OR NOT EXISTS (SELECT 1 FROM projects WHERE id = ?1))
    AND EXISTS (SELECT 1 FROM backups WHERE id = ?6 AND status = 'verified') RETURNING project_id`;
  const { backup_id, source_project_id, job_id } = next;
  const [retried] = await stored(async () =>
    db.batch([
      db.prepare(sql).bind(seen.project_id, seen.changed_by, job_id, id, now, backup_id, source_project_id),
      db.prepare(AUDIT).bind(seen.project_id, id, now, actor),
    ]),
  );
  return (retried?.results ?? []).length > 0;
}

/** Records the result of a restore and adds the event. Idempotent. Another job's restore is left alone. */
export async function recordRestore(
  db: D1Database,
  { projectId, jobId, error }: { readonly projectId: string; readonly jobId: string; readonly error: string | null },
  now: number,
): Promise<void> {
  const status = error === null ? "completed" : "failed";
  const end = `UPDATE restores SET status = ?3, error = ?4, ended_at = ?5, updated_at = ?5, changed_by = ?2
    WHERE project_id = ?1 AND job_id = ?2 AND status = 'running'`;
  const event = `${INSERT_EVENT}
    SELECT 'restore.' || status || ':' || job_id, 'restore.' || status, project_id, json_object('project_id', project_id,
      'backup_id', backup_id, 'source_project_id', source_project_id, 'job_id', job_id, 'error', error), ?3
    FROM restores WHERE project_id = ?1 AND job_id = ?2 AND status <> 'running' ON CONFLICT (id) DO NOTHING`;
  await stored(async () =>
    db.batch([db.prepare(end).bind(projectId, jobId, status, error, now), db.prepare(event).bind(projectId, jobId, now)]),
  );
}

/** Running restores whose job has ended, or was not recorded in time. Into one project, or into all. */
export async function abandonedRestores(
  db: D1Database,
  { projectId, begunBefore, limit }: { readonly projectId: string | null; readonly begunBefore: number; readonly limit: number },
): Promise<RestoreRow[]> {
  const sql = `SELECT restores.* FROM restores LEFT JOIN jobs ON jobs.id = restores.job_id
    WHERE restores.status = 'running' AND (?1 IS NULL OR restores.project_id = ?1)
      AND CASE WHEN jobs.id IS NULL THEN restores.updated_at < ?2 ELSE jobs.ended_at IS NOT NULL END LIMIT ?3`;
  const { results } = await stored(async () => db.prepare(sql).bind(projectId, begunBefore, limit).all<RestoreRow>());
  return results;
}
