/**
 * Summarizes a database: the number of rows and a hash of each table, and a hash of the schema. It verifies backups against their source, so
 * it shares neither code nor queries with the dump. It uses SQLite's own information where available. The hash of a table is a sum over its
 * rows, so their order does not matter.
 */
import { createHash } from "node:crypto";
import type { ReadRows } from "./reader.ts";
import { normalizedSql } from "./normalize-sql.ts";
import type { TableSummary } from "./types.ts";

export interface SurveyRequest {
  /** Cursor of the previous page. Null: start at the beginning. */
  readonly cursor: string | null;
  /** A page ends with the row, or the word of an index, that reaches this size. */
  readonly maxBytes: number;
  /** False: the schema only. */
  readonly rows: boolean;
}

export interface SurveyPage {
  /** Cursor of the next page. Null after the last one. */
  readonly next: string | null;
  /** Tables that end in this page. */
  readonly tables: readonly TableSummary[];
  /** SHA-256 in hex, on the first page only. */
  readonly schemaHash: string | null;
}

/** Rows that one query reads. */
interface Subject {
  /** The table in the summary. A full-text table includes its shadow tables. */
  readonly table: string;
  readonly source: string;
  /** Whether the rows count as rows of `table`. False for other shadow tables. */
  readonly counts: boolean;
  /** SQL condition for the rows. */
  readonly where: string;
  /** A full-text index. Its words are read as rows. */
  readonly isIndex: boolean;
}

interface Place {
  readonly subject: number;
  /** Position of the last row: a rowid, a number of rows, or a word in hex. Null at the beginning. */
  readonly at: string | null;
  readonly rows: number;
  /** Rows of the table so far, and the sum of their hashes in hex. */
  readonly total: number;
  readonly sum: string;
}

const START: Place = { subject: 0, at: null, rows: 0, total: 0, sum: "0" };
const MODULUS = 1n << 256n;
/** Columns in one result: the platform's limit. */
const MAX_RESULT_COLUMNS = 100;
/** Minimum size of a row and of a table, so that many small ones also end a page. */
const ROW_BYTES = 64;
const TABLE_BYTES = 16_384;

const name = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const text = (value: unknown): string => `'${String(value).replaceAll("'", "''")}'`;

function all(read: ReadRows, sql: string): (readonly unknown[])[] {
  const rows: (readonly unknown[])[] = [];
  read(sql, (row) => rows.push(row) > 0);
  return rows;
}

/** Tables with their kind. A project's own table could replace the table-valued form of a PRAGMA. */
const tableList = (read: ReadRows, argument = ""): (readonly unknown[])[] =>
  all(read, `PRAGMA table_list${argument}`).filter(([schema]) => schema === "main");

/** SQL condition that excludes the tables of SQLite, of the platform and of the local runtime. */
const OF_PROJECT = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name <> '__miniflare_do_name'";

/** May create a temporary object. The caller must roll back the transaction. */
export function surveyPage(read: ReadRows, { cursor, maxBytes, rows }: SurveyRequest): SurveyPage {
  const subjects = rows ? subjectsOf(read) : [];
  const schemaHash = cursor === null ? schemaHashOf(read) : null;
  const tables: TableSummary[] = [];
  let place = cursor === null ? START : (JSON.parse(cursor) as Place);
  let bytesLeft = maxBytes;
  for (let subject = subjects[place.subject]; subject !== undefined && bytesLeft > 0; subject = subjects[place.subject]) {
    const page = subject.isIndex ? wordsFrom(read, subject, place, bytesLeft) : rowsFrom(read, subject, place, bytesLeft);
    bytesLeft -= page.bytes + TABLE_BYTES;
    place = page.place;
    if (!page.isDone) continue;
    if (!subject.isIndex) expectAllRows(read, subject, place.rows);
    const total = place.total + (subject.counts ? place.rows : 0);
    const continues = subjects[place.subject + 1]?.table === subject.table;
    if (!continues) tables.push({ name: subject.table, rows: total, hash: place.sum.padStart(64, "0") });
    place = { ...START, subject: place.subject + 1, ...(continues ? { total, sum: place.sum } : {}) };
  }
  return { next: place.subject < subjects.length ? JSON.stringify(place) : null, tables, schemaHash };
}

/** Reads shadow tables only if they hold content. The internal tree or segments of an index may differ for the same content. */
function subjectsOf(read: ReadRows): Subject[] {
  const kinds = new Map(tableList(read).map(([, table, kind]) => [String(table), String(kind)]));
  const tables = all(read, `SELECT name FROM sqlite_schema WHERE type = 'table' AND ${OF_PROJECT} ORDER BY name`);
  const plain = (table: string, source = table, counts = true, where = "1"): Subject => ({ table, source, counts, where, isIndex: false });
  const subjects = tables.flatMap(([table]): Subject[] => {
    const tableName = String(table);
    const kind = kinds.get(tableName);
    if (kind === "shadow" && /_(content|docsize|config|data|idx|node|parent|rowid)$/iu.test(tableName)) return [];
    if (kind !== "virtual") return [plain(tableName)];
    const shadow = (suffix: string): string | undefined => {
      // As in SQLite, only ASCII letters have two cases.
      const condition = `name = ${text(`${tableName}_${suffix}`)} COLLATE NOCASE AND type = 'table'`;
      const [[found] = []] = all(read, `SELECT name FROM sqlite_schema WHERE ${condition}`);
      return kinds.get(String(found)) === "shadow" ? String(found) : undefined;
    };
    const config = shadow("config");
    // An R-tree is read like a table. A full-text table is read from its shadow tables. A vocabulary table has no content.
    if (config === undefined) return shadow("node") === undefined ? [] : [plain(tableName)];
    const content = shadow("content");
    const docsize = shadow("docsize");
    return [
      ...(content === undefined ? [] : [plain(tableName, content)]),
      ...(docsize === undefined ? [] : [plain(tableName, docsize, false)]),
      // The version describes the internal format.
      plain(tableName, config, false, "k <> 'version'"),
      { ...plain(tableName, tableName, false), isIndex: true },
    ];
  });
  const numbered = all(read, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").length > 0;
  return numbered && all(read, "SELECT 1 FROM sqlite_sequence LIMIT 1").length > 0 ? [...subjects, plain("sqlite_sequence")] : subjects;
}

interface Page {
  readonly place: Place;
  readonly bytes: number;
  readonly isDone: boolean;
}

/** Text, blobs and integers as bytes after the first letter of their type. Reals are numbers, which the platform returns exactly. */
const encoded = (column: string): string =>
  `CASE WHEN typeof(${column}) IN ('real', 'null') THEN ${column} ELSE CAST(substr(typeof(${column}), 1, 1) || ${column} AS BLOB) END`;

function rowsFrom(read: ReadRows, { source, where }: Subject, place: Place, maxBytes: number): Page {
  const table = name(source);
  const columns = all(read, `PRAGMA table_xinfo(${text(source)})`).flatMap((column) => (column[6] === 1 ? [] : [String(column[1])]));
  const [[, , kind, , withoutRowid] = []] = tableList(read, `(${text(source)})`);
  const usedNames = new Set(columns.map((column) => column.toLowerCase()));
  const hasRowid = withoutRowid === 0 && columns.length < MAX_RESULT_COLUMNS;
  const rowid = hasRowid ? ["rowid", "_rowid_", "oid"].find((each) => !usedNames.has(each)) : undefined;
  const cells = columns.map((column) => encoded(`t.${name(column)}`));
  const from = place.at ?? "0";
  const byRowid = `SELECT ${[`CAST(CAST(t.${rowid} AS TEXT) AS BLOB)`, ...cells].join(", ")} FROM ${table} AS t
    WHERE ${where}${place.at === null ? "" : ` AND t.${rowid} > ${from}`} ORDER BY t.${rowid}`;
  // Without writes, SQLite returns the rows of a table in the same order each time.
  const byNumber = `SELECT ${cells.join(", ")} FROM ${table} AS t ${kind === "virtual" ? "" : "NOT INDEXED"} WHERE ${where} LIMIT -1 OFFSET ${from}`;
  const hashSum = new HashSum(place);
  let last = place.at;
  let isDone = true;
  read(rowid === undefined ? byNumber : byRowid, (row) => {
    hashSum.add(row);
    last = rowid === undefined ? String(place.rows + hashSum.count) : decoded(row[0]);
    return (isDone = hashSum.bytes < maxBytes);
  });
  return { place: hashSum.placeAt(last), bytes: hashSum.bytes, isDone };
}

const decoded = (digits: unknown): string => new TextDecoder().decode(digits as ArrayBuffer);

/** Reads each word of an index with its rows and positions. A page ends between two words. */
function wordsFrom(read: ReadRows, { source }: Subject, place: Place, maxBytes: number): Page {
  const usedNames = new Set(all(read, "SELECT lower(name) FROM sqlite_schema").map(([each]) => each));
  let words = "words";
  while (usedNames.has(words)) words += "_";
  read(`CREATE VIRTUAL TABLE ${words} USING fts5vocab(${name(source)}, instance)`, () => true);
  const cells = ["term", "doc", "col", '"offset"'].map((column) => encoded(`t.${column}`));
  const after = place.at === null ? "" : `WHERE t.term > CAST(X'${place.at}' AS TEXT)`;
  const hashSum = new HashSum(place);
  let last = place.at;
  let isDone = true;
  read(`SELECT hex(t.term), ${cells.join(", ")} FROM ${words} AS t ${after}`, ([word, ...row]) => {
    isDone = word === last || hashSum.bytes < maxBytes;
    if (isDone) hashSum.add(row);
    if (isDone) last = String(word);
    return isDone;
  });
  read(`DROP TABLE ${words}`, () => true);
  return { place: hashSum.placeAt(last), bytes: hashSum.bytes, isDone };
}

/** Sums the hashes of rows. */
class HashSum {
  readonly #from: Place;
  #sum: bigint;
  bytes = 0;
  count = 0;

  constructor(from: Place) {
    this.#from = from;
    this.#sum = BigInt(`0x${from.sum}`);
  }

  add(row: readonly unknown[]): void {
    const bytes = serialize(row);
    this.#sum = (this.#sum + BigInt(`0x${createHash("sha256").update(bytes).digest("hex")}`)) % MODULUS;
    this.bytes += bytes.length + ROW_BYTES;
    this.count += 1;
  }

  placeAt(at: string | null): Place {
    return { ...this.#from, at, rows: this.#from.rows + this.count, sum: this.#sum.toString(16) };
  }
}

const HEAD_BYTES = 9;
const REAL = 1;
const BYTES = 2;

/** The cells of a row, each as its kind, length and bytes. Two different rows never have the same bytes. */
function serialize(row: readonly unknown[]): Uint8Array {
  const bodies = row.map((cell) => (cell instanceof ArrayBuffer ? new Uint8Array(cell) : cell));
  const size = bodies.reduce<number>((sum, body) => sum + HEAD_BYTES + (body instanceof Uint8Array ? body.length : 0), 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const body of bodies) {
    if (typeof body === "number") {
      bytes[at] = REAL;
      view.setFloat64(at + 1, body);
    } else if (body instanceof Uint8Array) {
      bytes[at] = BYTES;
      view.setUint32(at + 1, body.length);
      bytes.set(body, at + HEAD_BYTES);
      at += body.length;
    }
    at += HEAD_BYTES;
  }
  return bytes;
}

/** Compares with SQLite's own count. A reading error would skip the same rows in the copy and stay unnoticed. */
function expectAllRows(read: ReadRows, { source, where }: Subject, found: number): void {
  const [[count] = []] = all(read, `SELECT count(*) FROM ${name(source)} WHERE ${where}`);
  if (Number(count) !== found) throw new Error(`Incomplete reading of ${name(source)}: found ${found} of ${String(count)} rows`);
}

/** Hash of the schema: the text of each object, and its structure as SQLite reports it. */
function schemaHashOf(read: ReadRows): string {
  const objects = all(read, `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE ${OF_PROJECT}`).map(([type, object, table, sql]) => {
    const structure = type === "table" || type === "view" ? structureOf(read, String(object)) : [];
    return JSON.stringify([type, object, table, typeof sql === "string" ? normalizedSql(sql) : null, ...structure]);
  });
  return createHash("sha256").update(objects.toSorted().join("\n")).digest("hex");
}

function structureOf(read: ReadRows, table: string): unknown[] {
  const pragma = (what: string, of: string): (readonly unknown[])[] => all(read, `PRAGMA ${what}(${text(of)})`);
  const parts = [
    () =>
      pragma("table_xinfo", table).map(([, column, type, notNull, value, key, hidden]) => [
        column,
        type,
        notNull,
        value === null ? 1 : 0,
        key,
        hidden,
      ]),
    () => pragma("foreign_key_list", table).toSorted(byNumbers),
    () =>
      pragma("index_list", table)
        .toSorted(([, a], [, b]) => (String(a) < String(b) ? -1 : 1))
        .flatMap(([, index, ...kind]) => pragma("index_xinfo", String(index)).map(([at, , ...column]) => [index, ...kind, at, ...column])),
  ];
  return parts.map((part) => {
    try {
      return part();
    } catch (error) {
      // For example, a view of a missing table. The copy must fail in the same way.
      return String(error);
    }
  });
}

/** The order of keys, and of the columns of a key. */
const byNumbers = ([id, seq]: readonly unknown[], [otherId, otherSeq]: readonly unknown[]): number =>
  Number(id) - Number(otherId) || Number(seq) - Number(otherSeq);
