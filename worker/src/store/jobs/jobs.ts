/** The index of jobs: table `jobs`. Workflows executes jobs but cannot list them. Times are epoch milliseconds. */
import { createdBefore, jsonChunks, stored, where } from "../database.ts";
import type { After } from "../database.ts";

export const JOB_STATUSES = ["queued", "scheduled", "running", "waiting", "completed", "failed", "cancelled"] as const;
/**
 * `queued`: not started. `scheduled`: its delay is not over. `running`: a step runs or waits for a retry. `waiting`: it sleeps between
 * steps. The other three are final.
 */
export type JobStatus = (typeof JOB_STATUSES)[number];
export type FinalStatus = "completed" | "failed" | "cancelled";

/** The request for a job. It never changes. */
export interface NewJob {
  readonly id: string;
  readonly type: string;
  readonly status: "queued" | "scheduled";
  /** JSON. */
  readonly payload: string;
  readonly requested_by: string;
  readonly project_id: string | null;
  readonly root_id: string;
  readonly run: number;
  readonly max_tries: number;
  readonly cron: string | null;
  readonly scheduled_for: number | null;
  readonly request_id: string | null;
  readonly trace_id: string | null;
  readonly traceparent: string | null;
  readonly created_at: number;
}

export interface JobRow extends Omit<NewJob, "status"> {
  readonly status: JobStatus;
  /** The most attempts that any step took. */
  readonly tries: number;
  /** JSON. */
  readonly result: string | null;
  readonly error: string | null;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  /** Last time the job made progress. */
  readonly updated_at: number;
}

/** Adds a job. Null if its id is taken. */
export async function insertJob(db: D1Database, job: NewJob): Promise<JobRow | null> {
  const sql = `
    INSERT INTO jobs (id, type, status, payload, requested_by, project_id, root_id, run, max_tries, cron, scheduled_for, request_id, trace_id,
      traceparent, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15)
    ON CONFLICT (id) DO NOTHING RETURNING *`;
  const { id, type, status, payload, requested_by, project_id, root_id, run, max_tries, cron, scheduled_for } = job;
  const fields = [id, type, status, payload, requested_by, project_id, root_id, run, max_tries, cron, scheduled_for];
  const query = db.prepare(sql).bind(...fields, job.request_id, job.trace_id, job.traceparent, job.created_at);
  return stored(async () => query.first<JobRow>());
}

/** Adds many jobs in one statement and returns the ids of the new ones. Their payloads together must stay below about 400 KB. */
export async function insertJobs(db: D1Database, jobs: readonly NewJob[]): Promise<ReadonlySet<string>> {
  const columns = ["id", "type", "status", "payload", "requested_by", "project_id", "root_id", "run", "max_tries", "cron", "scheduled_for"];
  const names = [...columns, "request_id", "trace_id", "traceparent", "created_at"];
  const values = [...names, "created_at"].map((name) => `value ->> '${name}'`).join(", ");
  const sql = `INSERT INTO jobs (${names.join(", ")}, updated_at) SELECT ${values} FROM json_each(?1) WHERE true
    ON CONFLICT (id) DO NOTHING RETURNING id`;
  const statements = jsonChunks(jobs).map((chunk) => db.prepare(sql).bind(chunk));
  const results = await stored(async () => db.batch<{ id: string }>(statements));
  return new Set(results.flatMap((inserted) => inserted.results.map(({ id }) => id)));
}

export async function findJob(db: D1Database, id: string): Promise<JobRow | null> {
  return stored(async () => db.prepare("SELECT * FROM jobs WHERE id = ?").bind(id).first<JobRow>());
}

export interface JobFilter {
  readonly type?: string | undefined;
  readonly status?: string | undefined;
  readonly project_id?: string | undefined;
}

/** Newest first. Jobs that arrive meanwhile appear before every later page, so that none is shown twice or skipped. */
export async function listJobs(db: D1Database, filter: JobFilter, after: After | null, limit: number): Promise<JobRow[]> {
  const given = (["type", "status", "project_id"] as const).map((name) => {
    const value = filter[name];
    return value !== undefined && { sql: `${name} = ?`, values: [value] };
  });
  const { sql, values } = where([...given, createdBefore(after, "jobs")]);
  const query = db.prepare(`SELECT * FROM jobs ${sql} ORDER BY created_at DESC, id DESC LIMIT ?`).bind(...values, limit);
  const { results } = await stored(async () => query.all<JobRow>());
  return results;
}

/** Jobs that have not ended, most recently active first. */
export async function unfinishedJobs(db: D1Database, limit: number): Promise<JobRow[]> {
  const sql = "SELECT * FROM jobs WHERE ended_at IS NULL ORDER BY updated_at DESC LIMIT ?";
  const { results } = await stored(async () => db.prepare(sql).bind(limit).all<JobRow>());
  return results;
}

/** The latest job of each type that a cron started. */
export async function getScheduledJobs(
  db: D1Database,
  schedules: readonly { readonly cron: string; readonly type: string }[],
): Promise<JobRow[]> {
  const sql = `SELECT jobs.* FROM json_each(?) AS known JOIN jobs ON jobs.id = (SELECT id FROM jobs
    WHERE cron = known.value ->> 'cron' AND type = known.value ->> 'type' ORDER BY scheduled_for DESC LIMIT 1)`;
  const wanted = JSON.stringify(schedules.map(({ cron, type }) => ({ cron, type })));
  const { results } = await stored(async () => db.prepare(sql).bind(wanted).all<JobRow>());
  return results;
}

/** Records that a sleep begins. */
export async function markWaiting(db: D1Database, id: string, now: number): Promise<void> {
  const sql = "UPDATE jobs SET status = 'waiting', updated_at = ?2 WHERE id = ?1 AND ended_at IS NULL AND status <> 'scheduled'";
  await stored(async () => db.prepare(sql).bind(id, now).run(), { idempotent: true });
}

export interface JobEnd {
  readonly status: FinalStatus;
  /** JSON. */
  readonly result: string | null;
  readonly error: string | null;
}

/**
 * Records how a job ended. Returns false if it had ended already or is unknown. With `corrects` it replaces that recorded end. An attempt
 * that never ended is closed with it.
 */
export async function endJob(
  db: D1Database,
  id: string,
  { status, result, error }: JobEnd,
  now: number,
  corrects: FinalStatus | null = null,
): Promise<boolean> {
  const sql = `UPDATE jobs SET status = ?2, result = ?3, error = ?4, ended_at = ?5, updated_at = ?5
    WHERE id = ?1 AND (ended_at IS NULL OR status = ?6) RETURNING id`;
  const close = `UPDATE job_attempts SET ended_at = ?2, outcome = 'interrupted', error = ?3
    WHERE job_id = ?1 AND ended_at IS NULL AND (SELECT ended_at FROM jobs WHERE id = ?1) = ?2`;
  const [ended] = await stored(async () =>
    db.batch([db.prepare(sql).bind(id, status, result, error, now, corrects), db.prepare(close).bind(id, now, CLOSED[status])]),
  );
  return (ended?.results ?? []).length > 0;
}

const CLOSED = {
  completed: "The outcome was not recorded.",
  failed: "The outcome was not recorded.",
  cancelled: "The job was cancelled.",
} as const satisfies Record<FinalStatus, string>;

/** Unfinished jobs without progress since `quietSince` that were not checked since `checkedBefore`, oldest progress first. */
export async function quietJobs(
  db: D1Database,
  { quietSince, checkedBefore, limit }: { quietSince: number; checkedBefore: number; limit: number },
): Promise<JobRow[]> {
  const sql = `SELECT * FROM jobs WHERE ended_at IS NULL AND updated_at < ?1 AND (checked_at IS NULL OR checked_at < ?2)
    ORDER BY coalesce(checked_at, 0), updated_at LIMIT ?3`;
  const { results } = await stored(async () => db.prepare(sql).bind(quietSince, checkedBefore, limit).all<JobRow>());
  return results;
}

export async function markChecked(db: D1Database, ids: readonly string[], now: number): Promise<void> {
  if (ids.length === 0) return;
  const sql = "UPDATE jobs SET checked_at = ?2 WHERE id IN (SELECT value FROM json_each(?1))";
  await stored(async () => db.prepare(sql).bind(JSON.stringify(ids), now).run(), { idempotent: true });
}

/** Claims the start of a stalled job. Returns false if another process claimed it or the job made progress since it was read. */
export async function claimStart(db: D1Database, { id, updated_at }: JobRow, now: number): Promise<boolean> {
  const sql = "UPDATE jobs SET updated_at = ?3 WHERE id = ?1 AND updated_at = ?2 AND ended_at IS NULL RETURNING id";
  return (await stored(async () => db.prepare(sql).bind(id, updated_at, now).first())) !== null;
}

/** Claims jobs that never started and made no progress since `quietSince`. A delayed job is not claimed before its time. */
export async function claimStarts(db: D1Database, quietSince: number, now: number, limit: number): Promise<JobRow[]> {
  const sql = `UPDATE jobs SET updated_at = ?2 WHERE id IN (SELECT id FROM jobs
    WHERE ended_at IS NULL AND updated_at < ?1 AND started_at IS NULL AND (status <> 'scheduled' OR scheduled_for <= ?2)
    ORDER BY updated_at LIMIT ?3) RETURNING *`;
  const { results } = await stored(async () => db.prepare(sql).bind(quietSince, now, limit).all<JobRow>());
  return results;
}

/** Jobs of a type that ended in this way before that time. */
export interface Expired {
  readonly type: string;
  readonly status: FinalStatus;
  readonly before: number;
}

export async function expiredJobs(db: D1Database, rules: readonly Expired[], limit: number): Promise<string[]> {
  const sql = `SELECT jobs.id FROM json_each(?1) AS rule JOIN jobs
    ON jobs.type = rule.value ->> 'type' AND jobs.status = rule.value ->> 'status' AND jobs.ended_at < rule.value ->> 'before' LIMIT ?2`;
  const { results } = await stored(async () => db.prepare(sql).bind(JSON.stringify(rules), limit).all<{ id: string }>());
  return results.map(({ id }) => id);
}

/** Removes jobs with their attempts. */
export async function deleteJobs(db: D1Database, ids: readonly string[]): Promise<void> {
  const list = JSON.stringify(ids);
  const statements = [
    db.prepare("DELETE FROM job_attempts WHERE job_id IN (SELECT value FROM json_each(?))").bind(list),
    db.prepare("DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?))").bind(list),
  ];
  await stored(async () => db.batch(statements), { idempotent: true });
}
