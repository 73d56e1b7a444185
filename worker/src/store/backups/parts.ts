/** Rows of a backup's parts, and of their copies in Telegram. Sizes are bytes, hashes are SHA-256 in hex. */
import { stored } from "../database.ts";

export interface BackupPart {
  /** Starts at 1. */
  readonly number: number;
  /** Key in R2. */
  readonly key: string;
  readonly stored_bytes: number;
  /** Hash of the stored bytes. */
  readonly sha256: string;
  readonly sql_bytes: number;
  /** Cursor of the next part. Null: this is the last part. */
  readonly next: string | null;
  readonly schema_version: number;
}

/** A backup and the number of its freeze. Only parts of that freeze belong to the backup. */
export interface Moment {
  readonly id: string;
  readonly moment: number;
}

/** Records a part after its bytes are stored. Idempotent. */
export async function addPart(db: D1Database, { id, moment }: Moment, part: BackupPart): Promise<void> {
  const sql = `INSERT INTO backup_parts
    (backup_id, moment, number, key, stored_bytes, sha256, sql_bytes, next, schema_hash, schema_version, tables)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', ?9, '[]') ON CONFLICT DO NOTHING`;
  const { number, key, stored_bytes, sha256, sql_bytes, next, schema_version } = part;
  const values = [number, key, stored_bytes, sha256, sql_bytes, next, schema_version];
  await stored(async () =>
    db
      .prepare(sql)
      .bind(id, moment, ...values)
      .run(),
  );
}

/** Records the source's contents in the row of the first part. `tables`: JSON. */
export async function recordContents(db: D1Database, { id, moment }: Moment, schemaHash: string, tables: string): Promise<void> {
  const sql = "UPDATE backup_parts SET schema_hash = ?3, tables = ?4 WHERE backup_id = ?1 AND moment = ?2 AND number = 1";
  await stored(async () => db.prepare(sql).bind(id, moment, schemaHash, tables).run());
}

const COLUMNS = "number, key, stored_bytes, sha256, sql_bytes, next, schema_version";

export async function lastPart(db: D1Database, { id, moment }: Moment): Promise<BackupPart | null> {
  const sql = `SELECT ${COLUMNS} FROM backup_parts WHERE backup_id = ? AND moment = ? ORDER BY number DESC LIMIT 1`;
  return stored(async () => db.prepare(sql).bind(id, moment).first<BackupPart>());
}

/** Parts in order. */
export async function listParts(db: D1Database, { id, moment }: Moment): Promise<BackupPart[]> {
  const query = db.prepare(`SELECT ${COLUMNS} FROM backup_parts WHERE backup_id = ? AND moment = ? ORDER BY number`).bind(id, moment);
  const { results } = await stored(async () => query.all<BackupPart>());
  return results;
}

export interface PartContents {
  readonly schema_hash: string;
  readonly schema_version: number;
  /** JSON. */
  readonly tables: string;
}

/** Contents of the source, in the parts' order. In backups of earlier releases, each table is in the row of the part that it ends in. */
export async function contentsOfParts(db: D1Database, { id, moment }: Moment): Promise<PartContents[]> {
  const sql = "SELECT schema_hash, schema_version, tables FROM backup_parts WHERE backup_id = ? AND moment = ? ORDER BY number";
  const { results } = await stored(async () => db.prepare(sql).bind(id, moment).all<PartContents>());
  return results;
}

/** Removes a backup's parts: all, or those of freezes before `before`. */
export async function forgetParts(db: D1Database, id: string, before: number | null): Promise<void> {
  const sql = "DELETE FROM backup_parts WHERE backup_id = ?1 AND (?2 IS NULL OR moment < ?2)";
  await stored(async () => db.prepare(sql).bind(id, before).run(), { idempotent: true });
}

export interface BackupDocument {
  readonly first_part: number;
  readonly last_part: number;
  readonly bytes: number;
  readonly sha256: string;
  /** Telegram's id of the file, valid for the bot that sent it. */
  readonly file_id: string;
}

export async function addDocument(db: D1Database, id: string, document: BackupDocument): Promise<void> {
  const sql = `INSERT INTO backup_documents (backup_id, first_part, last_part, bytes, sha256, file_id) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET last_part = excluded.last_part, bytes = excluded.bytes, sha256 = excluded.sha256, file_id = excluded.file_id`;
  const { first_part, last_part, bytes, sha256, file_id } = document;
  await stored(async () => db.prepare(sql).bind(id, first_part, last_part, bytes, sha256, file_id).run());
}

/** Documents in the order of their parts. */
export async function listDocuments(db: D1Database, id: string): Promise<BackupDocument[]> {
  const sql = "SELECT first_part, last_part, bytes, sha256, file_id FROM backup_documents WHERE backup_id = ? ORDER BY first_part";
  const { results } = await stored(async () => db.prepare(sql).bind(id).all<BackupDocument>());
  return results;
}
