/**
 * Administrators' changes. Each is decided on a row as it was seen, written only if that row is still the same, and stands in the audit log
 * in the same transaction, with what was before and after.
 */
import { stored } from "./database.ts";

/** Who does what, and when; `id` is one for all that a request changes. */
export interface Operation {
  readonly id: string;
  readonly actor: string;
  readonly now: number;
}

export interface AuditNote {
  readonly action: string;
  /** `organization:<id>`, `project:<id>`, `key:<id>`, `quota:<provider>`. */
  readonly subject: string;
  readonly projectId: string | null;
  readonly before: unknown;
  readonly after: unknown;
}

type Owner = "organizations" | "projects";

/** Holds in a statement whose ?1 is the row's id and ?2 the operation's, once the operation has claimed the row. */
export const claimed = (owner: Owner): string => `EXISTS (SELECT 1 FROM ${owner} WHERE ${owner}.id = ?1 AND ${owner}.changed_by = ?2)`;

/** A statement that does nothing unless the operation has claimed the row; ?1 and ?2 are bound here, `values` from ?3 on. */
export function ifClaimed(db: D1Database, id: string, operation: Operation, sql: string, ...values: unknown[]): D1PreparedStatement {
  return db.prepare(sql).bind(id, operation.id, ...values);
}

export function auditStatement(db: D1Database, owner: Owner, id: string, operation: Operation, note: AuditNote): D1PreparedStatement {
  const sql = `INSERT INTO audit_log (operation, at, actor, action, subject, project_id, before, after)
    SELECT ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE ${claimed(owner)}`;
  const { action, subject, projectId, before, after } = note;
  const values = [operation.now, operation.actor, action, subject, projectId, JSON.stringify(before), JSON.stringify(after)];
  return ifClaimed(db, id, operation, sql, ...values);
}

interface Change {
  readonly owner: Owner;
  readonly id: string;
  /** `changed_by` of the row that the change was decided on. */
  readonly seen: string;
  readonly operation: Operation;
  readonly note: AuditNote;
  /** SQL about the row that must hold too. */
  readonly condition?: string;
}

/**
 * Writes a change with its audit entry, in one transaction. False where somebody else changed the row meanwhile, or the condition does not
 * hold: nothing was written.
 */
export async function applyChange(db: D1Database, change: Change, statements: readonly D1PreparedStatement[]): Promise<boolean> {
  const { owner, id, seen, operation, note, condition = "true" } = change;
  const claim = db
    .prepare(`UPDATE ${owner} SET changed_by = ?2, updated_at = ?3 WHERE id = ?1 AND changed_by = ?4 AND ${condition} RETURNING id`)
    .bind(id, operation.id, operation.now, seen);
  const [first] = await stored(async () => db.batch([claim, ...statements, auditStatement(db, owner, id, operation, note)]));
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

/** The newest first. */
export async function listAudit(db: D1Database, { projectId, subject, before, limit }: AuditFilter): Promise<AuditRow[]> {
  const sql = `SELECT * FROM audit_log
    WHERE (?1 IS NULL OR project_id = ?1) AND (?2 IS NULL OR subject = ?2) AND (?3 IS NULL OR seq < ?3) ORDER BY seq DESC LIMIT ?4`;
  const { results } = await stored(async () => db.prepare(sql).bind(projectId, subject, before, limit).all<AuditRow>());
  return results;
}

/** A change whose truth lies elsewhere, such as the ledger's: noted once an operation. */
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
