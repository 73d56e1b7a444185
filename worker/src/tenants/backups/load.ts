/** A stored backup into an empty database, and whether that then holds the same. For the scratch of every backup, and for restores. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import type { ExportType } from "../../store/backups/backups.ts";
import { StoredParts, summaryOf } from "./stored.ts";
import type { Stored } from "./stored.ts";

/** A try of a step may take 5 minutes. */
const LOAD_MS = 120_000;
const MAX_DIFFERENCES = 20;

export interface Loading {
  readonly backup: Stored & { readonly export_type: ExportType };
  /** Of the database. */
  readonly name: string;
  /** Of the import: with the same one it goes on. */
  readonly id: string;
}

/** The import's name is the restore's, whichever job does it. */
export const importOf = (backupId: string): string => `restore:${backupId}`;

class OutOfTime extends Error {
  override readonly name = "OutOfTime";
}

/**
 * Nothing was written to the database but what this import wrote; and nobody can before it is verified, for it is frozen. False also where
 * the import is not through.
 */
export async function isAsLoaded({ tenantDatabases }: Deps, { name, id }: Loading): Promise<boolean> {
  const look = { freeze: id, mode: "schema", cursor: null, maxBytes: 1, text: false } as const;
  return (await tenantDatabases.call(name, async (database) => database.dumpPart(look))).result === "part";
}

/** True once all is in; false where it is to go on. Throws `conflict` where the database is not empty, or a part is damaged. */
export async function load(deps: Deps, loading: Loading): Promise<boolean> {
  const { clock, tenantDatabases } = deps;
  if (await isAsLoaded(deps, loading)) return true;
  const stored = new StoredParts(deps, loading.backup);
  const { schemaVersion } = await summaryOf(deps, loading.backup);
  const deadline = clock() + LOAD_MS;
  const inTime = async function* (): AsyncGenerator<string> {
    for await (const sql of stored.sql()) {
      if (clock() > deadline) throw new OutOfTime();
      yield sql;
    }
  };
  try {
    const answer = await tenantDatabases.import(loading.name, loading.id, inTime(), schemaVersion, true);
    if (answer.result === "conflict") throw new Problem("conflict", answer.detail);
    if (answer.result === "failed") throw new Problem("unprocessable", `SQLite does not take the dump: ${answer.message}`);
    return true;
  } catch (error) {
    if (error instanceof OutOfTime) return false;
    throw error;
  }
}

/** What differs, and what SQLite finds wrong. Empty: the same content, in order. It stays frozen. */
export async function differencesOf(deps: Deps, { backup, name, id }: Loading): Promise<string[]> {
  const { differences, checks } = await deps.tenantDatabases.verify(name, id, await summaryOf(deps, backup), backup.export_type);
  const violations = checks.foreignKeyViolations;
  return [
    ...differences,
    ...checks.quickCheck.map((found) => `quick_check: ${found}`),
    ...(violations === 0 ? [] : [`foreign_key_check: ${violations} rows without a parent`]),
  ].slice(0, MAX_DIFFERENCES);
}
