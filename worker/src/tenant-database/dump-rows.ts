/**
 * The rows of a table as INSERT statements, from any row on. Integers stay text that SQLite wrote; text and blobs come as bytes wherever
 * SQLite's own quoting would lose something. One row is in memory at a time.
 */
import { Buffer } from "node:buffer";
import type { TableRows } from "./catalog.ts";
import { blobLiteral, hexOf, lineText, quoteName, realLiteral, textLiteral } from "./literals.ts";
import type { ReadRows } from "./reader.ts";

/** A value larger than this is read as bytes, and written in hex. */
const LONG_VALUE_BYTES = 32_768;
/** The platform takes statements of 100,000 bytes; the dump keeps a tenth away from it. */
const MAX_STATEMENT_BYTES = 90_000;
/** From here on a statement gets no more rows. */
const FULL_STATEMENT_BYTES = 60_000;
const MAX_ROWS_PER_STATEMENT = 500;
/** In hex, twice as many characters. */
const PIECE_BYTES = 40_000;
/** What surrounds the values of one row. */
const ROW_FRAME_BYTES = 64;

/** A place between two rows. */
export interface RowsPosition {
  /** Of the last row, as literals; null at the beginning, or where only the number of rows tells the place. */
  readonly key: string | null;
  readonly rows: number;
}

export const BEFORE_FIRST: RowsPosition = { key: null, rows: 0 };

/** A literal as it stands in a statement, or bytes too many for one. */
type Value = string | { readonly type: "text" | "blob"; readonly bytes: Uint8Array };

/** `v` is a column. Text that is all printable ASCII, and short blobs, SQLite quotes; other text and what is long comes as bytes, its type before it. */
const asRead = (v: string): string =>
  `CASE WHEN typeof(${v})='real' THEN ${v} WHEN octet_length(${v})>${LONG_VALUE_BYTES} OR typeof(${v})='text' AND (octet_length(${v})<>length(${v}) OR ${v} GLOB '*[^ -~]*') THEN CAST(substr(typeof(${v}),1,1)||${v} AS BLOB) ELSE quote(${v}) END`;

/** Columns are named with their table, so that no name is taken for another one, and none of ours stands beside the project's. */
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

/** The rows behind a key, so that an index finds the first of them: a AND (b OR (c AND d)) with a on the first column alone. */
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

/** What a row becomes: one that stands among others in a statement, or statements of its own. */
type Written = { readonly values: string } | { readonly alone: readonly string[] };

export interface RowsReading {
  readonly rows: TableRows;
  readonly from: RowsPosition;
  /** The name of the table that holds long values while their row is built; nothing else has it. */
  readonly staging: string;
}

/**
 * Hands over statements, each with the place behind it, until `take` says that it is enough. True where the table has no more rows.
 * What counts for the hash is each row's literals; the same rows give the same hash in whatever pieces they were read.
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
  let enough = false;
  const hand = (sql: string): void => {
    enough = !take(sql, { key: keyOf(last, keyAt), rows: count });
  };
  const flush = (): void => {
    if (pending.length === 0 || enough) return;
    hand(`${into}${pending.join(",")}`);
    pending = [];
    bytes = 0;
  };
  read(selectFrom(rows, from), (cells) => {
    const values = cells.map((cell, index) => (index === 0 && rows.rowid !== null ? String(cell) : valueOf(cell)));
    const written = write(values, room, { into, staging });
    const size = "alone" in written ? room : Buffer.byteLength(written.values) + 2;
    if (bytes + size > room) flush();
    if (enough) return false;
    last = values;
    count += 1;
    if ("alone" in written) {
      hand(written.alone.join(";\n"));
      return !enough;
    }
    pending.push(written.values);
    bytes += size;
    if (bytes >= FULL_STATEMENT_BYTES || pending.length >= MAX_ROWS_PER_STATEMENT) flush();
    return !enough;
  });
  flush();
  return !enough;
}

/** A key that is too long for a statement is not kept; the number of rows finds the place too, only slower. */
const MAX_KEY_BYTES = 30_000;

function keyOf(row: readonly Value[], keyAt: readonly number[]): string | null {
  const key = keyAt.map((index) => row[index] ?? "NULL");
  const size = key.reduce((sum, value) => sum + sizeOf(value), 0);
  return key.length === 0 || size > MAX_KEY_BYTES ? null : JSON.stringify(key);
}

/** The longest values of a row that is too long go into a table of their own first, piece by piece; the row itself is inserted whole. */
function write(values: readonly Value[], room: number, { into, staging }: { readonly into: string; readonly staging: string }): Written {
  const literals: (string | null)[] = values.map(() => null);
  const sizes = values.map(sizeOf);
  let total = sizes.reduce((sum, size) => sum + size + 1, ROW_FRAME_BYTES);
  if (total <= room) return { values: `(${values.map(literalOf).join(",")})` };
  const table = quoteName(staging);
  const alone = [`CREATE TABLE ${table}(n INTEGER PRIMARY KEY, v)`];
  const longestFirst = sizes.map((size, index) => ({ size, index })).toSorted((a, b) => b.size - a.size);
  for (const { size, index } of longestFirst) {
    if (total <= room) break;
    const value = values[index] ?? "NULL";
    alone.push(...pieces(value, index, table));
    const stored = `(SELECT v FROM ${table} WHERE n=${index})`;
    const literal = typeof value === "string" || value.type === "blob" ? stored : `CAST(${stored} AS TEXT)`;
    literals[index] = literal;
    total += literal.length - size;
  }
  alone.push(`${into}(${values.map((value, index) => literals[index] ?? literalOf(value)).join(",")})`, `DROP TABLE ${table}`);
  return { alone };
}

function pieces(value: Value, n: number, table: string): string[] {
  if (typeof value === "string") return [`INSERT INTO ${table} VALUES(${n},${value})`];
  const { bytes } = value;
  const statements = [`INSERT INTO ${table} VALUES(${n},X'${hexOf(bytes.subarray(0, PIECE_BYTES))}')`];
  for (let at = PIECE_BYTES; at < bytes.length; at += PIECE_BYTES) {
    const piece = hexOf(bytes.subarray(at, at + PIECE_BYTES));
    statements.push(`UPDATE ${table} SET v=CAST(v||X'${piece}' AS BLOB) WHERE n=${n}`);
  }
  return statements;
}
