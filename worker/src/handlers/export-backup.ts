/**
 * `export_backup`: makes and verifies a backup.
 *
 * - Freeze the source, dump it into R2 in parts, read its contents again with separate code, thaw it.
 * - Restore the stored parts into a scratch database and compare it with the source. Only then the backup is verified.
 *
 * Writes wait only while the source is read. After any failure the source is thawed and the scratch database is destroyed.
 */
import { Problem } from "../errors.ts";
import { StepFailed } from "../jobs/failure.ts";
import type { BackupRow } from "../store/backups/backups.ts";
import { claimBackup, assertProvisioned } from "../tenants/backups/backups.ts";
import { sendCopies } from "../tenants/backups/copies.ts";
import { completeBackup, failBackup, resultNotice, writeManifest } from "../tenants/backups/finish.ts";
import { allContents, readContents } from "../tenants/backups/contents.ts";
import { differencesOf, load } from "../tenants/backups/load.ts";
import type { Loading } from "../tenants/backups/load.ts";
import { destroyScratch } from "../tenants/backups/retention.ts";
import { scratchOf } from "../tenants/backups/scratch.ts";
import { discardEarlierParts, freezeSource, readParts, readingOf, sourceOf, thawSource } from "../tenants/backups/source.ts";
import type { Source } from "../tenants/backups/source.ts";
import { notifyOperators } from "../tenants/webhooks/operator-notices.ts";
import type { Contents } from "../tenant-database/index.ts";
import { orNull } from "./context.ts";
import type { JobContext, JobHandler } from "./context.ts";

/** After an interfering write the dump restarts with a new freeze. */
const MAX_MOMENTS = 5;
/** Another reader's freeze expires after 2 minutes. A restore takes longer. */
const MAX_WAITS = 60;
/** Telegram may request pauses of minutes. */
const MAX_PAUSES = 10;
const MAX_PAUSE_MS = 10 * 60_000;

export const exportBackupHandler: JobHandler<"export_backup"> = async ({ project_id, export_type }, job) => {
  job.log.info("Backup started", { project_id, export_type });
  const row = await job.step("begin", async (_attempt, deps) => {
    await assertProvisioned(deps, project_id);
    const claim = { job: job.id, projectId: project_id, exportType: export_type };
    const claimed = await claimBackup(deps, claim, { actor: `job:${job.id}`, key: null });
    if (claimed.status !== "running") throw new Problem("conflict", "The backup of this job has already ended. Start another backup.");
    return claimed;
  });
  const error = await failureOf(exported(row, job));
  if (error !== null) await orNull(job.step("give up", async (_attempt, deps) => failBackup(deps, row, error)));
  await orNull(job.step("tell operators", async (_attempt, deps) => notifyOperators(deps, await resultNotice(deps, row.id))));
  const data = { backup_id: row.id };
  return error === null ? { success: true, data } : { success: false, data, error };
};

async function exported(row: BackupRow, job: JobContext): Promise<void> {
  const { source, contents } = await dumped(row, job);
  const loading = { backup: { ...source, isLines: true }, name: scratchOf(job.id), id: job.id };
  try {
    while (!(await job.step("restore into a scratch", async (_attempt, deps) => load(deps, loading))));
    const differences = await compared(loading, contents, job);
    if (differences.length > 0) throw new StepFailed(`The restored copy differs: ${differences.join("; ")}.`);
  } finally {
    await orNull(job.step("destroy the scratch", async (_attempt, deps) => destroyScratch(deps, row)));
  }
  const facts = await job.step("write the manifest", async (_attempt, deps) => writeManifest(deps, source, contents));
  const copies = await copied(source, job);
  await job.step("complete", async (_attempt, deps) => completeBackup(deps, source, { ...facts, copies }));
}

/** Compares the scratch database with the source's contents. Returns the differences. */
async function compared(loading: Loading, expected: Contents, job: JobContext): Promise<readonly string[]> {
  const reading = { name: loading.name, freeze: loading.id, mode: loading.backup.export_type };
  const found = await allContents(async (from) => job.step("compare", async (_attempt, deps) => readContents(deps, reading, from)));
  if (found === "thawed") throw new StepFailed("The scratch database was written to during the comparison. Start another backup.");
  // An earlier release compared the scratch with the dump alone. Its step returned a list.
  if (Array.isArray(found)) throw new StepFailed("An earlier release began this backup, so it cannot be verified. Start another backup.");
  const { differences } = await job.step("compare", async (_attempt, deps) => ({
    differences: await differencesOf(deps, loading, expected, found),
  }));
  return differences;
}

interface Dumped {
  readonly source: Source;
  /** Contents under the same freeze, read separately from the dump. */
  readonly contents: Contents;
}

/** Stores all parts of one freeze in R2. */
async function dumped(row: BackupRow, job: JobContext): Promise<Dumped> {
  for (let moment = 1; moment <= MAX_MOMENTS; moment += 1) {
    const source = sourceOf(row, moment);
    try {
      await frozen(source, job);
      if (moment > 1) await orNull(job.step("throw away earlier parts", async (_attempt, deps) => discardEarlierParts(deps, source)));
      let read = await job.step("dump", async (_attempt, deps) => readParts(deps, source));
      while (read === "more") read = await job.step("dump", async (_attempt, deps) => readParts(deps, source));
      const reading = readingOf(source);
      const contents =
        read === "thawed"
          ? read
          : await allContents(async (from) => job.step("dump", async (_attempt, deps) => readContents(deps, reading, from)));
      if (contents !== "thawed") return { source, contents };
      job.log.warn("Dump restarted after an interfering write", { moment });
    } finally {
      await orNull(job.step("thaw", async (_attempt, deps) => thawSource(deps, source)));
    }
  }
  throw new StepFailed(`The database was written to during each of ${MAX_MOMENTS} attempts. Start another backup at a quieter time.`);
}

async function frozen(source: Source, job: JobContext): Promise<void> {
  for (let waits = 0; waits < MAX_WAITS; waits += 1) {
    const answer = await job.step("freeze", async (_attempt, deps) => freezeSource(deps, source));
    if (answer.result === "frozen") return;
    await job.sleepUntil("wait for the database", answer.retryAt);
  }
  throw new StepFailed("Other backups or restores kept the database busy. Start another backup later.");
}

/** A failed copy does not invalidate the backup. */
async function copied(source: Source, job: JobContext): Promise<"sent" | "failed" | null> {
  if (job.deps.telegram === null) return null;
  for (let pauses = 0; pauses < MAX_PAUSES;) {
    const answer = await orNull(job.step("copy to Telegram", async (_attempt, deps) => sendCopies(deps, source)));
    if (answer?.result === "sent") return "sent";
    if (answer === null || answer.result === "failed") break;
    if (answer.result === "pause") {
      pauses += 1;
      await job.sleepUntil("pause for Telegram", Math.min(answer.until, answer.asked + MAX_PAUSE_MS));
    }
  }
  return "failed";
}

/** Reason for the final failure. null: success. */
async function failureOf(work: Promise<void>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof StepFailed) return error.message;
    throw error;
  }
}
