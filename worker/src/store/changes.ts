/**
 * Administrators' changes. Each change is based on a row as it was read and is written only if that row is still the same. The audit log
 * records it in the same transaction, with the values before and after.
 */
import { olderThan, stored, where } from "./database.ts";
import type { Condition } from "./database.ts";

/** The actor and time of a change. `id` is shared by all changes of one request. */
export interface Operation {
  readonly id: string;
  readonly actor: string;
  readonly now: number;
}

export interface AuditNote {
  readonly action: string;
  /** `organization:<id>`, `project:<id>`, `key:<id>`, `backup:<id>`, `webhook:<id>`, `quota:<provider>`. */
  readonly subject: string;
  readonly projectId: string | null;
  readonly before: unknown;
  readonly after: unknown;
}

type Owner = "organizations" | "projects" | "backups";

/** The row that a change was decided on. */
export interface Seen {
  readonly id: string;
  /** The operation that last wrote it. */
  readonly changed_by: string;
}

/** SQL condition: true once the operation has claimed the row. ?1 is the row's id and ?2 the operation's. */
export const claimed = (owner: Owner): string => `EXISTS (SELECT 1 FROM ${owner} WHERE ${owner}.id = ?1 AND ${owner}.changed_by = ?2)`;

/** A statement that does nothing unless the operation has claimed the row. ?1 and ?2 are bound here, `values` start at ?3. */
export function ifClaimed(db: D1Database, id: string, operation: Operation, sql: string, ...values: unknown[]): D1PreparedStatement {
  return db.prepare(sql).bind(id, operation.id, ...values);
}

/** SQL for values that only the transaction knows. It wraps the note's own values, ?8 and ?9. ?1 is the row's id, ?3 is now. */
interface AuditValues {
  readonly before: string;
  readonly after: string;
  /** Bound from ?10 on. */
  readonly values: readonly unknown[];
}

const ONLY_THE_NOTE: AuditValues = { before: "?8", after: "?9", values: [] };

export function auditStatement(
  db: D1Database,
  owner: Owner,
  id: string,
  operation: Operation,
  note: AuditNote,
  known = ONLY_THE_NOTE,
): D1PreparedStatement {
  const sql = `INSERT INTO audit_log (operation, at, actor, action, subject, project_id, before, after)
    SELECT ?2, ?3, ?4, ?5, ?6, ?7, ${known.before}, ${known.after} WHERE ${claimed(owner)}`;
  const { action, subject, projectId, before, after } = note;
  const values = [operation.now, operation.actor, action, subject, projectId, JSON.stringify(before), JSON.stringify(after)];
  return ifClaimed(db, id, operation, sql, ...values, ...known.values);
}

interface Change {
  readonly owner: Owner;
  readonly seen: Seen;
  readonly operation: Operation;
  /** null: the statements write their own entry. */
  readonly note: AuditNote | null;
  /** A further condition on the row. Its values are bound from ?5 on. */
  readonly condition?: Condition;
}

/**
 * Writes a change with its audit entry in one transaction. Returns false, and writes nothing, if the row was changed meanwhile or the
 * condition does not hold.
 */
export async function applyChange(db: D1Database, change: Change, statements: readonly D1PreparedStatement[]): Promise<boolean> {
  const { owner, seen, operation, note, condition = { sql: "true", values: [] } } = change;
  const claim = db
    .prepare(`UPDATE ${owner} SET changed_by = ?2, updated_at = ?3 WHERE id = ?1 AND changed_by = ?4 AND ${condition.sql} RETURNING id`)
    .bind(seen.id, operation.id, operation.now, seen.changed_by, ...condition.values);
  const entry = note ? [auditStatement(db, owner, seen.id, operation, note)] : [];
  const [first] = await stored(async () => db.batch([claim, ...statements, ...entry]));
  return (first?.results ?? []).length > 0;
}

export interface AuditRow {
  readonly seq: number;
  readonly operation: string;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly project_id: string | null;
  readonly before: string;
  readonly after: string;
}

export interface AuditFilter {
  readonly projectId: string | null;
  readonly subject: string | null;
  /** Entries older than this one. */
  readonly before: number | null;
  readonly limit: number;
}

/** Newest first. */
export async function listAudit(db: D1Database, { projectId, subject, before, limit }: AuditFilter): Promise<AuditRow[]> {
  const { sql, values } = where([
    projectId !== null && { sql: "project_id = ?", values: [projectId] },
    subject !== null && { sql: "subject = ?", values: [subject] },
    olderThan(before),
  ]);
  const query = db.prepare(`SELECT * FROM audit_log ${sql} ORDER BY seq DESC LIMIT ?`).bind(...values, limit);
  const { results } = await stored(async () => query.all<AuditRow>());
  return results;
}

/** Records a change whose source of truth is elsewhere, such as the ledger. Call it once per operation. */
export async function addAudit(db: D1Database, operation: Operation, note: AuditNote): Promise<void> {
  const sql = `INSERT INTO audit_log (operation, at, actor, action, subject, project_id, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
  const { action, subject, projectId, before, after } = note;
  const values = [operation.id, operation.now, operation.actor, action, subject, projectId, JSON.stringify(before), JSON.stringify(after)];
  await stored(async () =>
    db
      .prepare(sql)
      .bind(...values)
      .run(),
  );
}
