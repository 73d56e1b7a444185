/**
 * Restores a verified backup into a new project. A row claims the project's id, the project is created, then a job fills its database.
 * After an interruption at any point, the same request continues the restore.
 */
import { Problem } from "../../errors.ts";
import type { Deps } from "../../deps.ts";
import { jobId } from "../../jobs/job-id.ts";
import { MINUTE_MS, SECOND_MS, isoSeconds } from "../../lib/time.ts";
import { findBackup, isCurrent, isRestorable } from "../../store/backups/backups.ts";
import type { BackupRow, VerifiedBackup } from "../../store/backups/backups.ts";
import { findProject } from "../../store/projects/projects.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import { findJob } from "../../store/jobs/jobs.ts";
import { abandonedRestores, addRestore, dropRestore, findRestore, recordRestore, retryRestore } from "../../store/backups/restores.ts";
import type { RestoreRow } from "../../store/backups/restores.ts";
import { newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import type { KeyWithSecret } from "../keys/keys.ts";
import { createProject, getProject, assertNotDeleted, assertNotRollingBack, isRepetition } from "../projects/projects.ts";
import type { CreatedProject, ProjectInput } from "../projects/projects.ts";
import { getRestorable } from "./backups.ts";
import { jobEndReason } from "./retention.ts";
import { differencesOf, importOf, isAsLoaded } from "./load.ts";
import type { Loading } from "./load.ts";
import { summaryOf } from "./stored.ts";
import type { Contents } from "../../tenant-database/index.ts";

/** Longest time between adding a restore's row and adding its job's row. */
const ENQUEUED_WITHIN_MS = 60_000;
const BATCH = 20;
/** An hour and a half, including the sleep between checks. */
const MAX_CHECKS = 120;

export interface RestoreRequest {
  /** The new project's id, which makes the request idempotent. */
  readonly id: string;
  readonly project: Omit<ProjectInput, "id" | "organizationId" | "name" | "restoredFrom"> & {
    /** Null: copied from the source project. */
    readonly organizationId: string | null;
    readonly name: string | null;
  };
  readonly requestId: string;
}

export interface Restoring {
  readonly restore: RestoreRow;
  readonly project: ProjectView;
  /** First key of a project that this request created. */
  readonly key: KeyWithSecret | null;
}

/**
 * Throws `conflict` if the project exists and was not created by this same request. Throws `unprocessable` if no organization can own it.
 * Throws `not_found`.
 */
export async function startRestore(
  deps: Deps,
  source: string,
  backupId: string,
  request: RestoreRequest,
  actor: Actor,
): Promise<Restoring> {
  const { db, clock } = deps;
  const backup = await getRestorable(deps, source, backupId);
  const before = await findProject(db, request.id, clock());
  if (before !== null) {
    assertNotRollingBack(before);
    assertNotDeleted(before);
    // Checked before the claim, which may retry a failed restore. The claim itself refuses another backup's project.
    if ((await findRestore(db, request.id))?.backup_id === backup.id) assertSameRequest(before, backup, request);
  }
  const claimed = await claimRestore(deps, backup, request.id, actor);
  const { restore } = claimed;
  const found = await findProject(db, request.id, clock());
  if (found !== null) assertSameRequest(found, backup, request);
  const created = found === null ? await createTarget(deps, claimed, request, actor) : null;
  if (restore.status === "running") {
    const { requestId } = request;
    const { traceparent } = deps.trace;
    const origin = { requestedBy: restore.requested_by, idempotencyKey: keyOf(restore), requestId, traceparent };
    const options = { ...origin, projectId: restore.project_id };
    await deps.jobs.enqueueJob("restore_backup", { project_id: restore.project_id, backup_id: backup.id }, options);
  }
  return { restore, project: created?.project ?? (await getProject(deps, request.id)), key: keyWithSecret(created) };
}

/** Throws `conflict` if a request with different values created the project. */
function assertSameRequest(existing: ProjectView, { id: restoredFrom }: BackupRow, { id, project }: RestoreRequest): void {
  if (isRepetition(existing, { ...project, restoredFrom })) return;
  const detail = `The project ${JSON.stringify(id)} was already restored from this backup, by a request with different values. Choose a different project_id.`;
  throw new Problem("conflict", detail);
}

/** The key, which only the creating request returns. */
function keyWithSecret(created: CreatedProject | null): KeyWithSecret | null {
  return created === null || created.key.key === null ? null : { ...created.key, key: created.key.key };
}

const keyOf = ({ project_id, attempt }: Pick<RestoreRow, "project_id" | "attempt">): string => `${project_id}:${attempt}`;

interface Claimed {
  readonly restore: RestoreRow;
  /** False: another request began the restore. Only that request may end it. */
  readonly isOwn: boolean;
}

/** Adds the restore's row, or finds it. Retries a failed restore. */
async function claimRestore(deps: Deps, backup: VerifiedBackup, project_id: string, actor: Actor): Promise<Claimed> {
  const { db, clock } = deps;
  const operation = newOperation(actor, clock());
  const requested_by = actor.actor;
  const job = await jobId(requested_by, "restore_backup", keyOf({ project_id, attempt: 1 }));
  const row = { project_id, backup_id: backup.id, source_project_id: backup.project_id, job_id: job, requested_by };
  await addRestore(db, row, operation);
  await closeAbandonedRestores(deps, project_id);
  const found = await findRestore(db, project_id);
  if (found?.status === "failed") {
    // The row keeps the first requester, whose name is part of the job's id.
    const job_id = await jobId(found.requested_by, "restore_backup", keyOf({ project_id, attempt: found.attempt + 1 }));
    await retryRestore(db, found, { ...row, job_id }, operation);
  }
  const restore = await findRestore(db, project_id);
  if (restore?.backup_id !== backup.id) throw projectExists(project_id);
  return { restore, isOwn: restore.changed_by === operation.id };
}

const projectExists = (id: string): Problem =>
  new Problem("conflict", `The project ${JSON.stringify(id)} already exists. A backup can only be restored into a new project.`);

async function createTarget(deps: Deps, { restore, isOwn }: Claimed, { id, project, requestId }: RestoreRequest, actor: Actor) {
  const source = await getProject(deps, restore.source_project_id);
  const organizationId = project.organizationId ?? source.organization_id;
  try {
    const input = { ...project, id, organizationId, name: project.name ?? source.name, restoredFrom: restore.backup_id };
    return await createProject(deps, input, actor, { requestId, traceparent: deps.trace.traceparent });
  } catch (error) {
    // The project was not created. The id is free again, or belongs to another project. After the first attempt the row stays: job ids
    // depend on its attempt number.
    if (isOwn && error instanceof Problem && ["conflict", "unprocessable"].includes(error.code)) {
      if (restore.attempt === 1) await dropRestore(deps.db, restore);
      else if ((await findProject(deps.db, id, deps.clock())) === null)
        await endRestore(deps, restore.project_id, restore.job_id, error.detail);
    }
    throw error;
  }
}

/** The restore that filled the project. Throws `not_found`. */
export async function getRestore({ db }: Pick<Deps, "db">, projectId: string): Promise<RestoreRow> {
  const row = await findRestore(db, projectId);
  if (row === null) throw new Problem("not_found", `The project ${JSON.stringify(projectId)} was not restored from a backup.`);
  return row;
}

/** Returns the work of a job. The job takes over the row of a failed restore. Throws `conflict` if another job owns the restore. */
export async function beginRestore(deps: Deps, job: string, projectId: string, backupId: string): Promise<Loading> {
  const { db, clock } = deps;
  await closeAbandonedRestores(deps, projectId);
  const seen = await findRestore(db, projectId);
  if (seen?.backup_id !== backupId)
    throw new Problem("conflict", "This restore was never requested. Begin with POST …/backups/{id}/restore.");
  if (seen.job_id !== job)
    await retryRestore(db, seen, { ...seen, job_id: job }, newOperation({ actor: `job:${job}`, key: null }, clock()));
  const row = await findRestore(db, projectId);
  if (row?.job_id !== job || row.status !== "running")
    throw new Problem("conflict", "This restore has ended, or another job is running it.");
  const backup = await findBackup(db, backupId);
  if (backup === null || !isRestorable(backup)) throw new Problem("conflict", `The backup ${backupId} no longer exists.`);
  return loadingOf(row, backup);
}

function loadingOf({ project_id: name }: RestoreRow, backup: BackupRow): Loading {
  const { id, project_id, moment, export_type } = backup;
  return { backup: { id, project_id, moment, export_type, isLines: isCurrent(backup) }, name, id: importOf(id) };
}

/**
 * Time of the next check whether the project is ready, in epoch milliseconds. Null once it is ready: provisioning has then reserved the
 * database for this import. Throws `conflict` if provisioning failed, or if another job restores the project.
 */
export async function nextCheckAt({ db, clock }: Deps, job: string, projectId: string, check: number): Promise<number | null> {
  const [project, restore] = [await findProject(db, projectId, clock()), await findRestore(db, projectId)];
  if (restore?.job_id !== job || restore.status !== "running") {
    throw new Problem("conflict", `The restore of the project ${JSON.stringify(projectId)} has ended, or another job is running it.`);
  }
  if (project !== null) assertNotDeleted(project);
  if (project?.provisioning === "done") return null;
  if (project === null || project.provisioning === "failed" || check > MAX_CHECKS) {
    throw new Problem("conflict", `The project ${JSON.stringify(projectId)} could not be provisioned.`);
  }
  return clock() + Math.min(MINUTE_MS, SECOND_MS * check);
}

/** If a job ended without recording a result, marks its restore as failed. The restore can be retried. */
export async function closeAbandonedRestores(deps: Deps, projectId: string | null = null): Promise<void> {
  const { db, clock } = deps;
  for (const row of await abandonedRestores(db, { projectId, begunBefore: clock() - ENQUEUED_WITHIN_MS, limit: BATCH })) {
    const [backup, job] = [await findBackup(db, row.backup_id), await findJob(db, row.job_id)];
    const project = await findProject(db, row.project_id, clock());
    if (backup !== null && project?.provisioning === "done") await undoRestore(deps, loadingOf(row, backup));
    await endRestore(deps, row.project_id, row.job_id, jobEndReason(job));
  }
}

/**
 * Compares the loaded database with the backup's contents. If they differ, the database is emptied, unless it may hold later writes.
 * Returns the differences. Empty: the same content.
 */
export async function compareRestored(deps: Deps, loading: Loading, found: Contents): Promise<string[]> {
  const untouched = await isAsLoaded(deps, loading);
  const differences = await differencesOf(deps, loading, await summaryOf(deps, loading.backup), found);
  if (differences.length > 0 && untouched) await emptyTarget(deps, loading);
  return differences;
}

/**
 * Allows writes. Runs after the result of the comparison is recorded: a comparison repeated after a write would find differences.
 * Idempotent.
 */
export async function allowWrites({ tenantDatabases }: Deps, { name, id }: Loading): Promise<void> {
  await tenantDatabases.call(name, async (database) => database.thaw(id));
}

/** Empties a partly loaded database, so that the restore can be retried. A database that may hold other writes is left alone. */
export async function undoRestore(deps: Deps, loading: Loading): Promise<void> {
  const { importing } = await deps.tenantDatabases.call(loading.name, async (database) => database.state());
  if (importing?.id === loading.id || (await isAsLoaded(deps, loading))) await emptyTarget(deps, loading);
}

async function emptyTarget({ tenantDatabases }: Deps, { name }: Loading): Promise<void> {
  await tenantDatabases.call(name, async (database) => database.destroy());
}

export async function endRestore(deps: Deps, projectId: string, job: string, error: string | null): Promise<void> {
  await recordRestore(deps.db, { projectId, jobId: job, error }, deps.clock());
  await releaseFailedRestore(deps, projectId);
}

/**
 * Releases a database that is reserved for a restore that failed before its project was ready. Restore and provisioning both call this
 * after recording their end, so that the later of the two releases it.
 */
export async function releaseFailedRestore(deps: Deps, projectId: string): Promise<void> {
  const { db, clock, tenantDatabases } = deps;
  const row = await findRestore(db, projectId);
  if (row?.status !== "failed" || (await findProject(db, projectId, clock()))?.provisioning !== "done") return;
  const { importing } = await tenantDatabases.call(projectId, async (database) => database.state());
  if (importing?.id === importOf(row.backup_id)) await tenantDatabases.call(projectId, async (database) => database.destroy());
}

/** Response of the API. */
export function restoreJson(row: RestoreRow) {
  const { project_id, backup_id, source_project_id, status, attempt, job_id, requested_by, error, created_at, ended_at } = row;
  const at = { created_at: isoSeconds(created_at), ended_at: ended_at === null ? null : isoSeconds(ended_at) };
  return { project_id, backup_id, source_project_id, status, attempt, job_id, requested_by, error, ...at };
}
