/** A project's backups for the API: started, listed, deleted. */
import { Problem } from "../../errors.ts";
import type { Deps } from "../../deps.ts";
import { jobId } from "../../jobs/job-id.ts";
import { errorFields, log } from "../../lib/log.ts";
import { isoSeconds } from "../../lib/time.ts";
import {
  abandonedBackups,
  addBackup,
  findBackup,
  isRestorable,
  isVerified,
  markDeleting,
  runningBackup,
  statusOf,
} from "../../store/backups/backups.ts";
import type { BackupRow, ExportType, VerifiedBackup } from "../../store/backups/backups.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { changeableProject } from "../projects/projects.ts";
import { notReady } from "../limits/refusals.ts";
import { failAbandoned, removeBackup } from "./retention.ts";

/** Longest time between adding a backup's row and adding its job's row. */
const ENQUEUED_WITHIN_MS = 60_000;

const subject = (id: string): string => `backup:${id}`;
/** Each job makes one backup. A retry is a new job, and makes another backup. */
const backupId = (job: string): string => `bak_${job.slice("export_backup-".length)}`;

export interface BackupRequest {
  readonly exportType: ExportType;
  readonly idempotencyKey: string | undefined;
  readonly requestId: string;
}

/**
 * Records a backup and enqueues its job. A repeated idempotency key returns the first backup. Throws `conflict` if another backup of the
 * project is running, if the project was deleted, or if the key was used for a different type. Throws `project_not_ready`, `not_found`.
 */
export async function startBackup(deps: Deps, projectId: string, request: BackupRequest, actor: Actor): Promise<BackupRow> {
  await assertProvisioned(deps, projectId);
  const requestedBy = actor.actor;
  const idempotencyKey = `${projectId}:${request.idempotencyKey ?? crypto.randomUUID()}`;
  const job = await jobId(requestedBy, "export_backup", idempotencyKey);
  const row = await claimBackup(deps, { job, projectId, exportType: request.exportType }, actor);
  if (row.export_type !== request.exportType) {
    throw new Problem("conflict", "This idempotency key was already used with a different export_type. Use a new idempotency key.", {
      members: { backup_id: row.id },
    });
  }
  // A finished backup needs no job. Its job may already have been deleted.
  if (row.status === "running") {
    const { requestId } = request;
    const options = { requestedBy, idempotencyKey, projectId, requestId, traceparent: deps.trace.traceparent };
    await deps.jobs.enqueueExportBackupJob({ projectId, exportType: request.exportType }, options);
  }
  return row;
}

/**
 * Throws `project_not_ready` until provisioning is done. The first request to a Durable Object decides its location, and a freeze would
 * prevent the creation of its schema.
 */
export async function assertProvisioned(deps: Pick<Deps, "db" | "clock">, projectId: string): Promise<void> {
  const { provisioning } = await changeableProject(deps, projectId);
  if (provisioning !== "done") throw notReady(projectId, provisioning === "failed");
}

interface Claim {
  readonly job: string;
  readonly projectId: string;
  readonly exportType: ExportType;
}

/** Adds the backup of this job, or finds it. Throws `conflict` if another backup of the project is running. */
export async function claimBackup(deps: Deps, { job, projectId, exportType }: Claim, actor: Actor): Promise<BackupRow> {
  const { db, clock } = deps;
  const id = backupId(job);
  const row = { id, project_id: projectId, export_type: exportType, job_id: job, requested_by: actor.actor };
  const after = { export_type: exportType, job_id: job };
  const note = { action: "backup.start", subject: subject(id), projectId, before: null, after };
  return changing(async () => {
    const added = await addBackup(db, row, newOperation(actor, clock()), note);
    if (added !== null) return added.row;
    const dead = await abandonedBackups(db, { projectId, begunBefore: clock() - ENQUEUED_WITHIN_MS, limit: 1 });
    for (const each of dead) await failAbandoned(deps, each);
    if (dead.length > 0) return null;
    const running = await runningBackup(db, projectId);
    if (running === null) return null;
    const detail = `A backup of this project is already running: ${running.id}. A project can have one running backup.`;
    throw new Problem("conflict", detail, { members: { backup_id: running.id, job_id: running.job_id } });
  });
}

/** Throws `not_found`, also for a backup of another project and for a backup that is being deleted. */
export async function getBackup({ db }: Pick<Deps, "db">, projectId: string, id: string): Promise<BackupRow> {
  const row = await findBackup(db, id);
  if (row === null || row.project_id !== projectId || row.status === "deleting") {
    throw new Problem("not_found", `The project has no backup ${JSON.stringify(id)}.`);
  }
  return row;
}

const OUTDATED =
  "This backup was made by an earlier release. It cannot be downloaded: its file may make the sqlite3 shell run commands. Make a new backup, or restore this one into a new project.";

/** Throws `conflict` if the backup is not verified, or an earlier release made it. Throws `not_found`. */
export async function getVerified(deps: Pick<Deps, "db">, projectId: string, id: string): Promise<VerifiedBackup> {
  const row = await getRestorable(deps, projectId, id);
  if (isVerified(row)) return row;
  throw new Problem("conflict", OUTDATED, { members: { backup_status: statusOf(row) } });
}

/** Includes backups of earlier releases. Throws `conflict` if the backup was not verified. Throws `not_found`. */
export async function getRestorable(deps: Pick<Deps, "db">, projectId: string, id: string): Promise<VerifiedBackup> {
  const row = await getBackup(deps, projectId, id);
  if (isRestorable(row)) return row;
  const why =
    row.status === "running" ? "This one is still running" : `This one failed: ${row.error?.replace(/\.$/u, "") ?? "unknown reason"}`;
  throw new Problem("conflict", `Only a verified backup can be used. ${why}.`, { members: { backup_status: row.status } });
}

/**
 * The backup is no longer listed once this returns. Housekeeping removes objects that could not be removed immediately. Throws `conflict`
 * while the backup is running or being restored.
 */
export async function deleteBackupOnRequest(deps: Deps, projectId: string, id: string, actor: Actor): Promise<BackupRow> {
  const row = await changing(async () => {
    const seen = await getBackup(deps, projectId, id);
    if (seen.status === "running") throw new Problem("conflict", `The backup is still running. Cancel its job first: ${seen.job_id}.`);
    const before = { status: seen.status, taken_at: isoOrNull(seen.taken_at), sha256: seen.sha256 ?? null };
    const note = { action: "backup.delete", subject: subject(id), projectId, before, after: null };
    if (await markDeleting(deps.db, seen, newOperation(actor, deps.clock()), note)) return seen;
    if ((await getBackup(deps, projectId, id)).changed_by !== seen.changed_by) return null;
    throw new Problem("conflict", "The backup is being restored into another project.");
  });
  await removeBackup(deps, row).catch((error: unknown) => {
    log.warn("Backup removal failed and is left to housekeeping", { backup_id: id, ...errorFields(error) });
  });
  return row;
}

const isoOrNull = (time: number | null): string | null => (time === null ? null : isoSeconds(time));

/** Response of the API. */
export function backupJson(row: BackupRow) {
  return {
    id: row.id,
    project_id: row.project_id,
    export_type: row.export_type,
    status: statusOf(row),
    job_id: row.job_id,
    requested_by: row.requested_by,
    taken_at: isoOrNull(row.taken_at),
    tables: row.table_count ?? null,
    rows: row.row_count ?? null,
    schema_version: row.schema_version ?? null,
    schema_hash: row.schema_hash ?? null,
    parts: row.part_count ?? null,
    sql_bytes: row.sql_bytes ?? null,
    stored_bytes: row.stored_bytes ?? null,
    sha256: row.sha256 ?? null,
    copies: row.copies ?? null,
    error: row.error,
    created_at: isoSeconds(row.created_at),
    ended_at: isoOrNull(row.ended_at),
  };
}
