/** Removal of expired backups, and failure of backups whose job died. The bytes are removed before the row, so that none are orphaned. */
import type { Deps } from "../../deps.ts";
import { findJob } from "../../store/jobs/jobs.ts";
import type { JobRow } from "../../store/jobs/jobs.ts";
import {
  abandonedBackups,
  backupsToDelete,
  deleteBackup,
  forgetScratch,
  markExpired,
  remainingScratches,
} from "../../store/backups/backups.ts";
import type { BackupRow } from "../../store/backups/backups.ts";
import { removeObjects } from "./bucket.ts";
import { failBackup } from "./finish.ts";
import { sourceOf, thawSource } from "./source.ts";
import { scratchOf } from "./scratch.ts";

/** Verified backups kept per project and type. */
export const KEPT_BACKUPS = 10;
const FAILED_KEPT_MS = 30 * 24 * 60 * 60 * 1_000;
/** Each backup needs several calls to R2 and D1. */
const BATCH = 20;
/** Longest time between adding a backup's row and adding its job's row, including a delayed retry. */
const ENQUEUED_WITHIN_MS = 10 * 60_000;

/** Marks a backup as failed, because its job ended without recording a result. Releases the source and destroys the scratch database. */
export async function failAbandoned(deps: Deps, row: BackupRow): Promise<void> {
  const job = await findJob(deps.db, row.job_id);
  await thawSource(deps, sourceOf(row, row.moment));
  await destroyScratch(deps, row);
  await failBackup(deps, row, jobEndReason(job));
}

/** Error of a backup or restore whose job ended without recording a result. */
export const jobEndReason = (job: JobRow | null): string =>
  job === null ? "Its job does not exist." : `Its job ended early: ${job.error ?? `it was ${job.status}.`}`;

/** The row is updated last: until then it says that the scratch database may exist. */
export async function destroyScratch({ tenantDatabases, db }: Deps, { id, job_id }: Pick<BackupRow, "id" | "job_id">): Promise<void> {
  await tenantDatabases.call(scratchOf(job_id), async (database) => database.destroy());
  await forgetScratch(db, id);
}

/** Idempotent. */
export async function removeBackup(deps: Deps, row: BackupRow): Promise<void> {
  await removeObjects(deps, row);
  // Usually destroyed long ago. A call in flight at that time may have recreated it.
  await destroyScratch(deps, row);
  await deleteBackup(deps.db, row.id);
}

/** Removes a batch of expired backups. The newest verified backups of a project always remain. */
export async function removeExpiredBackups(deps: Deps): Promise<{ readonly removed: number; readonly more: boolean }> {
  const { db, clock } = deps;
  const now = clock();
  for (const row of await abandonedBackups(db, { projectId: null, begunBefore: now - ENQUEUED_WITHIN_MS, limit: BATCH })) {
    await failAbandoned(deps, row);
  }
  for (const row of await remainingScratches(db, BATCH)) await destroyScratch(deps, row);
  const marked = await markExpired(db, { kept: KEPT_BACKUPS, failedBefore: now - FAILED_KEPT_MS, limit: BATCH }, now);
  const rows = await backupsToDelete(db, BATCH);
  for (const row of rows) await removeBackup(deps, row);
  return { removed: rows.length, more: marked === BATCH || rows.length === BATCH };
}
