/**
 * A delivery being tried: whose job it is, what each try came to, and what that means for its endpoint, in one transaction. What is done
 * again under the same number changes nothing. Times are epoch milliseconds.
 */
import { stored } from "../database.ts";
import { INSERT_EVENT } from "../events.ts";
import type { Lifecycle } from "../projects/projects.ts";
import type { DeliveryReason, DeliveryRow } from "./deliveries.ts";
import type { WebhookRow } from "./webhooks.ts";

/** A delivery with what its next try depends on. */
export interface TriedDelivery extends DeliveryRow {
  readonly lifecycle: Lifecycle;
  /** null: it was deleted. */
  readonly webhook: Pick<WebhookRow, "url" | "status" | "secret_version" | "previous_until"> | null;
}

type JoinedRow = DeliveryRow & {
  readonly lifecycle: Lifecycle;
  readonly webhook_url: string | null;
  readonly webhook_status: WebhookRow["status"];
  readonly secret_version: number;
  readonly previous_until: number | null;
};

export async function readForTry(db: D1Database, id: string): Promise<TriedDelivery | null> {
  const sql = `SELECT d.*, p.lifecycle, w.url AS webhook_url, w.status AS webhook_status, w.secret_version, w.previous_until
    FROM webhook_deliveries d JOIN projects p ON p.id = d.project_id LEFT JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?`;
  const row = await stored(async () => db.prepare(sql).bind(id).first<JoinedRow>());
  if (row === null) return null;
  const { webhook_url: url, webhook_status: status, secret_version, previous_until } = row;
  return { ...row, webhook: url === null ? null : { url, status, secret_version, previous_until } };
}

/**
 * Makes a delivery a job's own: one that nobody works at, or whose job is over, which begins it anew. Returns it as it is then, and null
 * where there is none; whose it is stands in it.
 */
export async function takeDelivery(
  db: D1Database,
  { id, webhookId, projectId }: { readonly id: string; readonly webhookId: string; readonly projectId: string },
  jobId: string,
  now: number,
): Promise<DeliveryRow | null> {
  const named = "id = ?1 AND webhook_id = ?4 AND project_id = ?5";
  const sql = `UPDATE webhook_deliveries SET run = run + (job_id IS NOT NULL), attempts = 0, next_attempt_at = NULL, status = 'pending',
      reason = NULL, ended_at = NULL, job_id = ?2, enqueued_at = coalesce(enqueued_at, ?3), changed_by = ?2
    WHERE ${named} AND job_id IS NOT ?2 AND iif(job_id IS NULL, status = 'pending',
      NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = webhook_deliveries.job_id AND j.ended_at IS NULL))`;
  const [, found] = await stored(async () =>
    db.batch<DeliveryRow>([
      db.prepare(sql).bind(id, jobId, now, webhookId, projectId),
      db.prepare("SELECT * FROM webhook_deliveries WHERE id = ? AND webhook_id = ? AND project_id = ?").bind(id, webhookId, projectId),
    ]),
  );
  return found?.results[0] ?? null;
}

/** Of an endpoint in probation whose test came to nothing; ?1 is now. */
export const TEST_FAILED =
  "UPDATE webhooks SET status = 'disabled', status_reason = 'test_failed', status_at = ?1 WHERE status = 'probation'";

/** Ends a delivery without a try. Where it was to decide about an endpoint in probation, that is decided: it stays disabled. */
export async function skipDelivery(db: D1Database, id: string, run: number, reason: DeliveryReason, now: number): Promise<void> {
  const sql = `UPDATE webhook_deliveries SET status = 'skipped', reason = ?3, next_attempt_at = NULL, ended_at = ?4
    WHERE id = ?1 AND run = ?2 AND status = 'pending'`;
  const untested = `${TEST_FAILED} AND id = (SELECT d.webhook_id FROM webhook_deliveries d WHERE d.id = ?2 AND d.is_test = 1 AND d.status = 'skipped')`;
  await stored(async () => db.batch([db.prepare(sql).bind(id, run, reason, now), db.prepare(untested).bind(now, id)]));
}

/** What a try came to. */
export interface Tried {
  readonly delivery: Pick<DeliveryRow, "id" | "webhook_id" | "run" | "is_test">;
  readonly attempt: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly statusCode: number | null;
  readonly error: string | null;
  readonly response: string | null;
  readonly status: "pending" | "delivered" | "failed";
  /** Why it failed. */
  readonly reason: Extract<DeliveryReason, "tries_used_up" | "gone" | "address_refused" | "test_failed"> | null;
  readonly nextAttemptAt: number | null;
  /** Failed deliveries in a row that disable the endpoint. */
  readonly maxFailures: number;
  /** Tries of earlier runs are forgotten. */
  readonly keptRuns: number;
  /** Where it was sent. */
  readonly url: string;
  /** Of the endpoint, as its owner is shown it: without what may be secret. */
  readonly address: string;
  readonly now: number;
}

/**
 * Writes down a try with its consequences. A success ends the row of failures, a failure counts as one of it; the last one that is borne,
 * or an endpoint's own word that it is gone, disables it and tells its owner by an event. Of an endpoint in probation its test decides.
 */
export async function recordTry(db: D1Database, tried: Tried): Promise<void> {
  const { delivery, attempt, startedAt, endedAt, statusCode, error, response, status, reason, nextAttemptAt, keptRuns, now } = tried;
  const { id, webhook_id, run, is_test } = delivery;
  const token = crypto.randomUUID();
  const noted = db
    .prepare(
      `INSERT INTO webhook_attempts (delivery_id, run, attempt, at, duration_ms, status_code, error, response)
      SELECT id, run, ?3, ?4, ?5, ?6, ?7, ?8 FROM webhook_deliveries WHERE id = ?1 AND run = ?2 AND status = 'pending' ON CONFLICT DO NOTHING`,
    )
    .bind(id, run, attempt, startedAt, Math.max(0, endedAt - startedAt), statusCode, error, response);
  const moved = db
    .prepare(
      `UPDATE webhook_deliveries SET status = ?4, reason = ?5, attempts = ?3, next_attempt_at = ?6, ended_at = iif(?4 = 'pending', NULL, ?7),
        changed_by = ?8 WHERE id = ?1 AND run = ?2 AND status = 'pending' AND attempts < ?3`,
    )
    .bind(id, run, attempt, status, reason, nextAttemptAt, now, token);
  const consequences = status === "pending" ? [] : endpointStatements(db, tried, token, { webhook_id, is_test, id, run });
  const forgotten = db.prepare("DELETE FROM webhook_attempts WHERE delivery_id = ? AND run <= ?").bind(id, run - keptRuns);
  await stored(async () => db.batch([noted, moved, ...consequences, ...(run > keptRuns ? [forgotten] : [])]));
}

type Subject = Pick<DeliveryRow, "webhook_id" | "is_test" | "id" | "run">;

/** What follows for the endpoint, ?1, if this try has moved the delivery, ?2, by its token, ?3. */
function endpointStatements(db: D1Database, tried: Tried, token: string, { webhook_id, is_test, id, run }: Subject): D1PreparedStatement[] {
  const mine = "id = ?1 AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.id = ?2 AND d.changed_by = ?3)";
  const own = [webhook_id, id, token];
  const { status, reason, now, maxFailures } = tried;
  if (status === "delivered") {
    // A test that was answered elsewhere proves nothing of where messages would go now.
    const proven = `UPDATE webhooks SET status = iif(url = ?5, 'enabled', 'disabled'), status_reason = iif(url = ?5, NULL, 'test_failed'),
      status_at = ?4, failures = iif(url = ?5, 0, failures) WHERE ${mine} AND status = 'probation'`;
    const well = `UPDATE webhooks SET failures = 0 WHERE ${mine} AND failures > 0`;
    return [is_test === 1 ? db.prepare(proven).bind(...own, now, tried.url) : db.prepare(well).bind(...own)];
  }
  const failing = "UPDATE webhooks SET status = 'disabled', status_reason = 'test_failed', status_at = ?4 WHERE";
  const untested = db.prepare(`${failing} ${mine} AND status = 'probation'`).bind(...own, now);
  if (reason !== "gone" && is_test === 1) return [untested];
  // 410 is the receiver's own word, and needs no row of failures.
  const why = reason === "gone" ? "gone" : "failures";
  const over = `${mine} AND status = 'enabled' AND (failures >= ?4 OR ?5 = 'gone')`;
  const data = `json_object('project_id', w.project_id, 'webhook_id', w.id, 'address', ?8, 'reason', ?5, 'failures', w.failures, 'delivery_id', ?2,
    'status_code', ?9, 'error', ?10)`;
  const tell = `${INSERT_EVENT} SELECT 'webhook.disabled:' || w.id || ':' || ?2 || ':' || ?7, 'webhook.disabled', w.project_id, ${data}, ?6
    FROM webhooks w WHERE ${over} ON CONFLICT DO NOTHING`;
  const disable = `UPDATE webhooks SET status = 'disabled', status_reason = ?5, status_at = ?6 WHERE ${over}`;
  const bounds = [maxFailures, why];
  return [
    ...(is_test === 1 ? [] : [db.prepare(`UPDATE webhooks SET failures = failures + 1 WHERE ${mine}`).bind(...own)]),
    db.prepare(tell).bind(...own, ...bounds, now, run, tried.address, tried.statusCode, tried.error),
    db.prepare(disable).bind(...own, ...bounds, now),
    // Another message that only failed says nothing about a test that is still on its way.
    ...(reason === "gone" ? [untested] : []),
  ];
}
