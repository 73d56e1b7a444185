/** The end of a backup: its manifest, its final status and the notice to operators. */
import type { Deps } from "../../deps.ts";
import { bytesOf, sha256Hex } from "../../lib/bytes.ts";
import { VERSION } from "../../lib/version.ts";
import { isoSeconds } from "../../lib/time.ts";
import { forgetParts, listDocuments, recordContents } from "../../store/backups/parts.ts";
import type { BackupPart } from "../../store/backups/parts.ts";
import { findBackup, recordFailed, recordVerified } from "../../store/backups/backups.ts";
import type { BackupFacts, BackupRow } from "../../store/backups/backups.ts";
import type { Contents, TableSummary } from "../../tenant-database/index.ts";
import { manifestKey, putObject, removeObjects } from "./bucket.ts";
import type { Source } from "./source.ts";
import { StoredParts, fileHash } from "./stored.ts";

/** Format of the dump and the manifest. Raised when either changes. */
const FORMAT = "quota-coordinator.backup.v2";
const PRODUCT = `quota-coordinator ${VERSION}`;

/** File name of a download. */
export const fileNameOf = ({ project_id, export_type, taken_at, created_at }: BackupRow): string =>
  `${project_id}-${isoSeconds(taken_at ?? created_at).replaceAll(/[-:]/gu, "")}-${export_type}.sql.gz`;

type Facts = Omit<BackupFacts, "copies">;

function manifestJson(source: Source, takenAt: number | null, facts: Facts, tables: readonly TableSummary[], parts: readonly BackupPart[]) {
  const { schema_hash, schema_version, sql_bytes: sqlBytes, stored_bytes: storedBytes, sha256: whole } = facts;
  return {
    format: FORMAT,
    product: PRODUCT,
    backup_id: source.id,
    project_id: source.project_id,
    export_type: source.export_type,
    taken_at: takenAt === null ? null : isoSeconds(takenAt),
    schema_hash,
    schema_version,
    sql_bytes: sqlBytes,
    stored_bytes: storedBytes,
    sha256: whole,
    tables: [...tables],
    parts: parts.map(({ number, key, sha256, stored_bytes, sql_bytes }) => ({ number, key, sha256, stored_bytes, sql_bytes })),
    verified:
      "Restored from these parts into an empty database. The schema, and the rows and hash of each table, match the source. The source's hashes were not read from the dump. quick_check and foreign_key_check found nothing.",
  };
}

export type Manifest = ReturnType<typeof manifestJson>;

/** Stores the verified contents, for later restores, and writes the manifest. Returns the facts for the backup's row. */
export async function writeManifest(deps: Deps, source: Source, contents: Contents): Promise<Facts> {
  const stored = new StoredParts(deps, source);
  await recordContents(deps.db, source, contents.schemaHash, JSON.stringify(contents.tables));
  const [parts, row] = [await stored.parts(), await findBackup(deps.db, source.id)];
  const sum = (pick: (part: (typeof parts)[number]) => number): number => parts.reduce((total, part) => total + pick(part), 0);
  const facts = {
    manifest_key: manifestKey(source),
    schema_hash: contents.schemaHash,
    schema_version: contents.schemaVersion,
    table_count: contents.tables.length,
    row_count: contents.tables.reduce((total, { rows }) => total + rows, 0),
    part_count: parts.length,
    sql_bytes: sum(({ sql_bytes }) => sql_bytes),
    stored_bytes: sum(({ stored_bytes }) => stored_bytes),
    sha256: await fileHash(stored),
  };
  const manifest = manifestJson(source, row?.taken_at ?? null, facts, contents.tables, parts);
  const bytes = bytesOf(`${JSON.stringify(manifest, null, 1)}\n`);
  await putObject(deps, facts.manifest_key, bytes, { sha256: await sha256Hex(bytes), contentType: "application/json" });
  return facts;
}

/** Marks the backup as verified. Removes the parts of earlier freezes. */
export async function completeBackup(deps: Deps, source: Source, facts: BackupFacts): Promise<void> {
  await removeObjects(deps, source, source.moment);
  await forgetParts(deps.db, source.id, source.moment);
  await recordVerified(deps.db, source.id, facts, deps.clock());
}

/** Marks the backup as failed and removes its bytes. A verified backup is left alone. */
export async function failBackup(deps: Deps, backup: Pick<BackupRow, "id" | "project_id">, error: string): Promise<void> {
  await recordFailed(deps.db, backup.id, error, deps.clock());
  const row = await findBackup(deps.db, backup.id);
  if (row?.status !== "failed") return;
  await removeObjects(deps, backup);
  await forgetParts(deps.db, backup.id, null);
}

const MIB = 1024 * 1024;

/** One line about a backup's result, for operators. */
export async function resultNotice(deps: Deps, id: string): Promise<string> {
  const row = await findBackup(deps.db, id);
  if (row === null) return `Backup ${id} is gone.`;
  const subject = `Backup of project ${row.project_id} (${row.export_type}, ${id})`;
  if (row.status !== "verified") return `${subject} FAILED: ${row.error ?? "unknown reason"}`;
  const documents = (await listDocuments(deps.db, id)).length;
  const size = `${((row.stored_bytes ?? 0) / MIB).toFixed(1)} MiB`;
  const copies =
    row.copies === "sent" ? ` Copied here in ${documents} documents.` : row.copies === "failed" ? " COULD NOT BE COPIED HERE." : "";
  return `${subject} is verified: ${row.row_count} rows in ${row.table_count} tables, ${size}.${copies}`;
}
