/** What a database holds, in the order in which a dump must write it. Reads the schema only. */
import { createHash } from "node:crypto";
import { statementsIn, withoutComments } from "./lexer.ts";
import type { Token } from "./lexer.ts";
import { quoteName } from "./literals.ts";
import type { ReadRows } from "./reader.ts";

/** By what the rows of a table are ordered, and found again. */
export interface Key {
  readonly name: string;
  readonly descending: boolean;
  readonly collation: string | null;
}

/** A table whose rows are written. */
export interface TableRows {
  readonly table: string;
  /** Those that can be written: no generated ones, no hidden ones. */
  readonly columns: readonly string[];
  /** The name under which the rowid is read and kept; null where it stands in a column, or there is none. */
  readonly rowid: string | null;
  /** Empty: only the order of the table itself, which a place by number finds again. */
  readonly key: readonly Key[];
  /** Written before the rows. */
  readonly before: string | null;
}

export type Step =
  | { readonly kind: "statement"; readonly sql: string; readonly of: "frame" | "schema" | "data" }
  | { readonly kind: "rows"; readonly rows: TableRows };

export interface Catalog {
  readonly steps: readonly Step[];
  /** SHA-256 in hex over all schema statements in the dump's order. */
  readonly schemaHash: string;
  readonly names: ReadonlySet<string>;
}

/** It holds something that cannot be written as SQL. */
export class Undumpable extends Error {
  override readonly name = "Undumpable";
}

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly sql: string;
}

/** SQLite's own, the platform's own, and the local runtime's own, which notes the object's name in a table of each database. */
const isForeign = (name: string): boolean => /^(sqlite_|_cf_|__miniflare_do_name$)/iu.test(name);

/** Whether nothing of the project's is there. */
export const isEmpty = (read: ReadRows): boolean =>
  rowsOf(read, "SELECT name FROM sqlite_schema").every(([name]) => isForeign(String(name)));

/** Columns in one result: the platform's limit. */
const MAX_RESULT_COLUMNS = 100;

/** `full`: with the rows. `schema`: without. */
export function readCatalog(read: ReadRows, mode: "full" | "schema"): Catalog {
  const kinds = new Map(rowsOf(read, "PRAGMA table_list").map(([, name, kind]) => [String(name), String(kind)]));
  const objects = rowsOf(read, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
    .map(([type, name, sql]): SchemaRow => ({ type: String(type), name: String(name), sql: withoutComments(String(sql)) }))
    .filter(({ name }) => !isForeign(name) && kinds.get(name) !== "shadow");
  const of = (type: string) => objects.filter((each) => each.type === type && kinds.get(each.name) !== "virtual");
  const virtual = objects.filter(({ name, type }) => type === "table" && kinds.get(name) === "virtual").map(virtualTable);
  const schema = (all: readonly { sql: string }[]): Step[] => all.map(({ sql }) => ({ kind: "statement", sql, of: "schema" }));
  const data = (steps: readonly Step[]): readonly Step[] => (mode === "full" ? steps : []);
  const tables = of("table");
  const steps: Step[] = [
    { kind: "statement", sql: "PRAGMA foreign_keys=OFF", of: "frame" },
    { kind: "statement", sql: "BEGIN TRANSACTION", of: "frame" },
    { kind: "statement", sql: "PRAGMA defer_foreign_keys=ON", of: "frame" },
    ...schema(tables),
    ...data(tables.map(({ name }) => ordinaryRows(read, name))),
    ...data(sequences(read, tables)),
    ...schema(of("index")),
    ...schema(virtual),
    ...data(virtual.flatMap((table) => virtualRows(read, table))),
    ...schema(of("view")),
    // What an index is of may be a view.
    ...data(virtual.flatMap(rebuild)),
    ...schema(of("trigger")),
    { kind: "statement", sql: "COMMIT", of: "frame" },
  ];
  return { steps, schemaHash: hashOf(steps), names: new Set(objects.map(({ name }) => name.toLowerCase())) };
}

function rowsOf(read: ReadRows, sql: string): (readonly unknown[])[] {
  const rows: (readonly unknown[])[] = [];
  read(sql, (row) => rows.push(row) > 0);
  return rows;
}

function hashOf(steps: readonly Step[]): string {
  const hash = createHash("sha256");
  for (const step of steps) {
    if (step.kind === "statement" && step.of === "schema") hash.update(`${step.sql};\n`);
  }
  return hash.digest("hex");
}

/** Columns that rows are written with; `hidden`: 1 a virtual table's own, 2 and 3 generated. */
function writableColumns(read: ReadRows, table: string): { readonly name: string; readonly isKey: boolean }[] {
  return rowsOf(read, `PRAGMA table_xinfo(${quoteName(table)})`)
    .filter(([, , , , , , hidden]) => Number(hidden) === 0)
    .map(([, name, , , , pk]) => ({ name: String(name), isKey: Number(pk) > 0 }));
}

/** Numbers have no collation. */
const ROWID: Omit<Key, "name"> = { descending: false, collation: null };

function ordinaryRows(read: ReadRows, table: string): Step {
  const columns = writableColumns(read, table);
  const names = columns.map(({ name }) => name);
  const [, , , , withoutRowid] = rowsOf(read, `PRAGMA table_list(${quoteName(table)})`)[0] ?? [];
  const index = rowsOf(read, `PRAGMA index_list(${quoteName(table)})`).find(([, , , origin]) => origin === "pk")?.[1];
  const rows = { table, columns: names, before: null };
  if (Number(withoutRowid) === 1) {
    const key = rowsOf(read, `PRAGMA index_xinfo(${quoteName(String(index))})`)
      .filter(([, , , , , isKey]) => Number(isKey) === 1)
      .map(([, , name, descending, collation]) => ({
        name: String(name),
        descending: Number(descending) === 1,
        collation: String(collation),
      }));
    return { kind: "rows", rows: { ...rows, rowid: null, key } };
  }
  // A primary key without an index of its own is the rowid.
  const alias = index === undefined ? columns.find(({ isKey }) => isKey)?.name : undefined;
  if (alias !== undefined) return { kind: "rows", rows: { ...rows, rowid: null, key: [{ name: alias, ...ROWID }] } };
  const rowid = freeRowid(names);
  return { kind: "rows", rows: { ...rows, rowid, key: rowid === null ? [] : [{ name: rowid, ...ROWID }] } };
}

/** A table may have taken all three names, or so many columns that one more would be too many; then the rowids are not kept. */
function freeRowid(columns: readonly string[]): string | null {
  if (columns.length >= MAX_RESULT_COLUMNS) return null;
  const taken = new Set(columns.map((name) => name.toLowerCase()));
  return ["rowid", "_rowid_", "oid"].find((name) => !taken.has(name)) ?? null;
}

const holdsWord = (sql: string, word: string): boolean =>
  (statementsIn(sql)[0]?.tokens ?? []).some(({ kind, text }) => kind === "word" && text.toUpperCase() === word);

/** SQLite's own table of the numbers that AUTOINCREMENT gave; it is there once a table needs it. */
function sequences(read: ReadRows, tables: readonly SchemaRow[]): Step[] {
  if (!tables.some(({ sql }) => holdsWord(sql, "AUTOINCREMENT"))) return [];
  const step = ordinaryRows(read, "sqlite_sequence");
  return step.kind === "rows" ? [{ kind: "rows", rows: { ...step.rows, before: 'DELETE FROM "sqlite_sequence"' } }] : [];
}

interface VirtualTable extends SchemaRow {
  readonly holds: "rows" | "index" | "nothing";
  readonly module: string;
}

/** Full-text and R-tree tables are written as rows; what they keep behind them, they build anew. */
function virtualTable(table: SchemaRow): VirtualTable {
  const tokens = statementsIn(table.sql)[0]?.tokens ?? [];
  const using = tokens.findIndex(({ kind, text }) => kind === "word" && text.toUpperCase() === "USING");
  const module = (tokens[using + 1]?.text ?? "").toLowerCase();
  switch (module) {
    case "rtree":
    case "rtree_i32":
      return { ...table, module, holds: "rows" };
    case "fts5vocab":
      return { ...table, module, holds: "nothing" };
    case "fts5": {
      const content = optionOf(tokens, "content");
      if (content !== "") return { ...table, module, holds: content === null ? "rows" : "index" };
      throw new Undumpable(`The full-text table ${quoteName(table.name)} keeps no content (content=''), so that nothing can read it back.`);
    }
    default:
      throw new Undumpable(`The virtual table ${quoteName(table.name)} is of a kind that cannot be read back: ${module}.`);
  }
}

/** The value of an fts5 option, without its quotes; null where it is not given. */
function optionOf(tokens: readonly Token[], option: string): string | null {
  const at = tokens.findIndex(({ text }, index) => text.toLowerCase() === option && tokens[index + 1]?.text === "=");
  if (at < 0) return null;
  const value = tokens[at + 2];
  return value?.kind === "quoted" ? value.text.slice(1, -1) : (value?.text ?? "");
}

function virtualRows(read: ReadRows, { name, module, holds }: VirtualTable): Step[] {
  if (holds !== "rows") return [];
  const columns = writableColumns(read, name).map((column) => column.name);
  const rowid = module === "fts5" ? "rowid" : null;
  return [{ kind: "rows", rows: { table: name, columns, rowid, key: [{ name: rowid ?? columns[0] ?? "", ...ROWID }], before: null } }];
}

function rebuild({ name, holds }: VirtualTable): Step[] {
  const table = quoteName(name);
  return holds === "index" ? [{ kind: "statement", sql: `INSERT INTO ${table}(${table}) VALUES('rebuild')`, of: "data" }] : [];
}

/** Whether a statement belongs to the frame of a dump, which an import has of its own. */
export function isFrame([word = ""]: readonly string[]): boolean {
  return ["PRAGMA", "BEGIN", "COMMIT"].includes(word);
}
