/** What becomes of backups that nobody needs any more, and of those whose job died. First the bytes, then the row: so nothing is forgotten. */
import type { Deps } from "../../deps.ts";
import { findJob } from "../../store/jobs/jobs.ts";
import type { JobRow } from "../../store/jobs/jobs.ts";
import { abandonedBackups, backupsToDelete, deleteBackup, forgetScratch, markExpired, scratchesLeft } from "../../store/backups/backups.ts";
import type { BackupRow } from "../../store/backups/backups.ts";
import { removeObjects } from "./bucket.ts";
import { failBackup } from "./finish.ts";
import { sourceOf, thawSource } from "./source.ts";
import { scratchOf } from "./scratch.ts";

/** Verified ones of each type that a project keeps. */
export const KEPT_BACKUPS = 10;
const FAILED_KEPT_MS = 30 * 24 * 60 * 60 * 1_000;
/** Each needs several calls to R2 and D1. */
const BATCH = 20;
/** A job is written down right after its backup; a retry takes a while to be asked for. */
const ASKED_WITHIN_MS = 10 * 60_000;

/** Its job is over, and nobody wrote down how the backup ended: it failed. What the job held is let go. */
export async function abandon(deps: Deps, row: BackupRow): Promise<void> {
  const job = await findJob(deps.db, row.job_id);
  await thawSource(deps, sourceOf(row, row.moment));
  await destroyScratch(deps, row);
  await failBackup(deps, row, endedBefore(job));
}

/** Why what a job was to do has failed, though nobody wrote it down. */
export const endedBefore = (job: JobRow | null): string =>
  job === null ? "Its job is not there." : `Its job ended before it: ${job.error ?? `it was ${job.status}.`}`;

/** Until it is destroyed, the backup's row says that it is there. */
export async function destroyScratch({ tenantDatabases, db }: Deps, { id, job_id }: Pick<BackupRow, "id" | "job_id">): Promise<void> {
  await tenantDatabases.call(scratchOf(job_id), async (database) => database.destroy());
  await forgetScratch(db, id);
}

/** Twice is once. */
export async function removeBackup(deps: Deps, row: BackupRow): Promise<void> {
  await removeObjects(deps, row);
  // Gone long ago, unless a call was still on its way to it when it was destroyed.
  await destroyScratch(deps, row);
  await deleteBackup(deps.db, row.id);
}

/** A batch of what is over its life; the newest verified backups of a project always stay. */
export async function removeExpiredBackups(deps: Deps): Promise<{ readonly removed: number; readonly more: boolean }> {
  const { db, clock } = deps;
  const now = clock();
  for (const row of await abandonedBackups(db, { projectId: null, begunBefore: now - ASKED_WITHIN_MS, limit: BATCH })) {
    await abandon(deps, row);
  }
  for (const row of await scratchesLeft(db, BATCH)) await destroyScratch(deps, row);
  const marked = await markExpired(db, { kept: KEPT_BACKUPS, failedBefore: now - FAILED_KEPT_MS, limit: BATCH }, now);
  const rows = await backupsToDelete(db, BATCH);
  for (const row of rows) await removeBackup(deps, row);
  return { removed: rows.length, more: marked === BATCH || rows.length === BATCH };
}
