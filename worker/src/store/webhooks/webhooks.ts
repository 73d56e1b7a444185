/** Webhook endpoints. Changes by people claim the project, like changes of its keys. Times are epoch milliseconds. */
import { applyChange, claimed, ifClaimed } from "../changes.ts";
import type { AuditNote, Operation, Seen } from "../changes.ts";
import { createdBefore, stored, where } from "../database.ts";
import type { After } from "../database.ts";
import { addDeliveryStatement } from "./deliveries.ts";
import type { NewDelivery } from "./deliveries.ts";

/** `probation`: a test is in flight, and its result decides. */
export const WEBHOOK_STATUSES = ["enabled", "disabled", "probation"] as const;
export type WebhookStatus = (typeof WEBHOOK_STATUSES)[number];

/**
 * Why an endpoint is not enabled: disabled manually, five consecutive failed deliveries, the response 410, a test in flight, or a failed
 * test.
 */
export const STATUS_REASONS = ["by_hand", "failures", "gone", "test", "test_failed"] as const;

export interface WebhookRow {
  readonly id: string;
  readonly project_id: string;
  readonly url: string;
  readonly description: string;
  /** JSON array. null: all. */
  readonly event_types: string | null;
  readonly status: WebhookStatus;
  readonly status_reason: (typeof STATUS_REASONS)[number] | null;
  readonly status_at: number;
  readonly failures: number;
  readonly secret_version: number;
  readonly previous_until: number | null;
  readonly created_at: number;
  readonly updated_at: number;
}

export type NewWebhook = Pick<WebhookRow, "id" | "url" | "description" | "event_types">;

/** Returns false, and writes nothing, if the project was changed meanwhile. */
export async function addWebhook(
  db: D1Database,
  project: Seen,
  { id, url, description, event_types }: NewWebhook,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const sql = `INSERT INTO webhooks (id, project_id, url, description, event_types, status_at, created_at, updated_at)
    SELECT ?3, ?1, ?4, ?5, ?6, ?7, ?7, ?7 WHERE ${claimed("projects")}`;
  const statement = ifClaimed(db, project.id, operation, sql, id, url, description, event_types, operation.now);
  return applyChange(db, { owner: "projects", seen: project, operation, note }, [statement]);
}

export async function findWebhook(db: D1Database, projectId: string, id: string): Promise<WebhookRow | null> {
  const query = db.prepare("SELECT * FROM webhooks WHERE id = ? AND project_id = ?").bind(id, projectId);
  return stored(async () => query.first<WebhookRow>());
}

/** Newest first. */
export async function listWebhooks(
  db: D1Database,
  projectId: string,
  { after, limit }: { readonly after: After | null; readonly limit: number },
): Promise<WebhookRow[]> {
  const { sql, values } = where([{ sql: "project_id = ?", values: [projectId] }, createdBefore(after, "webhooks")]);
  const query = db.prepare(`SELECT * FROM webhooks ${sql} ORDER BY created_at DESC, id DESC LIMIT ?`).bind(...values, limit);
  const { results } = await stored(async () => query.all<WebhookRow>());
  return results;
}

export async function countWebhooks(db: D1Database, projectId: string): Promise<number> {
  const query = db.prepare("SELECT count(*) AS n FROM webhooks WHERE project_id = ?").bind(projectId);
  return (await stored(async () => query.first<number>("n"))) ?? 0;
}

export interface WebhookChange extends Pick<WebhookRow, "url" | "description" | "event_types"> {
  /** null: keeps the current status, even if it changed meanwhile. */
  readonly status: { readonly to: "disabled" | "probation"; readonly reason: "by_hand" | "test" } | null;
  /** Test delivery that is added with the change. */
  readonly test: NewDelivery | null;
}

/** Returns false, and writes nothing, if the project was changed meanwhile. */
export async function changeWebhook(
  db: D1Database,
  project: Seen,
  webhookId: string,
  { url, description, event_types, status, test }: WebhookChange,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const sql = `UPDATE webhooks SET url = ?4, description = ?5, event_types = ?6, updated_at = ?7, status = coalesce(?8, status),
      status_reason = iif(?8 IS NULL, status_reason, ?9), status_at = iif(?8 IS NULL, status_at, ?7)
    WHERE id = ?3 AND project_id = ?1 AND ${claimed("projects")}`;
  const values = [url, description, event_types, operation.now, status?.to ?? null, status?.reason ?? null];
  return applyChange(db, { owner: "projects", seen: project, operation, note }, [
    ifClaimed(db, project.id, operation, sql, webhookId, ...values),
    ...(test === null ? [] : [addDeliveryStatement(db, test, operation, { project: project.id })]),
  ]);
}

/**
 * Adds a version of the secret. The previous version also signs until `previousUntil`. Returns false if the project was changed meanwhile.
 */
export async function addSecretVersion(
  db: D1Database,
  project: Seen,
  { webhookId, version, previousUntil }: { readonly webhookId: string; readonly version: number; readonly previousUntil: number | null },
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const sql = `UPDATE webhooks SET secret_version = ?4, previous_until = ?5, updated_at = ?6
    WHERE id = ?3 AND project_id = ?1 AND ${claimed("projects")}`;
  const statement = ifClaimed(db, project.id, operation, sql, webhookId, version, previousUntil, operation.now);
  return applyChange(db, { owner: "projects", seen: project, operation, note }, [statement]);
}

/** Keeps the endpoint's deliveries for reading and ends those in flight. Returns false if the project was changed meanwhile. */
export async function deleteWebhook(
  db: D1Database,
  project: Seen,
  webhookId: string,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const end = `UPDATE webhook_deliveries SET status = 'skipped', reason = 'webhook_deleted', next_attempt_at = NULL, ended_at = ?4, changed_by = ?2
    WHERE webhook_id = ?3 AND status = 'pending' AND ${claimed("projects")}`;
  const remove = `DELETE FROM webhooks WHERE id = ?3 AND project_id = ?1 AND ${claimed("projects")}`;
  return applyChange(db, { owner: "projects", seen: project, operation, note }, [
    ifClaimed(db, project.id, operation, end, webhookId, operation.now),
    ifClaimed(db, project.id, operation, remove, webhookId),
  ]);
}
