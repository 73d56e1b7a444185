/** A stored backup into an empty database, and whether that then holds the same. For the scratch of every backup, and for restores. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { gunzip } from "../../lib/bytes.ts";
import type { ExportType } from "../../store/backups/backups.ts";
import { differences } from "../../tenant-database/index.ts";
import type { Contents, ImportAnswer } from "../../tenant-database/index.ts";
import { StoredParts, summaryOf } from "./stored.ts";
import type { Stored } from "./stored.ts";

/** A try of a step may take 5 minutes; a part takes a few seconds. */
const PARTS_PER_STEP = 8;
const MAX_DIFFERENCES = 20;

export interface Loading {
  readonly backup: Stored & {
    readonly export_type: ExportType;
    /** False of those of earlier releases; see isCurrent. */
    readonly isLines: boolean;
  };
  /** Of the database. */
  readonly name: string;
  /** Of the import: with the same one it goes on. */
  readonly id: string;
}

/** The import's name is the restore's, whichever job does it. */
export const importOf = (backupId: string): string => `restore:${backupId}`;

/**
 * Nothing was written to the database but what this import wrote; and nobody can before it is verified, for it is frozen. False also where
 * the import is not through.
 */
export async function isAsLoaded({ tenantDatabases }: Deps, { name, id }: Loading): Promise<boolean> {
  return tenantDatabases.call(name, async (database) => database.isFrozenBy(id));
}

/**
 * The next parts, from behind the last one that is in. True once all are in; false where it is to go on. Throws `conflict` where the database
 * is not empty, or a part is damaged.
 */
export async function load(deps: Deps, loading: Loading): Promise<boolean> {
  if (await isAsLoaded(deps, loading)) return true;
  const { backup, name, id } = loading;
  const { tenantDatabases } = deps;
  const stored = new StoredParts(deps, backup);
  const begun = taken(await tenantDatabases.call(name, async (database) => database.beginImport(id)));
  const rest = (await stored.parts()).slice(begun);
  for (const part of rest.slice(0, PARTS_PER_STEP)) {
    const sql = await gunzip(await stored.bytes(part));
    taken(await tenantDatabases.call(name, async (database) => database.importPart(id, part.number - 1, sql, backup.isLines)));
  }
  if (rest.length > PARTS_PER_STEP) return false;
  const { schemaVersion } = await summaryOf(deps, backup);
  taken(await tenantDatabases.call(name, async (database) => database.finishImport(id, schemaVersion, true)));
  return true;
}

/** How many parts are in. */
function taken(answer: ImportAnswer): number {
  if (answer.result === "conflict") throw new Problem("conflict", answer.detail);
  if (answer.result === "failed") throw new Problem("unprocessable", `SQLite does not take the dump: ${answer.message}`);
  return answer.pieces;
}

/** What differs, and what SQLite finds wrong. Empty: the same content, in order. It stays frozen. */
export async function differencesOf(deps: Deps, { backup, name }: Loading, expected: Contents, found: Contents): Promise<string[]> {
  const checks = await deps.tenantDatabases.call(name, async (database) => database.checks());
  const violations = checks.foreignKeyViolations;
  return [
    ...(backup.isLines ? differences(expected, found) : countDifferences(expected, found)),
    ...checks.quickCheck.map((each) => `quick_check: ${each}`),
    ...(violations === 0 ? [] : [`foreign_key_check: ${violations} rows without a parent`]),
  ].slice(0, MAX_DIFFERENCES);
}

/** Backups of earlier releases hold hashes of the dump's own text, which nothing makes any more: their rows are counted. */
function countDifferences(expected: Contents, found: Contents): string[] {
  const rows = new Map(found.tables.map((table) => [table.name, table.rows]));
  return expected.tables
    .filter((table) => (rows.get(table.name) ?? 0) !== table.rows)
    .map((table) => `table ${table.name} has ${rows.get(table.name) ?? 0} rows instead of ${table.rows}`);
}
