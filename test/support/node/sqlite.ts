/** Node's own SQLite, which is independent of the platform's SQLite and of the product's code. */
import { DatabaseSync } from "node:sqlite";
import { dumpPart } from "../../../worker/src/tenant-database/dump.ts";
import type { DumpedPart } from "../../../worker/src/tenant-database/dump.ts";
import type { ReadRows } from "../../../worker/src/tenant-database/reader.ts";
import { surveyPage } from "../../../worker/src/tenant-database/survey.ts";
import type { SurveyPage } from "../../../worker/src/tenant-database/survey.ts";
import type { TableSummary } from "../../../worker/src/tenant-database/types.ts";

/** Reader for the dump engine. */
export function readerOf(database: DatabaseSync): ReadRows {
  return (sql, visit) => {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    for (const row of statement.iterate() as Iterable<unknown> as Iterable<unknown[]>) {
      if (!visit(row)) return;
    }
  };
}

/** A database made by statements, without those that SQLite rejects. */
export function openWhatMayBe(statements: readonly string[]): DatabaseSync {
  const database = open();
  for (const sql of statements) {
    try {
      database.exec(sql);
    } catch {
      // The generator does not know SQL's grammar, so SQLite rejects some statements.
    }
  }
  return database;
}

export function open(...scripts: (readonly string[])[]): DatabaseSync {
  const database = new DatabaseSync(":memory:", { enableForeignKeyConstraints: false });
  for (const sql of scripts.flat()) database.exec(sql);
  return database;
}

export interface Dump {
  readonly sql: string;
  readonly parts: readonly DumpedPart[];
}

export function dump(database: DatabaseSync, maxBytes = 1_000_000, mode: "full" | "schema" = "full"): Dump {
  const parts: DumpedPart[] = [];
  let cursor: string | null = null;
  do {
    const part: DumpedPart = dumpPart(readerOf(database), { mode, cursor, maxBytes });
    parts.push(part);
    cursor = part.next;
  } while (cursor !== null);
  return { sql: parts.map(({ sql }) => sql).join(""), parts };
}

/** Result of the survey, read in pages of any size. */
export function survey(
  database: DatabaseSync,
  maxBytes = 1_000_000,
): { readonly schema: string | null; readonly tables: readonly TableSummary[] } {
  const pages: SurveyPage[] = [];
  let cursor: string | null = null;
  do {
    database.exec("BEGIN");
    const page: SurveyPage = surveyPage(readerOf(database), { cursor, maxBytes, rows: true });
    database.exec("ROLLBACK");
    pages.push(page);
    cursor = page.next;
  } while (cursor !== null);
  return { schema: pages[0]?.schemaHash ?? null, tables: pages.flatMap(({ tables }) => tables) };
}

interface Listed {
  readonly type: string;
  readonly name: string;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Words that a search may find. */
const WORDS = ["apple", "secret", "draft", "spice", "second", "first", "clever"];

/**
 * The complete contents of a database, read without our own engine: the schema's objects, all rows (bit-exact, in the table's own order),
 * and the results of searches, in their order.
 */
export function content(database: DatabaseSync): unknown {
  const all = (sql: string, asArrays = false): unknown[] => {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    statement.setReturnArrays(asArrays);
    return statement.all();
  };
  const orWhy = (read: () => unknown): unknown => {
    try {
      return read();
    } catch (error) {
      return String(error);
    }
  };
  const objects = all(
    "SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_stat%' ESCAPE '!' ORDER BY type, name",
  ) as Listed[];
  const kinds = new Map((all("PRAGMA table_list") as Listed[]).map(({ name, type }) => [name, type]));
  const tables = objects.filter(({ type, name }) => type === "table" && (kinds.get(name) !== "shadow" || name.endsWith("_content")));
  const rows = tables.map(({ name }) => {
    const columns = (all(`PRAGMA table_xinfo(${quoted(name)})`) as { name: string; hidden: bigint }[]).filter(
      ({ hidden }) => hidden !== 1n,
    );
    const selected = columns.flatMap(({ name: column }) => {
      const one = `${quoted(name)}.${quoted(column)}`;
      return [`typeof(${one})`, `CASE WHEN typeof(${one}) IN ('text', 'blob') THEN hex(${one}) ELSE ${one} END`];
    });
    // An R-tree returns rows in the order of its nodes.
    const order = kinds.get(name) === "virtual" ? "ORDER BY 1, 2, 3, 4" : "NOT INDEXED";
    return [name, orWhy(() => all(`SELECT ${selected.join(", ")} FROM ${quoted(name)} ${order}`, true))];
  });
  const searches = objects
    .filter(({ name }) => kinds.get(name) === "virtual")
    .map(({ name }) =>
      WORDS.map((word) =>
        orWhy(() => all(`SELECT rowid, rank FROM ${quoted(name)} WHERE ${quoted(name)} MATCH '${word}' ORDER BY rank`, true)),
      ),
    );
  return { objects, rows, searches };
}
