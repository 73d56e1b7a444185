/**
 * Turns events into deliveries, and deliveries into jobs. One transaction dispatches and marks an event, so that none is dispatched twice.
 * Each delivery has one job, whose id is derived from it. Times are epoch milliseconds.
 */
import { jsonChunks, stored } from "../database.ts";
import type { EventRow } from "../events.ts";
import { TEST_FAILED } from "./attempts.ts";

export interface WaitingEvent extends EventRow {
  readonly project_id: string;
  /** 1 if the event's project has an endpoint, else 0. */
  readonly has_endpoints: number;
}

/** Events that are not dispatched yet, oldest first. */
export async function listUndispatchedEvents(db: D1Database, limit: number): Promise<WaitingEvent[]> {
  const sql = `SELECT e.seq, e.id, e.type, e.project_id, e.data, e.created_at,
      EXISTS (SELECT 1 FROM webhooks w WHERE w.project_id = e.project_id) AS has_endpoints
    FROM events e WHERE e.dispatched_at IS NULL ORDER BY e.seq LIMIT ?`;
  return (await stored(async () => db.prepare(sql).bind(limit).all<WaitingEvent>())).results;
}

/** Message of an event. */
export interface EventMessage {
  readonly event: string;
  readonly message: string;
  /** The body. */
  readonly payload: string;
}

/**
 * A delivery for each subscribed endpoint that existed when the event happened, except the endpoint that the event reports as disabled. If
 * sending is impossible now, the delivery is stored as skipped and can be resent later.
 */
const DELIVER = `INSERT INTO webhook_deliveries
    (id, webhook_id, project_id, message_id, event_id, event_type, payload, status, reason, due_at, changed_by, created_at, ended_at)
  SELECT 'dlv_' || lower(hex(randomblob(16))), w.id, e.project_id, m.value ->> 'message', e.id, e.type, m.value ->> 'payload',
    iif(w.status = 'enabled' AND p.lifecycle = 'ACTIVE', 'pending', 'skipped'),
    CASE WHEN p.lifecycle <> 'ACTIVE' THEN 'project_archived' WHEN w.status <> 'enabled' THEN 'webhook_disabled' END,
    ?2, 'dispatch', ?2, iif(w.status = 'enabled' AND p.lifecycle = 'ACTIVE', NULL, ?2)
  FROM json_each(?1) AS m JOIN events e ON e.id = m.value ->> 'event' AND e.dispatched_at IS NULL
  JOIN projects p ON p.id = e.project_id AND p.lifecycle <> 'DELETED'
  JOIN webhooks w ON w.project_id = e.project_id AND w.created_at <= e.created_at
    AND (w.event_types IS NULL OR EXISTS (SELECT 1 FROM json_each(w.event_types) t WHERE t.value = e.type))
    AND NOT (e.type = 'webhook.disabled' AND e.data ->> 'webhook_id' = w.id)
  WHERE true ORDER BY e.seq, w.created_at, w.id ON CONFLICT DO NOTHING RETURNING 1`;

/** Dispatches events in one transaction. Returns the number of new deliveries. Events dispatched by another process meanwhile add none. */
export async function createDeliveries(
  db: D1Database,
  events: readonly { readonly seq: number }[],
  messages: readonly EventMessage[],
  now: number,
): Promise<number> {
  const deliver = jsonChunks(messages).map((chunk) => db.prepare(DELIVER).bind(chunk, now));
  const mark = "UPDATE events SET dispatched_at = ?2 WHERE dispatched_at IS NULL AND seq IN (SELECT value FROM json_each(?1))";
  const numbers = JSON.stringify(events.map(({ seq }) => seq));
  const results = await stored(async () => db.batch([...deliver, db.prepare(mark).bind(numbers, now)]));
  return results.reduce((total, { results: added }) => total + added.length, 0);
}

export interface DueDelivery {
  readonly id: string;
  readonly webhook_id: string;
  readonly project_id: string;
  readonly payload: string;
  readonly run: number;
  readonly url: string;
}

/** Deliveries without a job, oldest first. */
export async function listDueDeliveries(db: D1Database, now: number, limit: number): Promise<DueDelivery[]> {
  const sql = `SELECT d.id, d.webhook_id, d.project_id, d.payload, d.run, w.url FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
    WHERE d.status = 'pending' AND d.enqueued_at IS NULL AND d.due_at <= ? ORDER BY d.seq LIMIT ?`;
  return (await stored(async () => db.prepare(sql).bind(now, limit).all<DueDelivery>())).results;
}

/** Records the jobs of deliveries. A job that is quicker than this call has recorded itself. */
export async function markEnqueued(
  db: D1Database,
  jobs: readonly { readonly delivery: string; readonly run: number; readonly job: string }[],
  now: number,
): Promise<void> {
  const sql = `UPDATE webhook_deliveries SET job_id = j.value ->> 'job', enqueued_at = ?2 FROM json_each(?1) AS j
    WHERE webhook_deliveries.id = j.value ->> 'delivery' AND webhook_deliveries.run = j.value ->> 'run'
      AND webhook_deliveries.enqueued_at IS NULL`;
  await stored(async () => db.prepare(sql).bind(JSON.stringify(jobs), now).run(), { idempotent: true });
}

/** Ends deliveries for which no job can be requested. */
export async function endUnsendable(db: D1Database, ids: readonly string[], now: number): Promise<void> {
  const sql = `UPDATE webhook_deliveries SET status = 'failed', reason = 'unsendable', ended_at = ?2, changed_by = 'dispatch'
    WHERE status = 'pending' AND enqueued_at IS NULL AND id IN (SELECT value FROM json_each(?1))`;
  await stored(async () => db.prepare(sql).bind(JSON.stringify(ids), now).run(), { idempotent: true });
}

/** Gives up after this many lost jobs, too many to be an accident. */
const MAX_LOST_RUNS = 10;

/**
 * Recovers deliveries whose job ended without recording a result. If the job was cancelled, the delivery ends. If the job or the database
 * failed, the delivery gets another job. If the delivery was a test, the endpoint's probation ends with it.
 */
export async function recoverDeliveries(
  db: D1Database,
  now: number,
  limit: number,
): Promise<{ readonly restarted: number; readonly ended: number }> {
  const lost = `SELECT d.seq, d.webhook_id, d.is_test FROM webhook_deliveries d JOIN jobs j ON j.id = d.job_id AND j.ended_at IS NOT NULL
    WHERE d.status = 'pending' AND d.enqueued_at IS NOT NULL AND (j.status = 'cancelled' OR d.run >= ?3) = ?4 ORDER BY d.enqueued_at, d.seq LIMIT ?2`;
  const end = `UPDATE webhook_deliveries SET status = 'failed', reason = 'job_ended', next_attempt_at = NULL, ended_at = ?1, changed_by = 'dispatch'
    WHERE seq IN (SELECT seq FROM (${lost})) RETURNING 1`;
  const failTests = `${TEST_FAILED} AND id IN (SELECT webhook_id FROM (${lost}) WHERE is_test = 1)`;
  const restart = `UPDATE webhook_deliveries SET run = run + 1, attempts = 0, next_attempt_at = NULL, due_at = ?1, job_id = NULL, enqueued_at = NULL,
      changed_by = 'dispatch' WHERE seq IN (SELECT seq FROM (${lost})) RETURNING 1`;
  const bound = [now, limit, MAX_LOST_RUNS] as const;
  const [, ended, repeated] = await stored(async () =>
    // Endpoints first: their statement finds the deliveries only while they are pending.
    db.batch([db.prepare(failTests).bind(...bound, 1), db.prepare(end).bind(...bound, 1), db.prepare(restart).bind(...bound, 0)]),
  );
  return { restarted: repeated?.results.length ?? 0, ended: ended?.results.length ?? 0 };
}
