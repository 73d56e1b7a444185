/** `restore_backup`: restores a verified backup into a new project's database. Writes are refused until the copy was compared. */
import { StepFailed } from "../jobs/failure.ts";
import { allContents, readContents } from "../tenants/backups/contents.ts";
import { load } from "../tenants/backups/load.ts";
import type { Loading } from "../tenants/backups/load.ts";
import { beginRestore, compareRestored, endRestore, nextCheckAt, allowWrites, undoRestore } from "../tenants/backups/restore.ts";
import { notifyOperators } from "../tenants/webhooks/operator-notices.ts";
import { orNull } from "./context.ts";
import type { JobContext, JobHandler } from "./context.ts";

export const restoreBackupHandler: JobHandler<"restore_backup"> = async ({ project_id, backup_id }, job) => {
  job.log.info("Restore started", { backup_id, project_id });
  const { error, loading } = await restored(project_id, backup_id, job);
  await job.step("record", async (_attempt, deps) => endRestore(deps, project_id, job.id, error));
  // Writes are allowed last. The platform repeats an unrecorded step, and the steps before cannot repeat after a tenant's write.
  if (loading !== null) await orNull(job.step("open", async (_attempt, deps) => allowWrites(deps, loading)));
  const notice = `Backup ${backup_id} ${error === null ? "was restored into" : "COULD NOT BE RESTORED into"} project ${project_id}`;
  await orNull(
    job.step("tell operators", async (_attempt, deps) => notifyOperators(deps, `${notice}${error === null ? "." : `: ${error}`}`)),
  );
  const data = { project_id, backup_id };
  return error === null ? { success: true, data } : { success: false, data, error };
};

/** Waits until another job has created the project. */
async function readiness(projectId: string, job: JobContext): Promise<void> {
  for (let check = 1; ; check += 1) {
    const next = await job.step("is the project ready", async (_attempt, deps) => nextCheckAt(deps, job.id, projectId, check));
    if (next === null) return;
    // Running jobs have recorded this name, so it must not change.
    await job.sleepUntil(`until look ${check + 1}`, next);
  }
}

interface Restored {
  /** Reason for the final failure. null: success. */
  readonly error: string | null;
  /** The database to open. null: loading failed. A remaining freeze expires after two minutes, or with the next attempt. */
  readonly loading: Loading | null;
}

async function restored(projectId: string, backupId: string, job: JobContext): Promise<Restored> {
  try {
    const loading = await job.step("begin", async (_attempt, deps) => beginRestore(deps, job.id, projectId, backupId));
    await readiness(projectId, job);
    const differences = await loaded(loading, job);
    if (differences.length === 0) return { error: null, loading };
    return { error: `The restored copy differs: ${differences.join("; ")}.`, loading: null };
  } catch (error) {
    if (error instanceof StepFailed) return { error: error.message, loading: null };
    throw error;
  }
}

/** Differences after everything was loaded. After a final failure the copy is removed. */
async function loaded(loading: Loading, job: JobContext): Promise<string[]> {
  try {
    while (!(await job.step("load", async (_attempt, deps) => load(deps, loading))));
    const reading = { name: loading.name, freeze: loading.id, mode: loading.backup.export_type };
    const found = await allContents(async (from) => job.step("compare", async (_attempt, deps) => readContents(deps, reading, from)));
    if (found === "thawed")
      throw new StepFailed("The database was written to before it was compared. Send the same restore request again.");
    // An earlier release compared in this step. Its step returned a list of differences.
    if (Array.isArray(found)) return found as string[];
    return await job.step("compare", async (_attempt, deps) => compareRestored(deps, loading, found));
  } catch (error) {
    await orNull(job.step("undo", async (_attempt, deps) => undoRestore(deps, loading)));
    throw error;
  }
}
