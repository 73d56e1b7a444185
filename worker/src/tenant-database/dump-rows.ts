/**
 * The rows of a table as INSERT statements, starting at any row. SQLite writes integers as text. Text and blobs are read as bytes if SQLite's
 * own quoting would lose data. Only one row is in memory at a time.
 */
import { Buffer } from "node:buffer";
import type { TableRows } from "./catalog.ts";
import { blobLiteral, hexOf, lineText, quoteName, realLiteral, textLiteral } from "./literals.ts";
import type { ReadRows } from "./reader.ts";

/** A larger value is read as bytes and written in hex. */
const LONG_VALUE_BYTES = 32_768;
/** The platform accepts statements of up to 100,000 bytes. The dump keeps a margin of 10%. */
const MAX_STATEMENT_BYTES = 90_000;
/** A statement of this size gets no more rows. */
const FULL_STATEMENT_BYTES = 60_000;
const MAX_ROWS_PER_STATEMENT = 500;
/** Bytes of a long value in one statement. In hex they are twice as many characters. */
const PIECE_BYTES = 40_000;
/** Size of the text around the values of one row. */
const ROW_FRAME_BYTES = 64;

/** A position between two rows. */
export interface RowsPosition {
  /** Key of the last row, as literals. Null: the number of rows gives the position. */
  readonly key: string | null;
  readonly rows: number;
}

export const BEFORE_FIRST: RowsPosition = { key: null, rows: 0 };

/** A literal of a statement, or bytes of any length. */
type Value = string | { readonly type: "text" | "blob"; readonly bytes: Uint8Array };

/** Reads the column `v`. SQLite quotes printable ASCII text and short blobs. Other text and long values come as bytes after their type. */
const asRead = (v: string): string =>
  `CASE WHEN typeof(${v})='real' THEN ${v} WHEN octet_length(${v})>${LONG_VALUE_BYTES} OR typeof(${v})='text' AND (octet_length(${v})<>length(${v}) OR ${v} GLOB '*[^ -~]*') THEN CAST(substr(typeof(${v}),1,1)||${v} AS BLOB) ELSE quote(${v}) END`;

/** Each column is qualified with its table and has no alias, so that no name is ambiguous. */
function selectFrom({ table, columns, rowid, key }: TableRows, from: RowsPosition): string {
  const cells = [...(rowid === null ? [] : [`CAST(t.${rowid} AS TEXT)`]), ...columns.map((column) => asRead(`t.${quoteName(column)}`))];
  const column = (index: number): string => {
    const { name = "", collation = null } = key[index] ?? {};
    return `t.${quoteName(name)}${collation === null ? "" : ` COLLATE ${quoteName(collation)}`}`;
  };
  const order = key.map(({ descending }, index) => `${column(index)}${descending ? " DESC" : ""}`).join(", ");
  const place = from.key === null ? `LIMIT -1 OFFSET ${from.rows}` : "";
  const after = from.key === null ? "" : `WHERE ${afterKey(key, JSON.parse(from.key) as string[], column)}`;
  const source = `${quoteName(table)} AS t${key.length === 0 ? " NOT INDEXED" : ""}`;
  return `SELECT ${cells.join(", ")} FROM ${source} ${after} ${order === "" ? "" : `ORDER BY ${order}`} ${place}`;
}

/** Reads the first row, so that SQLite reports, for example, that the names of columns are too long. */
export function expectReadable(read: ReadRows, rows: TableRows): void {
  read(selectFrom(rows, BEFORE_FIRST), () => false);
}

/** The rows after a key: a AND (b OR (c AND d)). `a` uses only the first column, so an index finds the first row. */
function afterKey(key: TableRows["key"], values: readonly string[], column: (index: number) => string): string {
  const beyond = (index: number): string => {
    const value = `+${values[index] ?? "NULL"}`;
    const past = `${column(index)} ${key[index]?.descending ? "<" : ">"} ${value}`;
    return index === key.length - 1 ? past : `(${past} OR ${column(index)} = ${value} AND ${beyond(index + 1)})`;
  };
  return key.length === 1 ? beyond(0) : `${column(0)} ${key[0]?.descending ? "<=" : ">="} +${values[0] ?? "NULL"} AND ${beyond(0)}`;
}

function valueOf(cell: unknown): Value {
  if (typeof cell === "number") return realLiteral(cell);
  if (typeof cell === "string") return cell;
  const whole = cell instanceof ArrayBuffer ? new Uint8Array(cell) : (cell as Uint8Array);
  const bytes = whole.subarray(1);
  // The first letter of `text` or `blob`.
  const type = whole[0] === "t".charCodeAt(0) ? "text" : "blob";
  if (bytes.length > LONG_VALUE_BYTES) return { type, bytes };
  if (type === "blob") return blobLiteral(bytes);
  return lineText(bytes);
}

const literalOf = (value: Value): string => {
  if (typeof value === "string") return value;
  return value.type === "text" ? textLiteral(value.bytes) : blobLiteral(value.bytes);
};

const sizeOf = (value: Value): number => (typeof value === "string" ? Buffer.byteLength(value) : 2 * value.bytes.length + ROW_FRAME_BYTES);

/** A row as values of a shared statement, or as its own statements. */
type Written = { readonly values: string } | { readonly ownStatements: readonly string[] };

export interface RowsReading {
  readonly rows: TableRows;
  readonly from: RowsPosition;
  /** Unique name of the table that holds long values until their row is inserted. */
  readonly staging: string;
}

/**
 * Passes each statement and the position after it to `take`, until `take` returns false. True: the table is complete.
 */
export function readRows(
  read: ReadRows,
  { rows, from, staging }: RowsReading,
  take: (sql: string, after: RowsPosition) => boolean,
): boolean {
  const names = [...(rows.rowid === null ? [] : [rows.rowid]), ...rows.columns.map(quoteName)];
  const into = `INSERT INTO ${quoteName(rows.table)}(${names.join(",")}) VALUES`;
  const room = MAX_STATEMENT_BYTES - Buffer.byteLength(into);
  const keyAt = rows.key.map(({ name }) => (name === rows.rowid ? 0 : rows.columns.indexOf(name) + (rows.rowid === null ? 0 : 1)));
  let { rows: count } = from;
  let last: readonly Value[] = [];
  let pending: string[] = [];
  let bytes = 0;
  let stopped = false;
  const emit = (sql: string): void => {
    stopped = !take(sql, { key: keyOf(last, keyAt), rows: count });
  };
  const flush = (): void => {
    if (pending.length === 0 || stopped) return;
    emit(`${into}${pending.join(",")}`);
    pending = [];
    bytes = 0;
  };
  read(selectFrom(rows, from), (cells) => {
    const values = cells.map((cell, index) => (index === 0 && rows.rowid !== null ? String(cell) : valueOf(cell)));
    const written = write(values, room, { into, staging });
    const size = "ownStatements" in written ? room : Buffer.byteLength(written.values) + 2;
    if (bytes + size > room) flush();
    if (stopped) return false;
    last = values;
    count += 1;
    if ("ownStatements" in written) {
      emit(written.ownStatements.join(";\n"));
      return !stopped;
    }
    pending.push(written.values);
    bytes += size;
    if (bytes >= FULL_STATEMENT_BYTES || pending.length >= MAX_ROWS_PER_STATEMENT) flush();
    return !stopped;
  });
  flush();
  return !stopped;
}

/** A longer key is not kept. The number of rows then gives the position, more slowly. */
const MAX_KEY_BYTES = 30_000;

function keyOf(row: readonly Value[], keyAt: readonly number[]): string | null {
  const key = keyAt.map((index) => row[index] ?? "NULL");
  const size = key.reduce((sum, value) => sum + sizeOf(value), 0);
  return key.length === 0 || size > MAX_KEY_BYTES ? null : JSON.stringify(key);
}

/** If a row is too long, its longest values first go piece by piece into a separate table. One statement then inserts the row. */
function write(values: readonly Value[], room: number, { into, staging }: { readonly into: string; readonly staging: string }): Written {
  const literals: (string | null)[] = values.map(() => null);
  const sizes = values.map(sizeOf);
  let total = sizes.reduce((sum, size) => sum + size + 1, ROW_FRAME_BYTES);
  if (total <= room) return { values: `(${values.map(literalOf).join(",")})` };
  const table = quoteName(staging);
  // Another column would leave less room for the longest value that SQLite can store.
  const ownStatements = [`CREATE TABLE ${table}(v)`];
  const longestFirst = sizes.map((size, index) => ({ size, index })).toSorted((a, b) => b.size - a.size);
  for (const { size, index } of longestFirst) {
    if (total <= room) break;
    const value = values[index] ?? "NULL";
    ownStatements.push(...pieces(value, index, table));
    const stored = `(SELECT v FROM ${table} WHERE rowid=${index})`;
    const literal = typeof value === "string" || value.type === "blob" ? stored : `CAST(${stored} AS TEXT)`;
    literals[index] = literal;
    total += literal.length - size;
  }
  ownStatements.push(`${into}(${values.map((value, index) => literals[index] ?? literalOf(value)).join(",")})`, `DROP TABLE ${table}`);
  return { ownStatements };
}

function pieces(value: Value, n: number, table: string): string[] {
  if (typeof value === "string") return [`INSERT INTO ${table}(rowid,v) VALUES(${n},${value})`];
  const { bytes } = value;
  const statements = [`INSERT INTO ${table}(rowid,v) VALUES(${n},X'${hexOf(bytes.subarray(0, PIECE_BYTES))}')`];
  for (let at = PIECE_BYTES; at < bytes.length; at += PIECE_BYTES) {
    const piece = hexOf(bytes.subarray(at, at + PIECE_BYTES));
    statements.push(`UPDATE ${table} SET v=CAST(v||X'${piece}' AS BLOB) WHERE rowid=${n}`);
  }
  return statements;
}
