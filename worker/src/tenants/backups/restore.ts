/**
 * A verified backup into a new project. The project's id is taken first, then the project is made, then its database is filled by a job:
 * whatever breaks off in between, the same request goes on with it.
 */
import { Problem } from "../../errors.ts";
import type { Deps } from "../../deps.ts";
import { jobId } from "../../jobs/job-id.ts";
import { MINUTE_MS, SECOND_MS, isoSeconds } from "../../quota/window.ts";
import { findBackup, isVerified } from "../../store/backups.ts";
import type { BackupRow, VerifiedBackup } from "../../store/backups.ts";
import { findProject } from "../../store/projects.ts";
import type { ProjectView } from "../../store/projects.ts";
import { findJob } from "../../store/jobs.ts";
import { abandonedRestores, addRestore, dropRestore, findRestore, recordRestore, retryRestore } from "../../store/restores.ts";
import type { RestoreRow } from "../../store/restores.ts";
import { newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import type { ShownKey } from "../keys.ts";
import { createProject, getProject } from "../projects.ts";
import type { CreatedProject, ProjectInput } from "../projects.ts";
import { getVerified } from "./backups.ts";
import { endedBefore } from "./retention.ts";
import { differencesOf, importOf, isAsLoaded } from "./load.ts";
import type { Loading } from "./load.ts";

/** A job is written down right after its restore. */
const ASKED_WITHIN_MS = 60_000;
const BATCH = 20;
/** An hour and a half, with what is slept between them. */
const MAX_LOOKS = 120;

export interface RestoreAsked {
  /** The new project's id, which makes asking twice asking once. */
  readonly id: string;
  readonly project: Omit<ProjectInput, "id" | "organizationId" | "name"> & {
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
  readonly key: ShownKey | null;
}

/**
 * Throws `conflict` where a project of that id is there that was not made by restoring this backup, `unprocessable` where nobody can own
 * it, `not_found`.
 */
export async function startRestore(deps: Deps, source: string, backupId: string, asked: RestoreAsked, actor: Actor): Promise<Restoring> {
  const { db, clock } = deps;
  const backup = await getVerified(deps, source, backupId);
  const restore = await claimRestore(deps, backup, asked.id, actor);
  const found = await findProject(db, asked.id, clock());
  const made = found === null ? await makeProject(deps, restore, asked, actor) : null;
  if (restore.status === "running") {
    const { requestId } = asked;
    const options = { requestedBy: restore.requested_by, idempotencyKey: keyOf(restore), projectId: restore.project_id, requestId };
    await deps.jobs.enqueueJob("restore_backup", { project_id: restore.project_id, backup_id: backup.id }, options);
  }
  return { restore, project: made?.project ?? (await getProject(deps, asked.id)), key: shownOf(made) };
}

/** The key is shown by whoever made the project, and only once. */
function shownOf(made: CreatedProject | null): ShownKey | null {
  return made === null || made.key.key === null ? null : { ...made.key, key: made.key.key };
}

const keyOf = ({ project_id, attempt }: Pick<RestoreRow, "project_id" | "attempt">): string => `${project_id}:${attempt}`;

/** The row of this restore: a new one, or the one there is; a failed one is tried again. */
async function claimRestore(deps: Deps, backup: VerifiedBackup, project_id: string, actor: Actor): Promise<RestoreRow> {
  const { db, clock } = deps;
  const requested_by = actor.actor;
  const jobOf = async (attempt: number): Promise<string> => jobId(requested_by, "restore_backup", keyOf({ project_id, attempt }));
  const row = { project_id, backup_id: backup.id, source_project_id: backup.project_id, job_id: await jobOf(1), requested_by };
  await addRestore(db, row, newOperation(actor, clock()));
  await closeAbandonedRestores(deps, project_id);
  const found = await findRestore(db, project_id);
  if (found === null || found.backup_id !== backup.id) throw taken(project_id);
  if (found.status !== "failed") return found;
  await retryRestore(db, found, await jobOf(found.attempt + 1), newOperation(actor, clock()));
  return (await findRestore(db, project_id)) ?? found;
}

const taken = (id: string): Problem =>
  new Problem("conflict", `The project ${JSON.stringify(id)} exists already. A backup is restored into a new one, and overwrites nothing.`);

async function makeProject(deps: Deps, restore: RestoreRow, { id, project, requestId }: RestoreAsked, actor: Actor) {
  const source = await getProject(deps, restore.source_project_id);
  const organizationId = project.organizationId ?? source.organization_id;
  try {
    return await createProject(deps, { ...project, id, organizationId, name: project.name ?? source.name }, actor, { requestId });
  } catch (error) {
    // Nothing was begun: the id is free again, or somebody else's.
    if (error instanceof Problem && ["conflict", "unprocessable"].includes(error.code)) await dropRestore(deps.db, restore);
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
export async function beginRestore({ db, clock }: Deps, job: string, projectId: string, backupId: string): Promise<Loading> {
  const seen = await findRestore(db, projectId);
  if (seen?.backup_id !== backupId)
    throw new Problem("conflict", "This restore was not asked for; begin with POST …/backups/{id}/restore.");
  if (seen.job_id !== job) await retryRestore(db, seen, job, newOperation({ actor: `job:${job}`, tenant: false }, clock()));
  const row = await findRestore(db, projectId);
  if (row?.job_id !== job || row.status !== "running") throw new Problem("conflict", "Another job restores into this project.");
  const backup = await findBackup(db, backupId);
  if (backup === null || !isVerified(backup)) throw new Problem("conflict", `The backup ${backupId} is not there any more.`);
  return loadingOf(row, backup);
}

function loadingOf({ project_id: name }: RestoreRow, { id, project_id, moment, export_type }: BackupRow): Loading {
  return { backup: { id, project_id, moment, export_type }, name, id: importOf(id) };
}

/**
 * When to look again whether the project is ready; null once it is. Its provisioning has reserved the database for this import by then.
 * Epoch milliseconds. Throws `conflict` where it never will be.
 */
export async function lookAgainAt({ db, clock }: Deps, projectId: string, look: number): Promise<number | null> {
  const project = await findProject(db, projectId, clock());
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
    if (backup !== null) await undoRestore(deps, loadingOf(row, backup));
    await endRestore(deps, row.project_id, row.job_id, endedBefore(job));
  }
}

/**
 * Compares what was loaded. What differs is removed again where nobody can have written to it since. Returns what differs; empty: the
 * same content.
 */
export async function compareRestored(deps: Deps, loading: Loading): Promise<string[]> {
  const untouched = await isAsLoaded(deps, loading);
  const differences = await differencesOf(deps, loading);
  if (differences.length > 0 && untouched) await emptyTarget(deps, loading);
  return differences;
}

/** Takes away what a restore left half done, so that it can be tried again. What others wrote is never touched. */
export async function undoRestore(deps: Deps, loading: Loading): Promise<void> {
  const { importing } = await deps.tenantDatabases.call(loading.name, async (database) => database.state());
  if (importing?.id === loading.id || (await isAsLoaded(deps, loading))) await emptyTarget(deps, loading);
}

async function emptyTarget({ tenantDatabases }: Deps, { name }: Loading): Promise<void> {
  await tenantDatabases.call(name, async (database) => database.destroy());
}

export async function endRestore({ db, clock }: Deps, projectId: string, job: string, error: string | null): Promise<void> {
  await recordRestore(db, { projectId, jobId: job, error }, clock());
}

/** As the API shows it. */
export function restoreJson(row: RestoreRow) {
  const { project_id, backup_id, source_project_id, status, attempt, job_id, requested_by, error, created_at, ended_at } = row;
  const at = { created_at: isoSeconds(created_at), ended_at: ended_at === null ? null : isoSeconds(ended_at) };
  return { project_id, backup_id, source_project_id, status, attempt, job_id, requested_by, error, ...at };
}
