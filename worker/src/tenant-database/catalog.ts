/** The content of a database, in the order of a dump. Reads the schema only. */
import { isReserved } from "./lexer.ts";
import { lineText, quoteName } from "./literals.ts";
import type { ReadRows } from "./reader.ts";
import { lineName, onOneLine, statementOf } from "./schema-text.ts";
import type { Token } from "./tokens.ts";
import { lowerCase, wordOf } from "./tokens.ts";
import { Undumpable } from "./undumpable.ts";
import { virtualTableOf } from "./virtual-tables.ts";
import type { Content, VirtualTable } from "./virtual-tables.ts";

/** A column that orders the rows of a table. A cursor uses it to find a row. */
export interface Key {
  readonly name: string;
  readonly descending: boolean;
  readonly collation: string | null;
}

/** A table whose rows are dumped. */
export interface TableRows {
  readonly table: string;
  /** Writable columns: not generated and not hidden. */
  readonly columns: readonly string[];
  /** The name to read and write the rowid. Null: a column holds the rowid, or the table has none. */
  readonly rowid: string | null;
  /** Empty: rows have only the table's own order, and a cursor counts them. */
  readonly key: readonly Key[];
  /** A statement before the rows. */
  readonly before: string | null;
}

/** A full-text index of another table's text. */
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
  /** An unused name for a temporary table. */
  readonly freeName: string;
}

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly tokens: readonly Token[];
  /** The statement on one line. */
  readonly sql: string;
}

/** Names of SQLite, of the platform, and of the local runtime. */
const isInternal = (name: string): boolean => /^(sqlite_|_cf_)/u.test(lowerCase(name)) || isReserved(name);

/** Whether the project has no tables, views or other objects. */
export const isEmpty = (read: ReadRows): boolean =>
  rowsOf(read, "SELECT name FROM sqlite_schema").every(([name]) => isInternal(String(name)));

/** Columns in one result: the platform's limit. */
const MAX_RESULT_COLUMNS = 100;

/** `full`: with rows. `schema`: without rows. Throws `Undumpable`. */
export function readCatalog(read: ReadRows, mode: "full" | "schema"): Catalog {
  const kinds = new Map(rowsOf(read, "PRAGMA table_list").map(([, name, kind]) => [String(name), String(kind)]));
  const all = rowsOf(read, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
    .map(([type, name, sql]) => ({ type: String(type), name: String(name), sql: String(sql) }))
    .filter(({ name }) => !isInternal(name));
  const isVirtual = ({ name, type }: { readonly name: string; readonly type: string }): boolean =>
    type === "table" && kinds.get(name) === "virtual";
  const virtual = all.filter(isVirtual).map(({ type, name, sql }) => virtualTableOf(name, statementOf(type, name, sql).tokens));
  // A project's own table can have the name of a shadow table. It is then dumped as an ordinary table.
  const shadowTables = new Set(virtual.flatMap((table) => table.shadowTables));
  const objects = all
    .filter(({ name }) => kinds.get(name) !== "shadow" || !shadowTables.has(lowerCase(name)))
    .map(({ type, name, sql }): SchemaRow => {
      const statement = statementOf(type, name, sql);
      return { type, name, tokens: statement.tokens, sql: onOneLine(type, name, statement) };
    });
  const of = (type: string) => objects.filter((each) => each.type === type && !isVirtual(each));
  const schema = (some: readonly SchemaRow[]): Step[] => statements(...some.map(({ sql }) => sql));
  const data = (some: readonly Step[]): readonly Step[] => (mode === "full" ? some : []);
  const tables = of("table");
  const freeName = freeNameIn(read);
  const steps: Step[] = [
    ...statements("PRAGMA foreign_keys=OFF", "BEGIN TRANSACTION", "PRAGMA defer_foreign_keys=ON"),
    ...schema(tables),
    ...data(tables.map(({ name }) => ({ kind: "rows", rows: ordinaryRows(read, name) }))),
    ...data(sequences(read, tables, freeName)),
    ...schema(of("index")),
    ...schema(objects.filter(isVirtual)),
    ...virtual.flatMap((table) => settings(read, table)),
    ...data(virtual.flatMap((table) => virtualRows(read, table))),
    ...schema(of("view")),
    // The source of an index may be a view.
    ...data(virtual.flatMap((table) => indexRows(read, table))),
    ...schema(of("trigger")),
    ...statements("COMMIT"),
  ];
  return { steps, freeName };
}

function freeNameIn(read: ReadRows): string {
  const names = new Set(rowsOf(read, "SELECT name FROM sqlite_schema").map(([name]) => lowerCase(String(name))));
  let name = "_qc_long";
  while (names.has(name)) name += "_";
  return name;
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
  /** Neither generated nor hidden. */
  readonly isWritable: boolean;
}

function columnsOf(read: ReadRows, table: string): Column[] {
  return rowsOf(read, `PRAGMA table_xinfo(${quoteName(table)})`).map(([, name, , , , pk, hidden]) => ({
    name: String(name),
    isKey: Number(pk) > 0,
    isWritable: Number(hidden) === 0,
  }));
}

const writableNames = (columns: readonly Column[]): string[] => columns.filter(({ isWritable }) => isWritable).map(({ name }) => name);

/** Numbers have no collation. */
const ROWID: Omit<Key, "name"> = { descending: false, collation: null };

function ordinaryRows(read: ReadRows, table: string): TableRows {
  const columns = columnsOf(read, table);
  const names = writableNames(columns);
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
    return { ...rows, rowid: null, key };
  }
  // A primary key without its own index is the rowid.
  const alias = index === undefined ? columns.find(({ isKey }) => isKey)?.name : undefined;
  if (alias !== undefined) return { ...rows, rowid: null, key: [{ name: alias, ...ROWID }] };
  const rowid = freeRowid(columns.map(({ name }) => name));
  return { ...rows, rowid, key: rowid === null ? [] : [{ name: rowid, ...ROWID }] };
}

/** Null if columns use all three names, or if one more column would exceed the limit. The rowids are then lost. */
function freeRowid(columns: readonly string[]): string | null {
  if (columns.length >= MAX_RESULT_COLUMNS) return null;
  const usedNames = new Set(columns.map(lowerCase));
  return ["rowid", "_rowid_", "oid"].find((name) => !usedNames.has(name)) ?? null;
}

/** SQLite's table of AUTOINCREMENT numbers. It exists once a table needs it, and keeps numbers of other names without one. */
function sequences(read: ReadRows, tables: readonly SchemaRow[], freeName: string): Step[] {
  const isCreated = tables.some(({ tokens }) => tokens.some((token) => wordOf(token) === "AUTOINCREMENT"));
  const exists = rowsOf(read, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").length > 0;
  if (!exists || (!isCreated && rowsOf(read, "SELECT 1 FROM sqlite_sequence LIMIT 1").length === 0)) return [];
  const table = quoteName(freeName);
  const creation = statements(`CREATE TABLE ${table}(n INTEGER PRIMARY KEY AUTOINCREMENT)`, `DROP TABLE ${table}`);
  const rows = { ...ordinaryRows(read, "sqlite_sequence"), before: 'DELETE FROM "sqlite_sequence"' };
  return [...(isCreated ? [] : creation), { kind: "rows", rows }];
}

/** Statements that set a full-text table's options. The version is omitted, because it describes the internal format. */
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

/** Rows of virtual tables. The tables rebuild their other data from these rows. */
function virtualRows(read: ReadRows, { name, module, content }: VirtualTable): Step[] {
  if (module === "fts5vocab" || content !== null) return [];
  const columns = writableNames(columnsOf(read, name));
  const rowid = module === "fts5" ? "rowid" : null;
  return [{ kind: "rows", rows: { table: name, columns, rowid, key: [{ name: rowid ?? columns[0] ?? "", ...ROWID }], before: null } }];
}

function indexRows(read: ReadRows, { name, content }: VirtualTable): Step[] {
  if (content === null) return [];
  const { columns, rowid, key } = ordinaryRows(read, content.table);
  const isLost = rowid === null && key.length === 0 && !columns.some((column) => lowerCase(column) === lowerCase(content.rowid));
  if (!isLost) return [{ kind: "index", index: { table: name, columns: writableNames(columnsOf(read, name)), content } }];
  const reason = `needs the rowids of ${quoteName(content.table)}, which a table of ${columns.length} columns loses`;
  throw new Undumpable(`The full-text table ${quoteName(name)} ${reason}. To keep the rowids, declare one column as INTEGER PRIMARY KEY.`);
}
