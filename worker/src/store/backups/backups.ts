/** Rows of backups of projects' databases. Times are epoch milliseconds, sizes are bytes, hashes are SHA-256 in hex. */
import { applyChange, auditStatement, ifClaimed } from "../changes.ts";
import type { AuditNote, Operation } from "../changes.ts";
import { createdBefore, stored, where } from "../database.ts";
import type { After } from "../database.ts";
import { INSERT_EVENT } from "../events.ts";

export const EXPORT_TYPES = ["full", "schema"] as const;
/** `full`: schema and rows. `schema`: no rows. */
export type ExportType = (typeof EXPORT_TYPES)[number];

/** Statuses in the API, which hides backups that are being deleted. `outdated`: made and verified by an earlier release. */
export const BACKUP_STATUSES = ["running", "verified", "failed", "outdated"] as const;
export type BackupStatus = (typeof BACKUP_STATUSES)[number];

/** Manifest name of the current format. Earlier backups, which were compared only with their own dump, have a different name. */
export const CURRENT_MANIFEST = "manifest.v2.json";

/** Facts that are known once the backup was restored and compared. */
export interface BackupFacts {
  readonly manifest_key: string;
  readonly schema_hash: string;
  readonly schema_version: number;
  readonly table_count: number;
  readonly row_count: number;
  readonly part_count: number;
  readonly sql_bytes: number;
  readonly stored_bytes: number;
  /** Hash of the whole file. */
  readonly sha256: string;
  /** Result of the copies to Telegram. Null: no bot is configured. */
  readonly copies: "sent" | "failed" | null;
}

export interface BackupRow extends Partial<{ readonly [Name in keyof BackupFacts]: BackupFacts[Name] | null }> {
  readonly id: string;
  readonly project_id: string;
  readonly export_type: ExportType;
  readonly status: Exclude<BackupStatus, "outdated"> | "deleting";
  readonly job_id: string;
  readonly requested_by: string;
  /** Number of the freeze under which the database is read. */
  readonly moment: number;
  readonly taken_at: number | null;
  readonly error: string | null;
  readonly changed_by: string;
  readonly created_at: number;
  readonly ended_at: number | null;
  readonly updated_at: number;
}

/** A backup with all parts and hashes. */
export type VerifiedBackup = BackupRow & BackupFacts & { readonly taken_at: number };

/** Whether the backup has the current format. */
export const isCurrent = ({ manifest_key }: BackupRow): boolean => (manifest_key ?? "").endsWith(`/${CURRENT_MANIFEST}`);

/** Whether the backup was verified, by the current release or an earlier one. */
export const isRestorable = (row: BackupRow): row is VerifiedBackup => row.status === "verified";

export const isVerified = (row: BackupRow): row is VerifiedBackup => isRestorable(row) && isCurrent(row);

/** Status in the API. */
export const statusOf = (row: BackupRow): BackupStatus | "deleting" => (isRestorable(row) && !isCurrent(row) ? "outdated" : row.status);

export type NewBackup = Pick<BackupRow, "id" | "project_id" | "export_type" | "job_id" | "requested_by">;

/**
 * Records a running backup. Returns the row of this id, whether it is new or not. Returns null if another backup of the project is
 * running. Nothing is written then.
 */
export async function addBackup(
  db: D1Database,
  row: NewBackup,
  operation: Operation,
  note: AuditNote,
): Promise<{ readonly row: BackupRow; readonly created: boolean } | null> {
  const sql = `INSERT INTO backups (id, changed_by, project_id, export_type, status, job_id, requested_by, created_at, updated_at, scratch)
    VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?6, ?7, ?7, 1) ON CONFLICT DO NOTHING`;
  const { id, project_id, export_type, job_id, requested_by } = row;
  const results = await stored(async () =>
    db.batch<BackupRow>([
      ifClaimed(db, id, operation, sql, project_id, export_type, job_id, requested_by, operation.now),
      auditStatement(db, "backups", id, operation, note),
      db.prepare("SELECT * FROM backups WHERE id = ?").bind(id),
    ]),
  );
  const written = results.at(-1)?.results[0];
  return written === undefined ? null : { row: written, created: written.changed_by === operation.id };
}

export async function findBackup(db: D1Database, id: string): Promise<BackupRow | null> {
  return stored(async () => db.prepare("SELECT * FROM backups WHERE id = ?").bind(id).first<BackupRow>());
}

export async function runningBackup(db: D1Database, projectId: string): Promise<BackupRow | null> {
  const sql = "SELECT * FROM backups WHERE project_id = ? AND status = 'running'";
  return stored(async () => db.prepare(sql).bind(projectId).first<BackupRow>());
}

export interface BackupFilter {
  readonly projectId: string;
  readonly status: BackupStatus | null;
  readonly after: After | null;
  readonly limit: number;
}

const HAS_CURRENT_MANIFEST = `manifest_key LIKE '%/${CURRENT_MANIFEST}'`;

function statusConditions(status: BackupStatus | null): { readonly sql: string; readonly values: string[] }[] {
  if (status === null) return [{ sql: "status <> 'deleting'", values: [] }];
  const stored = { sql: "status = ?", values: [status === "outdated" ? "verified" : status] };
  if (status === "verified") return [stored, { sql: HAS_CURRENT_MANIFEST, values: [] }];
  return status === "outdated" ? [stored, { sql: `NOT ${HAS_CURRENT_MANIFEST}`, values: [] }] : [stored];
}

/** The newest first. */
export async function listBackups(db: D1Database, { projectId, status, after, limit }: BackupFilter): Promise<BackupRow[]> {
  const { sql, values } = where([
    { sql: "project_id = ?", values: [projectId] },
    ...statusConditions(status),
    createdBefore(after, "backups"),
  ]);
  const query = db.prepare(`SELECT * FROM backups ${sql} ORDER BY created_at DESC, id DESC LIMIT ?`).bind(...values, limit);
  const { results } = await stored(async () => query.all<BackupRow>());
  return results;
}

/** Records a freeze, to which all later parts belong. False if the backup is no longer running. */
export async function beginMoment(db: D1Database, id: string, moment: number, now: number): Promise<boolean> {
  const sql = "UPDATE backups SET moment = ?2, taken_at = ?3, updated_at = ?3 WHERE id = ?1 AND status = 'running' RETURNING id";
  return (await stored(async () => db.prepare(sql).bind(id, moment, now).first())) !== null;
}

const INSERT_END_EVENT = `${INSERT_EVENT}
  SELECT ?2 || ':' || id, ?2, project_id, json_patch(json_object('project_id', project_id, 'backup_id', id, 'export_type', export_type,
    'job_id', job_id), ?3), ?4 FROM backups WHERE id = ?1 AND status = ?5 ON CONFLICT (id) DO NOTHING`;

/** Marks a backup as verified and adds the event. Idempotent. */
export async function recordVerified(db: D1Database, id: string, facts: BackupFacts, now: number): Promise<void> {
  const names = Object.keys(FACT_NAMES) as (keyof BackupFacts)[];
  const set = names.map((name, index) => `${name} = ?${index + 3}`).join(", ");
  const sql = `UPDATE backups SET ${set}, status = 'verified', ended_at = ?2, updated_at = ?2 WHERE id = ?1 AND status = 'running'`;
  const { sha256, stored_bytes, table_count, row_count } = facts;
  const eventData = JSON.stringify({ sha256, stored_bytes, table_count, row_count });
  await stored(async () =>
    db.batch([
      db.prepare(sql).bind(id, now, ...names.map((name) => facts[name])),
      db.prepare(INSERT_END_EVENT).bind(id, "backup.completed", eventData, now, "verified"),
    ]),
  );
}

/** All names of facts. The compiler reports a missing one. */
const FACT_NAMES = {
  manifest_key: true,
  schema_hash: true,
  schema_version: true,
  table_count: true,
  row_count: true,
  part_count: true,
  sql_bytes: true,
  stored_bytes: true,
  sha256: true,
  copies: true,
} satisfies Record<keyof BackupFacts, true>;

/** Marks a running backup as failed and adds the event. Idempotent. A verified backup is left alone. */
export async function recordFailed(db: D1Database, id: string, error: string, now: number): Promise<void> {
  const sql = "UPDATE backups SET status = 'failed', error = ?2, ended_at = ?3, updated_at = ?3 WHERE id = ?1 AND status = 'running'";
  await stored(async () =>
    db.batch([
      db.prepare(sql).bind(id, error, now),
      db.prepare(INSERT_END_EVENT).bind(id, "backup.failed", JSON.stringify({ error }), now, "failed"),
    ]),
  );
}

/** Hides a backup until its removal. False if the row has changed, the backup is running, or a restore is reading it. */
export async function markDeleting(db: D1Database, seen: BackupRow, operation: Operation, note: AuditNote): Promise<boolean> {
  const sql = "UPDATE backups SET status = 'deleting' WHERE id = ?1 AND changed_by = ?2";
  const condition = { sql: `status IN ('verified', 'failed') AND NOT ${IS_BEING_RESTORED}`, values: [] };
  return applyChange(db, { owner: "backups", seen, operation, note, condition }, [ifClaimed(db, seen.id, operation, sql)]);
}

const IS_BEING_RESTORED = "EXISTS (SELECT 1 FROM restores WHERE restores.backup_id = backups.id AND restores.status = 'running')";

/** Verified backups beyond the newest of each project and type. The newest verified backup is never included. */
const SURPLUS = `SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY project_id, export_type ORDER BY created_at DESC, id DESC) AS nth
  FROM backups WHERE status = 'verified') WHERE nth > max(?1, 1)`;

/** Marks expired backups: verified ones beyond the newest `kept` per project and type, and failed ones that ended before `failedBefore`. */
export async function markExpired(
  db: D1Database,
  { kept, failedBefore, limit }: { readonly kept: number; readonly failedBefore: number; readonly limit: number },
  now: number,
): Promise<number> {
  const failed = "SELECT id FROM backups WHERE status = 'failed' AND ended_at < ?2";
  const sql = `UPDATE backups SET status = 'deleting', updated_at = ?4 WHERE id IN (SELECT id FROM backups
    WHERE id IN (${SURPLUS} UNION ALL ${failed}) AND NOT ${IS_BEING_RESTORED} LIMIT ?3) RETURNING id`;
  const { results } = await stored(async () => db.prepare(sql).bind(kept, failedBefore, limit, now).all());
  return results.length;
}

/** Backups marked for removal. */
export async function backupsToDelete(db: D1Database, limit: number): Promise<BackupRow[]> {
  const query = db.prepare("SELECT * FROM backups WHERE status = 'deleting' LIMIT ?").bind(limit);
  const { results } = await stored(async () => query.all<BackupRow>());
  return results;
}

/** Records that the backup's scratch database was destroyed. */
export async function forgetScratch(db: D1Database, id: string): Promise<void> {
  const query = db.prepare("UPDATE backups SET scratch = 0 WHERE id = ? AND scratch = 1").bind(id);
  await stored(async () => query.run(), { idempotent: true });
}

/** Finished backups whose scratch database may still exist, oldest first. */
export async function remainingScratches(db: D1Database, limit: number): Promise<BackupRow[]> {
  const query = db.prepare("SELECT * FROM backups WHERE scratch = 1 AND status <> 'running' ORDER BY updated_at LIMIT ?").bind(limit);
  return (await stored(async () => query.all<BackupRow>())).results;
}

/** Removes a backup's rows. Call it after its objects in R2 were removed. */
export async function deleteBackup(db: D1Database, id: string): Promise<void> {
  const from = (table: string, column: string) => db.prepare(`DELETE FROM ${table} WHERE ${column} = ?`).bind(id);
  const statements = [from("backup_documents", "backup_id"), from("backup_parts", "backup_id"), from("backups", "id")];
  await stored(async () => db.batch(statements), { idempotent: true });
}

/** Running backups whose job has ended, or was not recorded in time. Of one project, or of all. */
export async function abandonedBackups(
  db: D1Database,
  { projectId, begunBefore, limit }: { readonly projectId: string | null; readonly begunBefore: number; readonly limit: number },
): Promise<BackupRow[]> {
  const sql = `SELECT backups.* FROM backups LEFT JOIN jobs ON jobs.id = backups.job_id
    WHERE backups.status = 'running' AND (?1 IS NULL OR backups.project_id = ?1)
      AND CASE WHEN jobs.id IS NULL THEN backups.created_at < ?2 ELSE jobs.ended_at IS NOT NULL END LIMIT ?3`;
  const { results } = await stored(async () => db.prepare(sql).bind(projectId, begunBefore, limit).all<BackupRow>());
  return results;
}
