/** Reads jobs and schedules. */
import { Problem } from "../errors.ts";
import { errorFields, log } from "../lib/log.ts";
import { attemptsOf } from "../store/jobs/attempts.ts";
import type { AttemptRow } from "../store/jobs/attempts.ts";
import { findJob, getScheduledJobs } from "../store/jobs/jobs.ts";
import type { JobRow } from "../store/jobs/jobs.ts";
import { JOB_ID } from "./job-id.ts";
import type { JobRelay } from "./relay.ts";
import { nextRun, schedules } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";

/** Throws `not_found`. */
export async function knownJob(db: D1Database, id: string): Promise<JobRow> {
  const row = JOB_ID.test(id) ? await findJob(db, id) : null;
  if (row === null) throw new Problem("not_found", `The job ${JSON.stringify(id)} does not exist. It may have expired.`);
  return row;
}

/** A job with all its attempts. Throws `not_found`. */
export async function readJob(
  { db, relay }: { readonly db: D1Database; readonly relay: JobRelay },
  id: string,
): Promise<{ readonly row: JobRow; readonly attempts: readonly AttemptRow[] }> {
  const row = await knownJob(db, id);
  // The job may have ended while the index was unavailable.
  const changed = await relay.check(row).catch((error: unknown) => {
    log.warn("Comparing a job with its instance failed", { job_id: row.id, ...errorFields(error) });
    return false;
  });
  return { row: changed ? await knownJob(db, row.id) : row, attempts: await attemptsOf(db, row.id) };
}

export interface ScheduleView extends Pick<Schedule, "cron" | "type" | "description"> {
  readonly last: JobRow | null;
  /** Epoch milliseconds. */
  readonly nextAt: number | null;
}

/** All crons with their last and next run. */
export async function readSchedules(db: D1Database, config: Parameters<typeof schedules>[0], now: number): Promise<ScheduleView[]> {
  const known = schedules(config);
  const latest = await getScheduledJobs(db, known);
  return known.map(({ cron, type, description }) => {
    const last = latest.find((each) => each.cron === cron && each.type === type) ?? null;
    return { cron, type, description, last, nextAt: nextRun(cron, now) };
  });
}
