/**
 * Events for webhooks and notices. Each is written in the transaction that caused it, so that none is lost and none is invented. The id
 * names its subject, so that none is written twice. Times are epoch milliseconds.
 */
import { claimed, ifClaimed } from "./changes.ts";
import type { Operation } from "./changes.ts";
import { olderThan, stored, where } from "./database.ts";
import { activeReasons } from "./suspension/reasons.ts";

export const EVENT_TYPES = [
  "quota.warning",
  "project.suspended",
  "project.reactivated",
  "abuse.detected",
  "backup.completed",
  "backup.failed",
  "restore.completed",
  "restore.failed",
  "project.provisioned",
  "project.provisioning_failed",
  "key.rotated",
  "key.grace_ended",
  "webhook.disabled",
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Every writer fills these columns in this order. */
export const INSERT_EVENT = "INSERT INTO events (id, type, project_id, data, created_at)";

/** Event of a manual suspension. Written only if the project was not suspended before. */
export function suspendedStatement(db: D1Database, projectId: string, operation: Operation): D1PreparedStatement {
  const reasons = `SELECT json_group_array(json_object('reason', s.reason, 'detail', s.detail)) ${activeReasons("?1", "?3")}`;
  const sql = `${INSERT_EVENT}
    SELECT 'project.suspended:' || ?1 || ':' || ?2, 'project.suspended', ?1, json_object('project_id', ?1, 'reasons', json((${reasons}))), ?3
    WHERE ${claimed("projects")} AND (SELECT count(*) ${activeReasons("?1", "?3")}) = 1`;
  return ifClaimed(db, projectId, operation, sql, operation.now);
}

/** Event of a manual change that lifted the last reason. */
export function reactivatedStatement(db: D1Database, projectId: string, operation: Operation): D1PreparedStatement {
  const lifted = "FROM suspensions s WHERE s.project_id = ?1 AND s.lifted_at = ?3 AND s.lifted_by = ?4";
  const sql = `${INSERT_EVENT}
    SELECT 'project.reactivated:' || ?1 || ':' || ?2, 'project.reactivated', ?1,
      json_object('project_id', ?1, 'reasons', json((SELECT json_group_array(s.reason ORDER BY s.reason) ${lifted}))), ?3
    WHERE ${claimed("projects")} AND EXISTS (SELECT 1 ${lifted})
      AND NOT EXISTS (SELECT 1 ${activeReasons("?1", "?3")})`;
  return ifClaimed(db, projectId, operation, sql, operation.now, operation.actor);
}

export interface EventRow {
  readonly seq: number;
  readonly id: string;
  readonly type: EventType;
  readonly data: string;
  readonly created_at: number;
}

/** Events of a project, newest first. */
export async function listEvents(
  db: D1Database,
  projectId: string,
  { before, limit }: { readonly before: number | null; readonly limit: number },
): Promise<EventRow[]> {
  const { sql, values } = where([{ sql: "project_id = ?", values: [projectId] }, olderThan(before)]);
  const query = db.prepare(`SELECT * FROM events ${sql} ORDER BY seq DESC LIMIT ?`).bind(...values, limit);
  const { results } = await stored(async () => query.all<EventRow>());
  return results;
}
