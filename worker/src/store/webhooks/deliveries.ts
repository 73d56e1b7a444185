/** Deliveries to endpoints: added, listed, and resent. Times are epoch milliseconds. */
import { claimed } from "../changes.ts";
import type { Operation } from "../changes.ts";
import { olderThan, stored, where } from "../database.ts";

/** `skipped`: no request was made, see `reason`. */
export const DELIVERY_STATUSES = ["pending", "delivered", "failed", "skipped"] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export const DELIVERY_REASONS = [
  "webhook_disabled",
  "webhook_deleted",
  "project_archived",
  "tries_used_up",
  "gone",
  "address_refused",
  "test_failed",
  "job_ended",
  "unsendable",
] as const;
export type DeliveryReason = (typeof DELIVERY_REASONS)[number];

export interface DeliveryRow {
  readonly seq: number;
  readonly id: string;
  readonly webhook_id: string;
  readonly project_id: string;
  readonly message_id: string;
  readonly event_id: string | null;
  readonly event_type: string;
  readonly is_test: number;
  /** JSON, byte for byte as it is sent. */
  readonly payload: string;
  readonly status: DeliveryStatus;
  readonly reason: DeliveryReason | null;
  readonly run: number;
  /** Attempts of this run. */
  readonly attempts: number;
  readonly next_attempt_at: number | null;
  readonly job_id: string | null;
  readonly created_at: number;
  readonly ended_at: number | null;
}

export interface AttemptRow {
  readonly run: number;
  readonly attempt: number;
  readonly at: number;
  readonly duration_ms: number;
  readonly status_code: number | null;
  readonly error: string | null;
  readonly response: string | null;
}

/** A delivery without an event. */
export interface NewDelivery extends Pick<DeliveryRow, "id" | "webhook_id" | "project_id" | "message_id" | "event_type" | "payload"> {
  readonly isTest: boolean;
  /** From this time on, dispatch requests a job for the delivery, unless its writer has already finished it. */
  readonly dueAt: number;
  /** The job that added it. */
  readonly jobId: string | null;
}

/** Requires fewer than `most` tests of an endpoint since that time, among its latest `among` deliveries. */
export interface TestBound {
  readonly since: number;
  readonly among: number;
  readonly most: number;
}

interface AddConditions {
  /** Requires that the operation has claimed the project. */
  readonly project?: string;
  readonly tests?: TestBound;
}

export function addDeliveryStatement(
  db: D1Database,
  delivery: NewDelivery,
  operation: Operation,
  { project, tests }: AddConditions = {},
): D1PreparedStatement {
  const sql = `INSERT INTO webhook_deliveries
      (id, webhook_id, project_id, message_id, event_type, payload, is_test, due_at, job_id, enqueued_at, status, changed_by, created_at)
    SELECT ?3, w.id, w.project_id, ?5, ?6, ?7, ?8, ?9, ?10, iif(?10 IS NULL, NULL, ?11), 'pending', ?2, ?11
    FROM webhooks w WHERE w.id = ?4 AND w.project_id = ?12 AND (?1 IS NULL OR ${claimed("projects")})
      AND (?15 IS NULL OR (${countTestsSql("?4", "?13", "?14")}) < ?15) ON CONFLICT DO NOTHING`;
  const { id, webhook_id, message_id, event_type, payload, isTest, dueAt, jobId, project_id } = delivery;
  const own = [id, webhook_id, message_id, event_type, payload, isTest ? 1 : 0, dueAt, jobId, operation.now, project_id];
  const bound = [tests?.since ?? null, tests?.among ?? null, tests?.most ?? null];
  return db.prepare(sql).bind(project ?? null, operation.id, ...own, ...bound);
}

/** Returns false, and writes nothing, if the delivery exists, the project has no such endpoint, or `tests` is exceeded. */
export async function addDelivery(db: D1Database, delivery: NewDelivery, operation: Operation, only?: AddConditions): Promise<boolean> {
  const { meta } = await stored(async () => addDeliveryStatement(db, delivery, operation, only).run());
  return meta.changes > 0;
}

/** SQL that counts recent tests. The arguments are placeholders. */
function countTestsSql(webhook: string, since: string, among: string): string {
  const latest = `SELECT is_test, created_at FROM webhook_deliveries WHERE webhook_id = ${webhook} ORDER BY seq DESC LIMIT ${among}`;
  return `SELECT count(*) AS n FROM (${latest}) WHERE is_test = 1 AND created_at > ${since}`;
}

export async function isBelowTestLimit(db: D1Database, webhookId: string, { since, among, most }: TestBound): Promise<boolean> {
  const query = db.prepare(countTestsSql("?1", "?2", "?3")).bind(webhookId, since, among);
  return ((await stored(async () => query.first<number>("n"))) ?? 0) < most;
}

export async function findDelivery(db: D1Database, projectId: string, id: string): Promise<DeliveryRow | null> {
  const query = db.prepare("SELECT * FROM webhook_deliveries WHERE id = ? AND project_id = ?").bind(id, projectId);
  return stored(async () => query.first<DeliveryRow>());
}

/** The last `limit` attempts, oldest first. The limit matters because each may hold a response of 20 KB, and replays are unlimited. */
export async function listDeliveryAttempts(db: D1Database, id: string, limit: number): Promise<AttemptRow[]> {
  const query = db.prepare("SELECT * FROM webhook_attempts WHERE delivery_id = ? ORDER BY run DESC, attempt DESC LIMIT ?").bind(id, limit);
  return (await stored(async () => query.all<AttemptRow>())).results.toReversed();
}

export interface DeliveryFilter {
  readonly projectId: string;
  readonly webhookId: string | null;
  readonly status: DeliveryStatus | null;
  readonly before: number | null;
  readonly limit: number;
}

/** Newest first. */
export async function listDeliveries(db: D1Database, filter: DeliveryFilter): Promise<DeliveryRow[]> {
  const { projectId, webhookId, status, before, limit } = filter;
  // The endpoint's own index finds its deliveries, and that index has no project.
  const ofProject = webhookId === null ? "project_id = ?" : "+project_id = ?";
  const { sql, values } = where([
    { sql: ofProject, values: [projectId] },
    webhookId !== null && { sql: "webhook_id = ?", values: [webhookId] },
    status !== null && { sql: "status = ?", values: [status] },
    olderThan(before),
  ]);
  const query = db.prepare(`SELECT * FROM webhook_deliveries ${sql} ORDER BY seq DESC LIMIT ?`).bind(...values, limit);
  return (await stored(async () => query.all<DeliveryRow>())).results;
}

/**
 * The oldest `limit` undelivered messages of an endpoint, ?1. Queries each status separately: with both in one query SQLite would read and
 * sort all of them, or all delivered ones.
 */
function oldestUndelivered(limit: string, condition = "true"): string {
  const of = (status: DeliveryStatus): string => `SELECT * FROM (SELECT seq, created_at FROM webhook_deliveries
    INDEXED BY webhook_deliveries_by_webhook_status WHERE webhook_id = ?1 AND status = '${status}' AND is_test = 0 AND ${condition}
    ORDER BY seq LIMIT ${limit})`;
  return `SELECT seq, created_at FROM (${of("failed")} UNION ALL ${of("skipped")}) ORDER BY seq LIMIT ${limit}`;
}

export interface Replayable {
  /** Number of deliveries, at most `limit`. */
  readonly deliveries: number;
  /** Creation time of the oldest one. Null if there are none. */
  readonly since: number | null;
}

export async function findReplayable(db: D1Database, webhookId: string, limit: number): Promise<Replayable> {
  const query = db
    .prepare(`SELECT count(*) AS deliveries, min(created_at) AS since FROM (${oldestUndelivered("?2")})`)
    .bind(webhookId, limit);
  return (await stored(async () => query.first<Replayable>())) ?? { deliveries: 0, since: null };
}

/** Restarts a delivery as a new run. The next dispatch requests its job. ?2 operation, ?3 now. */
const RESTART = `status = 'pending', reason = NULL, run = run + 1, attempts = 0, next_attempt_at = NULL, due_at = ?3, job_id = NULL, enqueued_at = NULL,
  ended_at = NULL, changed_by = ?2`;

export interface Replay {
  readonly projectId: string;
  readonly webhookId: string;
  /** One delivery. null: all undelivered messages created since `since`, oldest first. */
  readonly deliveryId: string | null;
  readonly since: number;
  readonly limit: number;
}

/**
 * Resends deliveries that are not in flight, and records that in the audit log. Returns their number, which is 0 for a deleted endpoint.
 */
export async function replayDeliveries(db: D1Database, replay: Replay, operation: Operation): Promise<number> {
  const { projectId, webhookId, deliveryId, since, limit } = replay;
  const selected =
    deliveryId === null
      ? `SELECT seq FROM (${oldestUndelivered("?6", "created_at >= ?4 AND ?5 IS NULL")})`
      : `SELECT seq FROM webhook_deliveries WHERE id = ?5 AND webhook_id = ?1 AND status <> 'pending' AND ?4 <= created_at LIMIT ?6`;
  // A delivery of an endpoint deleted meanwhile would never end.
  const restart = `UPDATE webhook_deliveries SET ${RESTART} WHERE seq IN (${selected}) AND EXISTS (SELECT 1 FROM webhooks WHERE id = ?1) RETURNING id`;
  const audit = `INSERT INTO audit_log (operation, at, actor, action, subject, project_id, before, after)
    SELECT ?2, ?3, ?4, 'webhook.replay', 'webhook:' || ?1, ?5, 'null', json_object('deliveries', count(*), 'delivery_id', ?6, 'since', ?7)
    FROM webhook_deliveries WHERE webhook_id = ?1 AND status = 'pending' AND changed_by = ?2 HAVING count(*) > 0`;
  const sinceText = deliveryId === null ? new Date(since).toISOString() : null;
  const [sent] = await stored(async () =>
    db.batch([
      db.prepare(restart).bind(webhookId, operation.id, operation.now, since, deliveryId, limit),
      db.prepare(audit).bind(webhookId, operation.id, operation.now, operation.actor, projectId, deliveryId, sinceText),
    ]),
  );
  return sent?.results.length ?? 0;
}
