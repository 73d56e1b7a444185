/** Every attempt of every step of a job: table `job_attempts`. Times are epoch milliseconds. */
import { stored } from "../database.ts";
import type { JobStatus } from "./jobs.ts";

/** A step of a job: the nth of its name, starting at 1. */
export interface StepKey {
  readonly job_id: string;
  readonly step: string;
  readonly nth: number;
}

export interface AttemptKey extends StepKey {
  readonly attempt: number;
}

export type AttemptOutcome = "succeeded" | "failed" | "timed_out" | "interrupted";

export interface AttemptRow extends AttemptKey {
  /** null: nothing was recorded before it ended. */
  readonly started_at: number | null;
  readonly ended_at: number | null;
  /** null while it runs. */
  readonly outcome: AttemptOutcome | null;
  readonly error: string | null;
}

const TIMED_OUT = "The attempt timed out.";
const INTERRUPTED = "The Worker died during this attempt.";
const UNRECORDED = "Attempt not recorded (timeout or crash).";

/**
 * Records that an attempt starts, and ends earlier attempts that never ended. Returns the job's status, which is final if the work must not
 * start. Returns null if the job is unknown.
 */
export async function beginAttempt(db: D1Database, key: AttemptKey, timeoutMs: number, now: number): Promise<JobStatus | null> {
  const { job_id, step, nth, attempt } = key;
  const earlier = JSON.stringify(Array.from({ length: attempt - 1 }, (_, index) => index + 1));
  const statements = [
    db
      .prepare(
        `UPDATE jobs SET status = 'running', started_at = coalesce(started_at, ?2), tries = max(tries, ?3), updated_at = ?2
        WHERE id = ?1 AND ended_at IS NULL`,
      )
      .bind(job_id, now, attempt),
    db
      .prepare(
        `UPDATE job_attempts SET ended_at = ?5, outcome = iif(?5 - started_at >= ?6, 'timed_out', 'interrupted'),
          error = iif(?5 - started_at >= ?6, ?7, ?8)
        WHERE job_id = ?1 AND step = ?2 AND nth = ?3 AND attempt < ?4 AND ended_at IS NULL`,
      )
      .bind(job_id, step, nth, attempt, now, timeoutMs, TIMED_OUT, INTERRUPTED),
    addMissing(db, key, earlier, "interrupted", UNRECORDED, now),
    // A job that has ended, or whose row is gone, gets no further attempt.
    db
      .prepare(
        `INSERT INTO job_attempts (job_id, step, nth, attempt, started_at)
        SELECT id, ?2, ?3, ?4, ?5 FROM jobs WHERE id = ?1 AND ended_at IS NULL ON CONFLICT DO NOTHING`,
      )
      .bind(job_id, step, nth, attempt, now),
    db.prepare("SELECT status FROM jobs WHERE id = ?").bind(job_id),
  ];
  const results = await stored(async () => db.batch<{ status: JobStatus }>(statements), { idempotent: true });
  return results.at(-1)?.results[0]?.status ?? null;
}

function addMissing(
  db: D1Database,
  { job_id, step, nth }: StepKey,
  attemptsJson: string,
  outcome: AttemptOutcome,
  error: string,
  now: number,
): D1PreparedStatement {
  const sql = `INSERT INTO job_attempts (job_id, step, nth, attempt, ended_at, outcome, error)
    SELECT jobs.id, ?2, ?3, missing.value, ?5, ?6, ?7 FROM jobs JOIN json_each(?4) AS missing WHERE jobs.id = ?1 AND jobs.ended_at IS NULL
    ON CONFLICT DO NOTHING`;
  return db.prepare(sql).bind(job_id, step, nth, attemptsJson, now, outcome, error);
}

/** Records the outcome of an attempt unless it is known already. An attempt that timed out may still report later. */
export async function endAttempt(
  db: D1Database,
  { job_id, step, nth, attempt }: AttemptKey,
  { startedAt, outcome, error }: { startedAt: number; outcome: AttemptOutcome; error: string | null },
  now: number,
): Promise<void> {
  const sql = `INSERT INTO job_attempts (job_id, step, nth, attempt, started_at, ended_at, outcome, error)
    SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM jobs WHERE id = ?1
    ON CONFLICT (job_id, step, nth, attempt) DO UPDATE SET ended_at = excluded.ended_at, outcome = excluded.outcome, error = excluded.error
    WHERE job_attempts.ended_at IS NULL`;
  const statements = [
    db.prepare(sql).bind(job_id, step, nth, attempt, startedAt, now, outcome, error),
    db.prepare("UPDATE jobs SET updated_at = ?2 WHERE id = ?1 AND ended_at IS NULL").bind(job_id, now),
  ];
  await stored(async () => db.batch(statements), { idempotent: true });
}

/** Ends the open or unknown attempts of a step that the platform abandoned. */
export async function giveUpStep(
  db: D1Database,
  key: StepKey,
  { tries, outcome, error }: { tries: number; outcome: AttemptOutcome; error: string },
  now: number,
): Promise<void> {
  const { job_id, step, nth } = key;
  const all = JSON.stringify(Array.from({ length: tries }, (_, index) => index + 1));
  await stored(async () =>
    db.batch([
      db
        .prepare(
          `UPDATE job_attempts SET ended_at = ?4, outcome = ?5, error = ?6 WHERE job_id = ?1 AND step = ?2 AND nth = ?3 AND ended_at IS NULL`,
        )
        .bind(job_id, step, nth, now, outcome, error),
      addMissing(db, key, all, outcome, error, now),
      db
        .prepare("UPDATE jobs SET tries = max(tries, ?2), started_at = coalesce(started_at, ?3) WHERE id = ?1 AND ended_at IS NULL")
        .bind(job_id, tries, now),
    ]),
  );
}

/** All attempts of a job, in the order in which they started. */
export async function attemptsOf(db: D1Database, jobId: string): Promise<AttemptRow[]> {
  const sql = "SELECT * FROM job_attempts WHERE job_id = ? ORDER BY coalesce(started_at, ended_at), step, nth, attempt";
  const { results } = await stored(async () => db.prepare(sql).bind(jobId).all<AttemptRow>());
  return results;
}
