/** What a database holds, in the order in which a dump must write it. Reads the schema only. */
import { lineText, quoteName } from "./literals.ts";
import type { ReadRows } from "./reader.ts";
import { lineName, onOneLine, statementOf } from "./schema-text.ts";
import type { Token } from "./tokens.ts";
import { wordOf } from "./tokens.ts";
import { virtualTableOf } from "./virtual-tables.ts";
import type { Content, VirtualTable } from "./virtual-tables.ts";

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

/** An index of text that stands elsewhere. */
export interface IndexRows {
  readonly table: string;
  readonly columns: readonly string[];
  readonly content: Content;
}

export type Step =
  | { readonly kind: "statement"; readonly sql: string }
  | { readonly kind: "rows"; readonly rows: TableRows }
  | { readonly kind: "index"; readonly index: IndexRows };

export interface Catalog {
  readonly steps: readonly Step[];
  /** Of everything that is there, in lower case. */
  readonly names: ReadonlySet<string>;
}

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly tokens: readonly Token[];
  /** On one line. */
  readonly sql: string;
}

/** SQLite's own, the platform's own, and the local runtime's own, which notes the object's name in a table of each database. */
const isForeign = (name: string): boolean => /^(sqlite_|_cf_|__miniflare_do_name$)/iu.test(name);

/** Whether nothing of the project's is there. */
export const isEmpty = (read: ReadRows): boolean =>
  rowsOf(read, "SELECT name FROM sqlite_schema").every(([name]) => isForeign(String(name)));

/** Columns in one result: the platform's limit. */
const MAX_RESULT_COLUMNS = 100;

/** `full`: with the rows. `schema`: without. Throws `Undumpable`. */
export function readCatalog(read: ReadRows, mode: "full" | "schema"): Catalog {
  const kinds = new Map(rowsOf(read, "PRAGMA table_list").map(([, name, kind]) => [String(name), String(kind)]));
  const all = rowsOf(read, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
    .map(([type, name, sql]) => ({ type: String(type), name: String(name), sql: String(sql) }))
    .filter(({ name }) => !isForeign(name));
  const isVirtual = ({ name, type }: { readonly name: string; readonly type: string }): boolean =>
    type === "table" && kinds.get(name) === "virtual";
  const virtual = all.filter(isVirtual).map(({ type, name, sql }) => virtualTableOf(name, statementOf(type, name, sql).tokens));
  // A shadow by its name alone may be the project's own: its content then is no virtual table's.
  const owned = new Set(virtual.flatMap(({ owns }) => owns));
  const objects = all
    .filter(({ name }) => kinds.get(name) !== "shadow" || !owned.has(name.toLowerCase()))
    .map(({ type, name, sql }): SchemaRow => {
      const statement = statementOf(type, name, sql);
      return { type, name, tokens: statement.tokens, sql: onOneLine(type, name, statement) };
    });
  const of = (type: string) => objects.filter((each) => each.type === type && !isVirtual(each));
  const schema = (some: readonly SchemaRow[]): Step[] => some.map(({ sql }) => ({ kind: "statement", sql }));
  const data = (some: readonly Step[]): readonly Step[] => (mode === "full" ? some : []);
  const tables = of("table");
  const steps: Step[] = [
    ...statements("PRAGMA foreign_keys=OFF", "BEGIN TRANSACTION", "PRAGMA defer_foreign_keys=ON"),
    ...schema(tables),
    ...data(tables.map(({ name }) => ordinaryRows(read, name))),
    ...data(sequences(read, tables)),
    ...schema(of("index")),
    ...schema(objects.filter(isVirtual)),
    ...virtual.flatMap((table) => settings(read, table)),
    ...data(virtual.flatMap((table) => virtualRows(read, table))),
    ...schema(of("view")),
    // What an index is of may be a view.
    ...data(virtual.flatMap((table) => indexRows(read, table))),
    ...schema(of("trigger")),
    ...statements("COMMIT"),
  ];
  const taken = rowsOf(read, "SELECT name FROM sqlite_schema").map(([name]) => String(name).toLowerCase());
  return { steps, names: new Set(taken) };
}

const statements = (...texts: readonly string[]): Step[] => texts.map((sql) => ({ kind: "statement", sql }));

function rowsOf(read: ReadRows, sql: string): (readonly unknown[])[] {
  const rows: (readonly unknown[])[] = [];
  read(sql, (row) => rows.push(row) > 0);
  return rows;
}

interface Column {
  readonly name: string;
  readonly isKey: boolean;
  /** Rows are written with it: it is neither generated nor a virtual table's own. */
  readonly isWritable: boolean;
}

function columnsOf(read: ReadRows, table: string): Column[] {
  return rowsOf(read, `PRAGMA table_xinfo(${quoteName(table)})`).map(([, name, , , , pk, hidden]) => ({
    name: String(name),
    isKey: Number(pk) > 0,
    isWritable: Number(hidden) === 0,
  }));
}

const written = (columns: readonly Column[]): string[] => columns.filter(({ isWritable }) => isWritable).map(({ name }) => name);

/** Numbers have no collation. */
const ROWID: Omit<Key, "name"> = { descending: false, collation: null };

function ordinaryRows(read: ReadRows, table: string): Step {
  const columns = columnsOf(read, table);
  const names = written(columns);
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
  const rowid = freeRowid(columns.map(({ name }) => name));
  return { kind: "rows", rows: { ...rows, rowid, key: rowid === null ? [] : [{ name: rowid, ...ROWID }] } };
}

/** A table may have taken all three names, or so many columns that one more would be too many; then the rowids are not kept. */
function freeRowid(columns: readonly string[]): string | null {
  if (columns.length >= MAX_RESULT_COLUMNS) return null;
  const taken = new Set(columns.map((name) => name.toLowerCase()));
  return ["rowid", "_rowid_", "oid"].find((name) => !taken.has(name)) ?? null;
}

/** SQLite's own table of the numbers that AUTOINCREMENT gave; it is there once a table needs it. */
function sequences(read: ReadRows, tables: readonly SchemaRow[]): Step[] {
  if (!tables.some(({ tokens }) => tokens.some((token) => wordOf(token) === "AUTOINCREMENT"))) return [];
  const step = ordinaryRows(read, "sqlite_sequence");
  return step.kind === "rows" ? [{ kind: "rows", rows: { ...step.rows, before: 'DELETE FROM "sqlite_sequence"' } }] : [];
}

/** What was set in a full-text table, as it takes it. The version is that of the index's inner form. */
function settings(read: ReadRows, { name, module }: VirtualTable): Step[] {
  if (module !== "fts5") return [];
  const table = lineName(name);
  const config = quoteName(`${name}_config`);
  return rowsOf(
    read,
    `SELECT t.k, typeof(t.v), CAST(CAST(t.v AS TEXT) AS BLOB) FROM ${config} AS t WHERE t.k <> 'version' ORDER BY t.k`,
  ).map(([key, type, value]) => {
    const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : (value as Uint8Array);
    const literal = type === "integer" ? new TextDecoder().decode(bytes) : lineText(bytes);
    return { kind: "statement", sql: `INSERT INTO ${table}(${table},rank) VALUES('${String(key)}',${literal})` };
  });
}

/** What they keep beside their rows, they build anew. */
function virtualRows(read: ReadRows, { name, module, content }: VirtualTable): Step[] {
  if (module === "fts5vocab" || content !== null) return [];
  const columns = written(columnsOf(read, name));
  const rowid = module === "fts5" ? "rowid" : null;
  return [{ kind: "rows", rows: { table: name, columns, rowid, key: [{ name: rowid ?? columns[0] ?? "", ...ROWID }], before: null } }];
}

function indexRows(read: ReadRows, { name, content }: VirtualTable): Step[] {
  return content === null ? [] : [{ kind: "index", index: { table: name, columns: written(columnsOf(read, name)), content } }];
}
