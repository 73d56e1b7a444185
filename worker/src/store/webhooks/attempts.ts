/**
 * Attempts of a delivery: its job, the result of each attempt, and the consequences for the endpoint, in one transaction. Repeating an
 * attempt number changes nothing. Times are epoch milliseconds.
 */
import { stored } from "../database.ts";
import { INSERT_EVENT } from "../events.ts";
import type { Lifecycle } from "../projects/projects.ts";
import type { DeliveryReason, DeliveryRow } from "./deliveries.ts";
import type { WebhookRow } from "./webhooks.ts";

/** A delivery with the endpoint state that its next attempt depends on. */
export interface DeliveryWithWebhook extends DeliveryRow {
  readonly lifecycle: Lifecycle;
  /** null: the endpoint was deleted. */
  readonly webhook: Pick<WebhookRow, "url" | "status" | "secret_version" | "previous_until"> | null;
}

type JoinedRow = DeliveryRow & {
  readonly lifecycle: Lifecycle;
  readonly webhook_url: string | null;
  readonly webhook_status: WebhookRow["status"];
  readonly secret_version: number;
  readonly previous_until: number | null;
};

export async function readForAttempt(db: D1Database, id: string): Promise<DeliveryWithWebhook | null> {
  const sql = `SELECT d.*, p.lifecycle, w.url AS webhook_url, w.status AS webhook_status, w.secret_version, w.previous_until
    FROM webhook_deliveries d JOIN projects p ON p.id = d.project_id LEFT JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?`;
  const row = await stored(async () => db.prepare(sql).bind(id).first<JoinedRow>());
  if (row === null) return null;
  const { webhook_url: url, webhook_status: status, secret_version, previous_until } = row;
  return { ...row, webhook: url === null ? null : { url, status, secret_version, previous_until } };
}

/**
 * Assigns a delivery to a job if no other job is working on it. If its previous job has ended, the delivery starts a new run. Returns the
 * delivery, whose `job_id` names its owner. Null if it does not exist.
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

/** Ends the probation of an endpoint whose test failed. ?1 is now. */
export const TEST_FAILED =
  "UPDATE webhooks SET status = 'disabled', status_reason = 'test_failed', status_at = ?1 WHERE status = 'probation'";

/** Ends a delivery without an attempt. If it was the test of an endpoint in probation, the endpoint stays disabled. */
export async function skipDelivery(db: D1Database, id: string, run: number, reason: DeliveryReason, now: number): Promise<void> {
  const sql = `UPDATE webhook_deliveries SET status = 'skipped', reason = ?3, next_attempt_at = NULL, ended_at = ?4
    WHERE id = ?1 AND run = ?2 AND status = 'pending'`;
  const failTest = `${TEST_FAILED} AND id = (SELECT d.webhook_id FROM webhook_deliveries d WHERE d.id = ?2 AND d.is_test = 1 AND d.status = 'skipped')`;
  await stored(async () => db.batch([db.prepare(sql).bind(id, run, reason, now), db.prepare(failTest).bind(now, id)]));
}

/** Result of an attempt. */
export interface AttemptResult {
  readonly delivery: Pick<DeliveryRow, "id" | "webhook_id" | "run" | "is_test">;
  readonly attempt: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly statusCode: number | null;
  readonly error: string | null;
  readonly response: string | null;
  readonly status: "pending" | "delivered" | "failed";
  /** Reason for the failure. */
  readonly reason: Extract<DeliveryReason, "tries_used_up" | "gone" | "address_refused" | "test_failed"> | null;
  readonly nextAttemptAt: number | null;
  /** Consecutive failed deliveries that disable the endpoint. */
  readonly maxFailures: number;
  /** Number of runs whose attempts are kept. */
  readonly keptRuns: number;
  /** Address of the request. */
  readonly url: string;
  /** Address of the endpoint as shown to its owner, without secret parts. */
  readonly address: string;
  readonly now: number;
}

/**
 * Records an attempt with its consequences. A success resets the endpoint's failure count, and a failed delivery raises it. The last
 * allowed failure, or the response 410, disables the endpoint and adds an event. For an endpoint in probation its test decides.
 */
export async function recordAttempt(db: D1Database, result: AttemptResult): Promise<void> {
  const { delivery, attempt, startedAt, endedAt, statusCode, error, response, status, reason, nextAttemptAt, keptRuns, now } = result;
  const { id, webhook_id, run, is_test } = delivery;
  const token = crypto.randomUUID();
  const record = db
    .prepare(
      `INSERT INTO webhook_attempts (delivery_id, run, attempt, at, duration_ms, status_code, error, response)
      SELECT id, run, ?3, ?4, ?5, ?6, ?7, ?8 FROM webhook_deliveries WHERE id = ?1 AND run = ?2 AND status = 'pending' ON CONFLICT DO NOTHING`,
    )
    .bind(id, run, attempt, startedAt, Math.max(0, endedAt - startedAt), statusCode, error, response);
  const update = db
    .prepare(
      `UPDATE webhook_deliveries SET status = ?4, reason = ?5, attempts = ?3, next_attempt_at = ?6, ended_at = iif(?4 = 'pending', NULL, ?7),
        changed_by = ?8 WHERE id = ?1 AND run = ?2 AND status = 'pending' AND attempts < ?3`,
    )
    .bind(id, run, attempt, status, reason, nextAttemptAt, now, token);
  const consequences = status === "pending" ? [] : endpointStatements(db, result, token, { webhook_id, is_test, id, run });
  const deleteOld = db.prepare("DELETE FROM webhook_attempts WHERE delivery_id = ? AND run <= ?").bind(id, run - keptRuns);
  await stored(async () => db.batch([record, update, ...consequences, ...(run > keptRuns ? [deleteOld] : [])]));
}

type Subject = Pick<DeliveryRow, "webhook_id" | "is_test" | "id" | "run">;

/** Consequences for the endpoint, ?1, if this attempt updated the delivery, ?2, identified by its token, ?3. */
function endpointStatements(
  db: D1Database,
  result: AttemptResult,
  token: string,
  { webhook_id, is_test, id, run }: Subject,
): D1PreparedStatement[] {
  const matches = "id = ?1 AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.id = ?2 AND d.changed_by = ?3)";
  const own = [webhook_id, id, token];
  const { status, reason, now, maxFailures } = result;
  if (status === "delivered") {
    // A test sent to a different address proves nothing about the current one.
    const endProbation = `UPDATE webhooks SET status = iif(url = ?5, 'enabled', 'disabled'), status_reason = iif(url = ?5, NULL, 'test_failed'),
      status_at = ?4, failures = iif(url = ?5, 0, failures) WHERE ${matches} AND status = 'probation'`;
    const resetFailures = `UPDATE webhooks SET failures = 0 WHERE ${matches} AND failures > 0`;
    return [is_test === 1 ? db.prepare(endProbation).bind(...own, now, result.url) : db.prepare(resetFailures).bind(...own)];
  }
  const disableTest = "UPDATE webhooks SET status = 'disabled', status_reason = 'test_failed', status_at = ?4 WHERE";
  const failTest = db.prepare(`${disableTest} ${matches} AND status = 'probation'`).bind(...own, now);
  if (reason !== "gone" && is_test === 1) return [failTest];
  // The response 410 disables the endpoint without further failures.
  const disabledReason = reason === "gone" ? "gone" : "failures";
  const toDisable = `${matches} AND status = 'enabled' AND (failures >= ?4 OR ?5 = 'gone')`;
  const data = `json_object('project_id', w.project_id, 'webhook_id', w.id, 'address', ?8, 'reason', ?5, 'failures', w.failures, 'delivery_id', ?2,
    'status_code', ?9, 'error', ?10)`;
  const event = `${INSERT_EVENT} SELECT 'webhook.disabled:' || w.id || ':' || ?2 || ':' || ?7, 'webhook.disabled', w.project_id, ${data}, ?6
    FROM webhooks w WHERE ${toDisable} ON CONFLICT DO NOTHING`;
  const disable = `UPDATE webhooks SET status = 'disabled', status_reason = ?5, status_at = ?6 WHERE ${toDisable}`;
  const bounds = [maxFailures, disabledReason];
  return [
    ...(is_test === 1 ? [] : [db.prepare(`UPDATE webhooks SET failures = failures + 1 WHERE ${matches}`).bind(...own)]),
    db.prepare(event).bind(...own, ...bounds, now, run, result.address, result.statusCode, result.error),
    db.prepare(disable).bind(...own, ...bounds, now),
    // Another message that failed says nothing about a test in flight.
    ...(reason === "gone" ? [failTest] : []),
  ];
}
