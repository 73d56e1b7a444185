/** API keys and their versions. Only a keyed hash of each key is stored. Times are epoch milliseconds. */
import { applyChange, claimed, ifClaimed } from "../changes.ts";
import type { AuditNote, Operation, Seen } from "../changes.ts";
import { createdBefore, stored, where } from "../database.ts";
import { graceEndedByStatement, rotatedStatement } from "./grace.ts";
import type { After } from "../database.ts";

export const SCOPES = ["read", "enrich", "database", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

export interface NewApiKey {
  readonly id: string;
  readonly name: string;
  readonly mode: "live" | "test";
  readonly scopes: readonly Scope[];
  readonly expiresAt: number | null;
  readonly hash: string;
}

export interface KeyVersion {
  readonly version: number;
  readonly created_at: number;
  /** When it expires. Null: with the key. */
  readonly expires_at: number | null;
  readonly last_used_at: number | null;
  /** Requests since a newer version exists. */
  readonly grace_uses: number;
}

export interface ApiKeyView {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly mode: "live" | "test";
  readonly scopes: readonly Scope[];
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
  readonly last_used_at: number | null;
  readonly created_at: number;
  /** Newest first. */
  readonly versions: readonly KeyVersion[];
}

type KeyRow = Omit<ApiKeyView, "scopes" | "versions"> & { readonly scopes: string; readonly versions: string };

const VIEW = `SELECT k.*, (SELECT json_group_array(
    json_object('version', v.version, 'created_at', v.created_at, 'expires_at', v.expires_at, 'last_used_at', v.last_used_at,
      'grace_uses', v.grace_uses)
    ORDER BY v.version DESC) FROM api_key_versions v WHERE v.key_id = k.id) AS versions
  FROM api_keys k`;

const asView = (row: KeyRow): ApiKeyView => ({
  ...row,
  scopes: JSON.parse(row.scopes) as Scope[],
  versions: JSON.parse(row.versions) as KeyVersion[],
});

/** Statements that add a key to a project that the operation has claimed. */
export function addKeyStatements(db: D1Database, projectId: string, key: NewApiKey, operation: Operation): D1PreparedStatement[] {
  const add = `INSERT INTO api_keys (id, project_id, name, mode, scopes, expires_at, created_at)
    SELECT ?3, ?1, ?4, ?5, ?6, ?7, ?8 WHERE ${claimed("projects")}`;
  const version = `INSERT INTO api_key_versions (key_id, version, hash, created_at) SELECT ?3, 1, ?4, ?5 WHERE ${claimed("projects")}`;
  const { id, name, mode, scopes, expiresAt, hash } = key;
  return [
    ifClaimed(db, projectId, operation, add, id, name, mode, JSON.stringify(scopes), expiresAt, operation.now),
    ifClaimed(db, projectId, operation, version, id, hash, operation.now),
  ];
}

/** Returns false, and writes nothing, if the project was changed meanwhile. */
export async function addKey(db: D1Database, project: Seen, key: NewApiKey, operation: Operation, note: AuditNote): Promise<boolean> {
  const change = { owner: "projects", seen: project, operation, note } as const;
  return applyChange(db, change, addKeyStatements(db, project.id, key, operation));
}

export async function findKey(db: D1Database, projectId: string, id: string): Promise<ApiKeyView | null> {
  const row = await stored(async () => db.prepare(`${VIEW} WHERE k.id = ? AND k.project_id = ?`).bind(id, projectId).first<KeyRow>());
  return row ? asView(row) : null;
}

/** Newest first. */
export async function listKeys(
  db: D1Database,
  projectId: string,
  { after, limit }: { readonly after: After | null; readonly limit: number },
): Promise<ApiKeyView[]> {
  const { sql, values } = where([{ sql: "k.project_id = ?", values: [projectId] }, createdBefore(after, "k")]);
  const query = db.prepare(`${VIEW} ${sql} ORDER BY k.created_at DESC, k.id DESC LIMIT ?`).bind(...values, limit);
  const { results } = await stored(async () => query.all<KeyRow>());
  return results.map(asView);
}

/** Revokes a key. A key that is revoked already keeps its time. Returns false if the project was changed meanwhile. */
export async function revokeKey(db: D1Database, project: Seen, keyId: string, operation: Operation, note: AuditNote): Promise<boolean> {
  const sql = `UPDATE api_keys SET revoked_at = ?4 WHERE id = ?3 AND project_id = ?1 AND revoked_at IS NULL AND ${claimed("projects")}`;
  const change = { owner: "projects", seen: project, operation, note } as const;
  return applyChange(db, change, [ifClaimed(db, project.id, operation, sql, keyId, operation.now)]);
}

/** Keys of a project that are valid at `now`: not revoked, not expired. Reads two ranges of one index, however many old keys exist. */
export async function countLiveKeys(db: D1Database, projectId: string, now: number): Promise<number> {
  const live = "SELECT count(*) FROM api_keys k WHERE k.project_id = ?1 AND k.revoked_at IS NULL";
  const sql = `SELECT (${live} AND k.expires_at IS NULL) + (${live} AND k.expires_at > ?2) AS live`;
  return (await stored(async () => db.prepare(sql).bind(projectId, now).first<number>("live"))) ?? 0;
}

export interface NewVersion {
  readonly keyId: string;
  readonly version: number;
  readonly hash: string;
  /** When all earlier versions expire. */
  readonly earlierEndAt: number;
  /** Number of expired versions to keep, latest first. */
  readonly keepEnded: number;
  /** Idempotency key of the rotation, so that a retry creates no second version. */
  readonly rotation: string | null;
  /** The request, as JSON. */
  readonly request: string;
  readonly immediate: boolean;
}

/**
 * Adds a version, ends the earlier ones and deletes old expired ones. Returns false, and writes nothing, if the project was changed
 * meanwhile.
 */
export async function addVersion(
  db: D1Database,
  project: Seen,
  { keyId, version, hash, earlierEndAt, keepEnded, rotation, request, immediate }: NewVersion,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const add = `INSERT INTO api_key_versions (key_id, version, hash, created_at, rotation, rotation_asked)
    SELECT ?3, ?4, ?5, ?6, ?7, ?8 WHERE ${claimed("projects")}`;
  const deleteOld = `DELETE FROM api_key_versions WHERE key_id = ?3 AND ${claimed("projects")} AND version <= (
    SELECT e.version FROM api_key_versions e WHERE e.key_id = ?3 AND e.expires_at <= ?4 ORDER BY e.version DESC LIMIT 1 OFFSET ?5)`;
  const change = { owner: "projects", seen: project, operation, note } as const;
  return applyChange(db, change, [
    ...endVersionsStatements(db, project.id, keyId, earlierEndAt, operation),
    ifClaimed(db, project.id, operation, add, keyId, version, hash, operation.now, rotation, request),
    rotatedStatement(db, project.id, operation, { keyId, version, immediate, earlierEndAt }),
    ifClaimed(db, project.id, operation, deleteOld, keyId, operation.now, keepEnded),
  ]);
}

/** Ends all versions but the newest at `endAt`, unless they end sooner. Returns false if the project was changed meanwhile. */
export async function endEarlierVersions(
  db: D1Database,
  project: Seen,
  { keyId, newest, endAt }: { readonly keyId: string; readonly newest: number; readonly endAt: number },
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const change = { owner: "projects", seen: project, operation, note } as const;
  return applyChange(db, change, endVersionsStatements(db, project.id, keyId, endAt, operation, newest));
}

/** Also adds an event for each grace period that ends now or has ended without an event. */
function endVersionsStatements(
  db: D1Database,
  projectId: string,
  keyId: string,
  endAt: number,
  operation: Operation,
  below = Number.MAX_SAFE_INTEGER,
): D1PreparedStatement[] {
  const sql = `UPDATE api_key_versions SET expires_at = min(coalesce(expires_at, ?4), ?4)
    WHERE key_id = ?3 AND version < ?5 AND ${claimed("projects")}`;
  const note = `UPDATE api_key_versions SET grace_ended_at = expires_at
    WHERE key_id = ?3 AND version < ?5 AND expires_at <= ?4 AND grace_ended_at IS NULL AND ${claimed("projects")}`;
  return [
    graceEndedByStatement(db, projectId, operation, { keyId, below, endAt }),
    ifClaimed(db, projectId, operation, sql, keyId, endAt, below),
    ifClaimed(db, projectId, operation, note, keyId, operation.now, below),
  ];
}

export interface KeyUse {
  readonly keyId: string;
  readonly version: number;
  /** Whether the version ends because a newer one exists. Such uses are counted. */
  readonly inGrace: boolean;
}

/** Records that a key was used, at most once in `everyMs`. */
export async function touchKey(db: D1Database, { keyId, version, inGrace }: KeyUse, now: number, everyMs: number): Promise<void> {
  const due = "(last_used_at IS NULL OR last_used_at <= ?2)";
  await stored(async () =>
    db.batch([
      db.prepare(`UPDATE api_keys SET last_used_at = ?3 WHERE id = ?1 AND ${due}`).bind(keyId, now - everyMs, now),
      db
        .prepare(`UPDATE api_key_versions SET last_used_at = ?3 WHERE key_id = ?1 AND version = ?4 AND ${due}`)
        .bind(keyId, now - everyMs, now, version),
      ...(inGrace
        ? [db.prepare("UPDATE api_key_versions SET grace_uses = grace_uses + 1 WHERE key_id = ?1 AND version = ?2").bind(keyId, version)]
        : []),
    ]),
  );
}
