/**
 * A verified backup into a new project. The project's id is taken first, then the project is made, then its database is filled by a job:
 * whatever breaks off in between, the same request goes on with it.
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
import { endedBefore } from "./retention.ts";
import { differencesOf, importOf, isAsLoaded } from "./load.ts";
import type { Loading } from "./load.ts";
import { summaryOf } from "./stored.ts";
import type { Contents } from "../../tenant-database/index.ts";

/** A job is written down right after its restore. */
const ASKED_WITHIN_MS = 60_000;
const BATCH = 20;
/** An hour and a half, with what is slept between them. */
const MAX_LOOKS = 120;

export interface RestoreAsked {
  /** The new project's id, which makes asking twice asking once. */
  readonly id: string;
  readonly project: Omit<ProjectInput, "id" | "organizationId" | "name" | "restoredFrom"> & {
    /** Null: as the project's that was backed up. */
    readonly organizationId: string | null;
    readonly name: string | null;
  };
  readonly requestId: string;
}

export interface Restoring {
  readonly restore: RestoreRow;
  readonly project: ProjectView;
  /** Of a project that was made by this request. */
  readonly key: KeyWithSecret | null;
}

/**
 * Throws `conflict` where a project of that id is there that was not made by restoring this backup, or by another request than this one;
 * `unprocessable` where nobody can own it, `not_found`.
 */
export async function startRestore(deps: Deps, source: string, backupId: string, asked: RestoreAsked, actor: Actor): Promise<Restoring> {
  const { db, clock } = deps;
  const backup = await getRestorable(deps, source, backupId);
  const before = await findProject(db, asked.id, clock());
  if (before !== null) {
    assertNotRollingBack(before);
    assertNotDeleted(before);
    // Before anything is tried again; of another backup's project more can be told below.
    if ((await findRestore(db, asked.id))?.backup_id === backup.id) needSameRequest(before, backup, asked);
  }
  const claimed = await claimRestore(deps, backup, asked.id, actor);
  const { restore } = claimed;
  const found = await findProject(db, asked.id, clock());
  if (found !== null) needSameRequest(found, backup, asked);
  const made = found === null ? await makeProject(deps, claimed, asked, actor) : null;
  if (restore.status === "running") {
    const { requestId } = asked;
    const { traceparent } = deps.trace;
    const asking = { requestedBy: restore.requested_by, idempotencyKey: keyOf(restore), requestId, traceparent };
    const options = { ...asking, projectId: restore.project_id };
    await deps.jobs.enqueueJob("restore_backup", { project_id: restore.project_id, backup_id: backup.id }, options);
  }
  return { restore, project: made?.project ?? (await getProject(deps, asked.id)), key: shownOf(made) };
}

/** Throws `conflict` where the project was made by other words: whoever asks for another one is not to take this for it. */
function needSameRequest(made: ProjectView, { id: restoredFrom }: BackupRow, { id, project }: RestoreAsked): void {
  if (isRepetition(made, { ...project, restoredFrom })) return;
  const detail = `The project ${JSON.stringify(id)} was restored from this backup already, by a request that said something else of it. Choose another project_id.`;
  throw new Problem("conflict", detail);
}

/** The key is shown by whoever made the project, and only once. */
function shownOf(made: CreatedProject | null): KeyWithSecret | null {
  return made === null || made.key.key === null ? null : { ...made.key, key: made.key.key };
}

const keyOf = ({ project_id, attempt }: Pick<RestoreRow, "project_id" | "attempt">): string => `${project_id}:${attempt}`;

interface Claimed {
  readonly restore: RestoreRow;
  /** False: another request began it, and it is for that one to give it up. */
  readonly own: boolean;
}

/** The row of this restore: a new one, or the one there is; a failed one is tried again. */
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
    // The row keeps the name of whoever asked first, by which its job is known.
    const job_id = await jobId(found.requested_by, "restore_backup", keyOf({ project_id, attempt: found.attempt + 1 }));
    await retryRestore(db, found, { ...row, job_id }, operation);
  }
  const restore = await findRestore(db, project_id);
  if (restore?.backup_id !== backup.id) throw taken(project_id);
  return { restore, own: restore.changed_by === operation.id };
}

const taken = (id: string): Problem =>
  new Problem("conflict", `The project ${JSON.stringify(id)} exists already. A backup is restored into a new one, and overwrites nothing.`);

async function makeProject(deps: Deps, { restore, own }: Claimed, { id, project, requestId }: RestoreAsked, actor: Actor) {
  const source = await getProject(deps, restore.source_project_id);
  const organizationId = project.organizationId ?? source.organization_id;
  try {
    const input = { ...project, id, organizationId, name: project.name ?? source.name, restoredFrom: restore.backup_id };
    return await createProject(deps, input, actor, { requestId, traceparent: deps.trace.traceparent });
  } catch (error) {
    // Nothing was begun: the id is free again, or somebody else's. Of an earlier attempt the row goes on telling: names of jobs follow from it.
    if (own && error instanceof Problem && ["conflict", "unprocessable"].includes(error.code)) {
      if (restore.attempt === 1) await dropRestore(deps.db, restore);
      else if ((await findProject(deps.db, id, deps.clock())) === null)
        await endRestore(deps, restore.project_id, restore.job_id, error.detail);
    }
    throw error;
  }
}

/** What the new project was restored from, and how that went. Throws `not_found`. */
export async function getRestore({ db }: Pick<Deps, "db">, projectId: string): Promise<RestoreRow> {
  const row = await findRestore(db, projectId);
  if (row === null) throw new Problem("not_found", `The project ${JSON.stringify(projectId)} was not restored from a backup.`);
  return row;
}

/** The work of a job: its own row, or a failed one's, which it takes over. Throws `conflict` where that is somebody else's. */
export async function beginRestore(deps: Deps, job: string, projectId: string, backupId: string): Promise<Loading> {
  const { db, clock } = deps;
  await closeAbandonedRestores(deps, projectId);
  const seen = await findRestore(db, projectId);
  if (seen?.backup_id !== backupId)
    throw new Problem("conflict", "This restore was not asked for; begin with POST …/backups/{id}/restore.");
  if (seen.job_id !== job)
    await retryRestore(db, seen, { ...seen, job_id: job }, newOperation({ actor: `job:${job}`, tenant: false }, clock()));
  const row = await findRestore(db, projectId);
  if (row?.job_id !== job || row.status !== "running") throw new Problem("conflict", "Another job restores into this project.");
  const backup = await findBackup(db, backupId);
  if (backup === null || !isRestorable(backup)) throw new Problem("conflict", `The backup ${backupId} is not there any more.`);
  return loadingOf(row, backup);
}

function loadingOf({ project_id: name }: RestoreRow, backup: BackupRow): Loading {
  const { id, project_id, moment, export_type } = backup;
  return { backup: { id, project_id, moment, export_type, isLines: isCurrent(backup) }, name, id: importOf(id) };
}

/**
 * When to look again whether the project is ready; null once it is. Its provisioning has reserved the database for this import by then.
 * Epoch milliseconds. Throws `conflict` where it never will be, or is not this job's to fill.
 */
export async function lookAgainAt({ db, clock }: Deps, job: string, projectId: string, look: number): Promise<number | null> {
  const [project, restore] = [await findProject(db, projectId, clock()), await findRestore(db, projectId)];
  if (restore?.job_id !== job || restore.status !== "running") {
    throw new Problem("conflict", `The project ${JSON.stringify(projectId)} is not restored by this job any more.`);
  }
  if (project !== null) assertNotDeleted(project);
  if (project?.provisioning === "done") return null;
  if (project === null || project.provisioning === "failed" || look > MAX_LOOKS) {
    throw new Problem("conflict", `The project ${JSON.stringify(projectId)} could not be provisioned.`);
  }
  return clock() + Math.min(MINUTE_MS, SECOND_MS * look);
}

/** Their jobs are over, and nobody wrote down how they ended: they failed, and can be tried again. */
export async function closeAbandonedRestores(deps: Deps, projectId: string | null = null): Promise<void> {
  const { db, clock } = deps;
  for (const row of await abandonedRestores(db, { projectId, begunBefore: clock() - ASKED_WITHIN_MS, limit: BATCH })) {
    const [backup, job] = [await findBackup(db, row.backup_id), await findJob(db, row.job_id)];
    const project = await findProject(db, row.project_id, clock());
    if (backup !== null && project?.provisioning === "done") await undoRestore(deps, loadingOf(row, backup));
    await endRestore(deps, row.project_id, row.job_id, endedBefore(job));
  }
}

/**
 * Compares what was loaded. What differs is removed again where nobody can have written to it since. Returns what differs; empty: the
 * same content.
 */
export async function compareRestored(deps: Deps, loading: Loading, found: Contents): Promise<string[]> {
  const untouched = await isAsLoaded(deps, loading);
  const differences = await differencesOf(deps, loading, await summaryOf(deps, loading.backup), found);
  if (differences.length > 0 && untouched) await emptyTarget(deps, loading);
  return differences;
}

/** Lets writes through, once it is written down how the comparison ended: done again after a write, it would end otherwise. Twice is once. */
export async function openTarget({ tenantDatabases }: Deps, { name, id }: Loading): Promise<void> {
  await tenantDatabases.call(name, async (database) => database.thaw(id));
}

/** Takes away what a restore left half done, so that it can be tried again. What others wrote is never touched. */
export async function undoRestore(deps: Deps, loading: Loading): Promise<void> {
  const { importing } = await deps.tenantDatabases.call(loading.name, async (database) => database.state());
  if (importing?.id === loading.id || (await isAsLoaded(deps, loading))) await emptyTarget(deps, loading);
}

async function emptyTarget({ tenantDatabases }: Deps, { name }: Loading): Promise<void> {
  await tenantDatabases.call(name, async (database) => database.destroy());
}

export async function endRestore(deps: Deps, projectId: string, job: string, error: string | null): Promise<void> {
  await recordRestore(deps.db, { projectId, jobId: job, error }, deps.clock());
  await openIfNotRestored(deps, projectId);
}

/**
 * What was reserved for a restore that has failed before its project was ready is let go: by whoever of both comes to its end last, for
 * each looks after it wrote down its own.
 */
export async function openIfNotRestored(deps: Deps, projectId: string): Promise<void> {
  const { db, clock, tenantDatabases } = deps;
  const row = await findRestore(db, projectId);
  if (row?.status !== "failed" || (await findProject(db, projectId, clock()))?.provisioning !== "done") return;
  const { importing } = await tenantDatabases.call(projectId, async (database) => database.state());
  if (importing?.id === importOf(row.backup_id)) await tenantDatabases.call(projectId, async (database) => database.destroy());
}

/** As the API shows it. */
export function restoreJson(row: RestoreRow) {
  const { project_id, backup_id, source_project_id, status, attempt, job_id, requested_by, error, created_at, ended_at } = row;
  const at = { created_at: isoSeconds(created_at), ended_at: ended_at === null ? null : isoSeconds(ended_at) };
  return { project_id, backup_id, source_project_id, status, attempt, job_id, requested_by, error, ...at };
}
