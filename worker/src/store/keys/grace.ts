/**
 * The grace period after a rotation: events about its end, and uses of the earlier version. Each request checks the version's
 * `expires_at`, so a version expires without any job. Times are epoch milliseconds.
 */
import { claimed, ifClaimed } from "../changes.ts";
import type { Operation } from "../changes.ts";
import { stored } from "../database.ts";
import { INSERT_EVENT } from "../events.ts";

/** Event of a new version. */
export function rotatedStatement(
  db: D1Database,
  projectId: string,
  operation: Operation,
  about: { readonly keyId: string; readonly version: number; readonly immediate: boolean; readonly earlierEndAt: number },
): D1PreparedStatement {
  const sql = `${INSERT_EVENT} SELECT 'key.rotated:' || ?3 || ':' || ?4, 'key.rotated', ?1, json_object('project_id', ?1, 'key_id', ?3, 'version', ?4,
      'immediate', json(iif(?5, 'true', 'false')), 'earlier_ends_at', ${iso("?6")}), ?7 WHERE ${claimed("projects")} ON CONFLICT DO NOTHING`;
  return ifClaimed(db, projectId, operation, sql, about.keyId, about.version, Number(about.immediate), about.earlierEndAt, operation.now);
}

const iso = (time: string): string => `strftime('%Y-%m-%dT%H:%M:%SZ', ${time} / 1000, 'unixepoch')`;

/** An event for each version `v` in grace. ?1 is its project. `endedAt` and `now` are SQL. */
const graceEnded = (endedAt: string, by: string, now: string): string =>
  `${INSERT_EVENT} SELECT 'key.grace_ended:' || v.key_id || ':' || v.version, 'key.grace_ended', ?1, json_object('project_id', ?1, 'key_id', v.key_id,
      'version', v.version, 'ended_at', ${iso(endedAt)}, 'ended_by', ${by}, 'uses', v.grace_uses, 'last_used_at', ${iso("v.last_used_at")}), ${now}
    FROM api_key_versions v`;

/** Events of the grace periods that a change ends, or that ended without an event. Run it before the versions are ended. */
export function graceEndedByStatement(
  db: D1Database,
  projectId: string,
  operation: Operation,
  { keyId, below, endAt }: { readonly keyId: string; readonly below: number; readonly endAt: number },
): D1PreparedStatement {
  const by = "iif(v.expires_at <= ?4, 'time', 'request')";
  const sql = `${graceEnded("min(v.expires_at, ?4)", by, "?4")} WHERE v.key_id = ?3 AND v.version < ?5 AND v.grace_ended_at IS NULL
    AND v.expires_at IS NOT NULL AND (v.expires_at <= ?4 OR ?6 <= ?4) AND ${claimed("projects")} ON CONFLICT DO NOTHING`;
  return ifClaimed(db, projectId, operation, sql, keyId, operation.now, below, endAt);
}

export interface GraceRow {
  readonly project_id: string;
  readonly version: number;
  readonly expires_at: number | null;
  readonly grace_ended_at: number | null;
  readonly grace_uses: number;
  readonly last_used_at: number | null;
  readonly revoked_at: number | null;
}

/**
 * Records ended grace periods with their events, once. Returns the state of the version before `version`. Null if it was deleted.
 */
export async function endGraceInTime(
  db: D1Database,
  { projectId, keyId, version }: { readonly projectId: string; readonly keyId: string; readonly version: number },
  now: number,
): Promise<GraceRow | null> {
  const over = "key_id = ?2 AND version < ?3 AND expires_at <= ?4 AND grace_ended_at IS NULL";
  const addEvents = `${graceEnded("v.expires_at", "'time'", "?4")} WHERE v.key_id = ?2 AND v.version < ?3 AND v.expires_at <= ?4 AND v.grace_ended_at IS NULL
    AND EXISTS (SELECT 1 FROM api_keys k WHERE k.id = ?2 AND k.revoked_at IS NULL) ON CONFLICT DO NOTHING`;
  const read = `SELECT k.project_id, v.version, v.expires_at, v.grace_ended_at, v.grace_uses, v.last_used_at, k.revoked_at
    FROM api_key_versions v JOIN api_keys k ON k.id = v.key_id WHERE v.key_id = ?1 AND v.version = ?2`;
  const [, , found] = await stored(async () =>
    db.batch<GraceRow>([
      db.prepare(addEvents).bind(projectId, keyId, version, now),
      db
        .prepare(`UPDATE api_key_versions SET grace_ended_at = expires_at WHERE ?1 IS NOT NULL AND ${over}`)
        .bind(projectId, keyId, version, now),
      db.prepare(read).bind(keyId, version - 1),
    ]),
  );
  return found?.results[0] ?? null;
}

/** The project that a key belongs to. Null if the key does not exist. */
export async function projectOfKey(db: D1Database, keyId: string): Promise<string | null> {
  return stored(async () => db.prepare("SELECT project_id FROM api_keys WHERE id = ?").bind(keyId).first<string>("project_id"));
}

/** Grace periods that ended before the time `before`, but whose end was not recorded. */
export async function listOverdueGraces(
  db: D1Database,
  before: number,
  limit: number,
): Promise<{ readonly key_id: string; readonly version: number; readonly project_id: string }[]> {
  const sql = `SELECT v.key_id, max(v.version) AS version, k.project_id FROM api_key_versions v JOIN api_keys k ON k.id = v.key_id
    WHERE v.expires_at < ?1 AND v.expires_at IS NOT NULL AND v.grace_ended_at IS NULL GROUP BY v.key_id LIMIT ?2`;
  const { results } = await stored(async () =>
    db.prepare(sql).bind(before, limit).all<{ key_id: string; version: number; project_id: string }>(),
  );
  return results;
}

export interface EarlierRotation {
  readonly version: number;
  readonly rotation: string | null;
  readonly rotation_asked: string | null;
}

/** Versions with this idempotency key or this secret, newest first. */
export async function earlierRotations(
  db: D1Database,
  keyId: string,
  rotation: string | null,
  hash: string | null,
): Promise<EarlierRotation[]> {
  const sql = `SELECT version, rotation, rotation_asked FROM api_key_versions WHERE key_id = ?1 AND (rotation = ?2 OR hash = ?3) ORDER BY version DESC`;
  const { results } = await stored(async () => db.prepare(sql).bind(keyId, rotation, hash).all<EarlierRotation>());
  return results;
}
