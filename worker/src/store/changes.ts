/**
 * Administrators' changes. Each is decided on a row as it was seen, written only if that row is still the same, and stands in the audit log
 * in the same transaction, with what was before and after.
 */
import { olderThan, stored, where } from "./database.ts";
import type { Condition } from "./database.ts";

/** Who does what, and when; `id` is one for all that a request changes. */
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
  /** The operation that wrote it last. */
  readonly changed_by: string;
}

/** Holds in a statement whose ?1 is the row's id and ?2 the operation's, once the operation has claimed the row. */
export const claimed = (owner: Owner): string => `EXISTS (SELECT 1 FROM ${owner} WHERE ${owner}.id = ?1 AND ${owner}.changed_by = ?2)`;

/** A statement that does nothing unless the operation has claimed the row; ?1 and ?2 are bound here, `values` from ?3 on. */
export function ifClaimed(db: D1Database, id: string, operation: Operation, sql: string, ...values: unknown[]): D1PreparedStatement {
  return db.prepare(sql).bind(id, operation.id, ...values);
}

/** What only the transaction knows of a change, as SQL around the note's own words, ?8 and ?9; ?1 is the row's id, ?3 now. */
interface Known {
  readonly before: string;
  readonly after: string;
  /** From ?10 on. */
  readonly values: readonly unknown[];
}

const NOTHING_MORE: Known = { before: "?8", after: "?9", values: [] };

export function auditStatement(
  db: D1Database,
  owner: Owner,
  id: string,
  operation: Operation,
  note: AuditNote,
  known = NOTHING_MORE,
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
  /** About the row, what must hold too; its values from ?5 on. */
  readonly condition?: Condition;
}

/**
 * Writes a change with its audit entry, in one transaction. False where somebody else changed the row meanwhile, or the condition does not
 * hold: nothing was written.
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

/** The newest first. */
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
