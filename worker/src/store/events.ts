/**
 * Events: what is to be told to those who asked to be told. Written in the transaction of what happened, so that none is told that did not
 * happen and none is forgotten; the id says what it is about, so that none is written twice. Times are epoch milliseconds.
 */
import { claimed, ifClaimed } from "./changes.ts";
import type { Operation } from "./changes.ts";
import { olderThan, stored, where } from "./database.ts";
import { heldBy } from "./suspension/reasons.ts";

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

/** The columns that every writer fills in this order. */
export const INSERT_EVENT = "INSERT INTO events (id, type, project_id, data, created_at)";

/** A change by hand stopped the project: told where it was not stopped before. */
export function suspendedStatement(db: D1Database, projectId: string, operation: Operation): D1PreparedStatement {
  const held = `SELECT json_group_array(json_object('reason', s.reason, 'detail', s.detail)) ${heldBy("?1", "?3")}`;
  const sql = `${INSERT_EVENT}
    SELECT 'project.suspended:' || ?1 || ':' || ?2, 'project.suspended', ?1, json_object('project_id', ?1, 'reasons', json((${held}))), ?3
    WHERE ${claimed("projects")} AND (SELECT count(*) ${heldBy("?1", "?3")}) = 1`;
  return ifClaimed(db, projectId, operation, sql, operation.now);
}

/** A change by hand lifted the last reason. */
export function reactivatedStatement(db: D1Database, projectId: string, operation: Operation): D1PreparedStatement {
  const lifted = "FROM suspensions s WHERE s.project_id = ?1 AND s.lifted_at = ?3 AND s.lifted_by = ?4";
  const sql = `${INSERT_EVENT}
    SELECT 'project.reactivated:' || ?1 || ':' || ?2, 'project.reactivated', ?1,
      json_object('project_id', ?1, 'reasons', json((SELECT json_group_array(s.reason ORDER BY s.reason) ${lifted}))), ?3
    WHERE ${claimed("projects")} AND EXISTS (SELECT 1 ${lifted})
      AND NOT EXISTS (SELECT 1 ${heldBy("?1", "?3")})`;
  return ifClaimed(db, projectId, operation, sql, operation.now, operation.actor);
}

export interface EventRow {
  readonly seq: number;
  readonly id: string;
  readonly type: EventType;
  readonly data: string;
  readonly created_at: number;
}

/** What happened to a project, the newest first. */
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
