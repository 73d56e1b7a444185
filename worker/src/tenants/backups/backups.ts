/** A project's backups as it and the administrator see them: asked for, listed, removed. */
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
import { abandon, removeBackup } from "./retention.ts";

/** A job is written down right after its backup. */
const ASKED_WITHIN_MS = 60_000;

const subject = (id: string): string => `backup:${id}`;
/** One backup a job: a retry is a backup of its own. */
const backupId = (job: string): string => `bak_${job.slice("export_backup-".length)}`;

export interface BackupAsked {
  readonly exportType: ExportType;
  readonly idempotencyKey: string | undefined;
  readonly requestId: string;
}

/**
 * Writes a backup down and asks for its job. The same key answers with the first. Throws `conflict` where the project has one that runs,
 * it was deleted, or the key was used for another type; `project_not_ready`; `not_found`.
 */
export async function startBackup(deps: Deps, projectId: string, asked: BackupAsked, actor: Actor): Promise<BackupRow> {
  await needDatabase(deps, projectId);
  const requestedBy = actor.actor;
  const idempotencyKey = `${projectId}:${asked.idempotencyKey ?? crypto.randomUUID()}`;
  const job = await jobId(requestedBy, "export_backup", idempotencyKey);
  const row = await claimBackup(deps, { job, projectId, exportType: asked.exportType }, actor);
  if (row.export_type !== asked.exportType) {
    throw new Problem("conflict", "This idempotency key was used for another export_type.", { members: { backup_id: row.id } });
  }
  // One that has ended needs no job, and its job may be forgotten.
  if (row.status === "running") {
    const { requestId } = asked;
    const options = { requestedBy, idempotencyKey, projectId, requestId, traceparent: deps.trace.traceparent };
    await deps.jobs.enqueueExportBackupJob({ projectId, exportType: asked.exportType }, options);
  }
  return row;
}

/** Whoever asks a database first decides where it lives, and freezing it keeps its schema out: neither before it is made. */
export async function needDatabase(deps: Pick<Deps, "db" | "clock">, projectId: string): Promise<void> {
  const { provisioning } = await changeableProject(deps, projectId);
  if (provisioning !== "done") throw notReady(projectId, provisioning === "failed");
}

interface Claim {
  readonly job: string;
  readonly projectId: string;
  readonly exportType: ExportType;
}

/** The backup of this job, which is the only one of its project that runs. Throws `conflict` where there is another. */
export async function claimBackup(deps: Deps, { job, projectId, exportType }: Claim, actor: Actor): Promise<BackupRow> {
  const { db, clock } = deps;
  const id = backupId(job);
  const row = { id, project_id: projectId, export_type: exportType, job_id: job, requested_by: actor.actor };
  const after = { export_type: exportType, job_id: job };
  const note = { action: "backup.start", subject: subject(id), projectId, before: null, after };
  return changing(async () => {
    const added = await addBackup(db, row, newOperation(actor, clock()), note);
    if (added !== null) return added.row;
    const dead = await abandonedBackups(db, { projectId, begunBefore: clock() - ASKED_WITHIN_MS, limit: 1 });
    for (const each of dead) await abandon(deps, each);
    if (dead.length > 0) return null;
    const running = await runningBackup(db, projectId);
    if (running === null) return null;
    const detail = `A backup of this project is under way: ${running.id}. One runs at a time.`;
    throw new Problem("conflict", detail, { members: { backup_id: running.id, job_id: running.job_id } });
  });
}

/** Throws `not_found`; a backup of another project is not found either, nor one that is being removed. */
export async function getBackup({ db }: Pick<Deps, "db">, projectId: string, id: string): Promise<BackupRow> {
  const row = await findBackup(db, id);
  if (row === null || row.project_id !== projectId || row.status === "deleting") {
    throw new Problem("not_found", `The project has no backup ${JSON.stringify(id)}.`);
  }
  return row;
}

const EARLIER =
  "This backup was made by an earlier release. Its file may make the sqlite3 shell run commands, so that it is not sent. Make a new backup, or restore this one into a new project";

/** Throws `conflict` where it is not verified, or was made by an earlier release; `not_found`. */
export async function getVerified(deps: Pick<Deps, "db">, projectId: string, id: string): Promise<VerifiedBackup> {
  const row = await getRestorable(deps, projectId, id);
  if (isVerified(row)) return row;
  throw new Problem("conflict", `${EARLIER}.`, { members: { backup_status: statusOf(row) } });
}

/** Also one of an earlier release. Throws `conflict` where it was not verified when it was made; `not_found`. */
export async function getRestorable(deps: Pick<Deps, "db">, projectId: string, id: string): Promise<VerifiedBackup> {
  const row = await getBackup(deps, projectId, id);
  if (isRestorable(row)) return row;
  const why = row.status === "running" ? "It is not through yet" : `It failed: ${row.error ?? "no reason is known"}`;
  throw new Problem("conflict", `Only a verified backup can be used. ${why}.`, { members: { backup_status: row.status } });
}

/** It is gone with this answer; what cannot be removed at once, housekeeping removes. Throws `conflict` while it runs or is restored. */
export async function deleteBackupByHand(deps: Deps, projectId: string, id: string, actor: Actor): Promise<BackupRow> {
  const row = await changing(async () => {
    const seen = await getBackup(deps, projectId, id);
    if (seen.status === "running") throw new Problem("conflict", `It is being made. Cancel its job first: ${seen.job_id}.`);
    const before = { status: seen.status, taken_at: isoOrNull(seen.taken_at), sha256: seen.sha256 ?? null };
    const note = { action: "backup.delete", subject: subject(id), projectId, before, after: null };
    if (await markDeleting(deps.db, seen, newOperation(actor, deps.clock()), note)) return seen;
    if ((await getBackup(deps, projectId, id)).changed_by !== seen.changed_by) return null;
    throw new Problem("conflict", "It is being restored into another project.");
  });
  await removeBackup(deps, row).catch((error: unknown) => {
    log.warn("A backup could not be removed at once; housekeeping will", { backup_id: id, ...errorFields(error) });
  });
  return row;
}

const isoOrNull = (time: number | null): string | null => (time === null ? null : isoSeconds(time));

/** As the API shows it. */
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
