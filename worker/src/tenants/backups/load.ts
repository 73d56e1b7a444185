/** Loads a stored backup into an empty database and compares the contents. Used for the scratch of every backup, and for restores. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { gunzip } from "../../lib/bytes.ts";
import type { ExportType } from "../../store/backups/backups.ts";
import { differences } from "../../tenant-database/index.ts";
import type { Contents, ImportAnswer } from "../../tenant-database/index.ts";
import { StoredParts, summaryOf } from "./stored.ts";
import type { Stored } from "./stored.ts";

/** An attempt of a step may take 5 minutes. A part takes a few seconds. */
const PARTS_PER_STEP = 8;
const MAX_DIFFERENCES = 20;

export interface Loading {
  readonly backup: Stored & {
    readonly export_type: ExportType;
    /** Whether each statement is one line. False for backups of earlier releases (see isCurrent). */
    readonly isLines: boolean;
  };
  /** Name of the target database. */
  readonly name: string;
  /** Id of the import. The same id continues an interrupted import. */
  readonly id: string;
}

/** Id of a restore's import, the same for every job that runs it. */
export const importOf = (backupId: string): string => `restore:${backupId}`;

/**
 * Whether the database holds this finished import and no other writes. It stays frozen until it is verified, so that no write can follow.
 * False while the import is unfinished.
 */
export async function isAsLoaded({ tenantDatabases }: Deps, { name, id }: Loading): Promise<boolean> {
  return tenantDatabases.call(name, async (database) => database.isFrozenBy(id));
}

/**
 * Imports the next parts. Returns true once all parts are imported, false if more remain. Throws `conflict` if the database is not empty,
 * or a part is damaged.
 */
export async function load(deps: Deps, loading: Loading): Promise<boolean> {
  if (await isAsLoaded(deps, loading)) return true;
  const { backup, name, id } = loading;
  const { tenantDatabases } = deps;
  const stored = new StoredParts(deps, backup);
  const begun = importedParts(await tenantDatabases.call(name, async (database) => database.beginImport(id)));
  const rest = (await stored.parts()).slice(begun);
  for (const part of rest.slice(0, PARTS_PER_STEP)) {
    const sql = await gunzip(await stored.bytes(part));
    importedParts(await tenantDatabases.call(name, async (database) => database.importPart(id, part.number - 1, sql, backup.isLines)));
  }
  if (rest.length > PARTS_PER_STEP) return false;
  const { schemaVersion } = await summaryOf(deps, backup);
  importedParts(await tenantDatabases.call(name, async (database) => database.finishImport(id, schemaVersion, true)));
  return true;
}

/** Number of imported parts. Throws `conflict` or `unprocessable` if the import was refused. */
function importedParts(answer: ImportAnswer): number {
  if (answer.result === "conflict") throw new Problem("conflict", answer.detail);
  if (answer.result === "failed") throw new Problem("unprocessable", `SQLite rejected the dump: ${answer.message}`);
  return answer.pieces;
}

/** Differences in content, and violations that SQLite finds. Empty: the same content, without violations. The database stays frozen. */
export async function differencesOf(deps: Deps, { backup, name }: Loading, expected: Contents, found: Contents): Promise<string[]> {
  const checks = await deps.tenantDatabases.call(name, async (database) => database.checks());
  const violations = checks.foreignKeyViolations;
  return [
    ...(backup.isLines ? differences(expected, found) : countDifferences(expected, found)),
    ...checks.quickCheck.map((each) => `quick_check: ${each}`),
    ...(violations === 0 ? [] : [`foreign_key_check: ${violations} rows without a parent`]),
  ].slice(0, MAX_DIFFERENCES);
}

/** Backups of earlier releases hold hashes of the dump's text, which can no longer be computed. Only their rows are counted. */
function countDifferences(expected: Contents, found: Contents): string[] {
  const rows = new Map(found.tables.map((table) => [table.name, table.rows]));
  return expected.tables
    .filter((table) => (rows.get(table.name) ?? 0) !== table.rows)
    .map((table) => `table ${table.name} has ${rows.get(table.name) ?? 0} rows instead of ${table.rows}`);
}
