/**
 * What a database holds, read a second time for no dump: rows and a hash of each table, and a hash of the schema. A backup is compared with
 * its source by this alone, so it shares neither code nor queries with the dump, and asks SQLite wherever SQLite can tell. The hash of a
 * table is a sum over its rows, so that no order of them matters.
 */
import { createHash } from "node:crypto";
import type { ReadRows } from "./reader.ts";
import { squashed } from "./squash.ts";
import type { TableSummary } from "./types.ts";

export interface SurveyRequest {
  /** Of the page before; null: from the beginning. */
  readonly cursor: string | null;
  /** A page ends with the row, or the word of an index, that reaches it. */
  readonly maxBytes: number;
  /** False: the schema alone. */
  readonly rows: boolean;
}

export interface SurveyPage {
  /** Where the next page begins; null after the last one. */
  readonly next: string | null;
  /** Tables that end in this page. */
  readonly tables: readonly TableSummary[];
  /** SHA-256 in hex; of the first page only. */
  readonly schemaHash: string | null;
}

/** Rows that are read in one go. */
interface Subject {
  /** The table that a reader of the summary knows; what a full-text table keeps in others is summed up with it. */
  readonly table: string;
  readonly source: string;
  /** Whether these are the rows of the table, and not what stands beside them. */
  readonly counts: boolean;
  /** Which of its rows. */
  readonly where: string;
  /** An index over text that stands elsewhere: its words are its rows. */
  readonly isIndex: boolean;
}

interface Place {
  readonly subject: number;
  /** Of the last row that was read: a rowid, a number of rows, or a word in hex; null at the beginning. */
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
/** So that a page of many small rows ends, too, and one of many small tables. */
const ROW_BYTES = 64;
const TABLE_BYTES = 16_384;

const name = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const text = (value: unknown): string => `'${String(value).replaceAll("'", "''")}'`;

function all(read: ReadRows, sql: string): (readonly unknown[])[] {
  const rows: (readonly unknown[])[] = [];
  read(sql, (row) => rows.push(row) > 0);
  return rows;
}

/** Tables of SQLite, of the platform and of the local runtime, which a project neither made nor can change. */
const OWN = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name <> '__miniflare_do_name'";

/** May make a table while it reads, of which nothing is to stay: the caller's transaction is rolled back. */
export function surveyPage(read: ReadRows, { cursor, maxBytes, rows }: SurveyRequest): SurveyPage {
  const subjects = rows ? subjectsOf(read) : [];
  const schemaHash = cursor === null ? schemaHashOf(read) : null;
  const tables: TableSummary[] = [];
  let place = cursor === null ? START : (JSON.parse(cursor) as Place);
  let left = maxBytes;
  for (let subject = subjects[place.subject]; subject !== undefined && left > 0; subject = subjects[place.subject]) {
    const page = subject.isIndex ? wordsFrom(read, subject, place, left) : rowsFrom(read, subject, place, left);
    left -= page.bytes + TABLE_BYTES;
    place = page.place;
    if (!page.isDone) continue;
    if (!subject.isIndex) expectAll(read, subject, place.rows);
    const total = place.total + (subject.counts ? place.rows : 0);
    const goesOn = subjects[place.subject + 1]?.table === subject.table;
    if (!goesOn) tables.push({ name: subject.table, rows: total, hash: place.sum.padStart(64, "0") });
    place = { ...START, subject: place.subject + 1, ...(goesOn ? { total, sum: place.sum } : {}) };
  }
  return { next: place.subject < subjects.length ? JSON.stringify(place) : null, tables, schemaHash };
}

/** What SQLite calls a shadow is read where it means something by itself: an index's tree or segments may differ and tell the same. */
function subjectsOf(read: ReadRows): Subject[] {
  const kinds = new Map(
    all(read, "SELECT name, type FROM pragma_table_list WHERE schema = 'main'").map(([table, kind]) => [String(table), String(kind)]),
  );
  const tables = all(read, `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND ${OWN} ORDER BY name`);
  const plain = (table: string, source = table, counts = true, where = "1"): Subject => ({ table, source, counts, where, isIndex: false });
  const subjects = tables.flatMap(([table, sql]): Subject[] => {
    const it = String(table);
    const kind = kinds.get(it);
    if (kind === "shadow" && /_(content|docsize|config|data|idx|node|parent|rowid)$/iu.test(it)) return [];
    if (kind !== "virtual") return [plain(it)];
    const shadow = (suffix: string): string | undefined => {
      const sought = `${it}_${suffix}`.toLowerCase();
      return [...kinds.keys()].find((each) => each.toLowerCase() === sought && kinds.get(each) === "shadow");
    };
    const config = shadow("config");
    // An R-tree is read through itself; a full-text table by what it keeps; its vocabulary is another view of it.
    if (config === undefined) return /using\s+"?fts5vocab/iu.test(String(sql)) ? [] : [plain(it)];
    const content = shadow("content");
    const docsize = shadow("docsize");
    return [
      ...(content === undefined ? [] : [plain(it, content)]),
      ...(docsize === undefined ? [] : [plain(it, docsize, false)]),
      // The version is that of the index's inner form.
      plain(it, config, false, "k <> 'version'"),
      { ...plain(it, it, false), isIndex: true },
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

/** Text, blobs and integers as bytes behind the first letter of their type; reals as numbers, which the platform gives exactly. */
const encoded = (column: string): string =>
  `CASE WHEN typeof(${column}) IN ('real', 'null') THEN ${column} ELSE CAST(substr(typeof(${column}), 1, 1) || ${column} AS BLOB) END`;

function rowsFrom(read: ReadRows, { source, where }: Subject, place: Place, maxBytes: number): Page {
  const table = name(source);
  const columns = all(read, `SELECT name FROM pragma_table_xinfo(${text(source)}) WHERE hidden <> 1`).map(([column]) => String(column));
  const [[kind, withoutRowid] = []] = all(read, `SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ${text(source)}`);
  const taken = new Set(columns.map((column) => column.toLowerCase()));
  const hasRowid = withoutRowid === 0 && columns.length < MAX_RESULT_COLUMNS;
  const rowid = hasRowid ? ["rowid", "_rowid_", "oid"].find((each) => !taken.has(each)) : undefined;
  const cells = columns.map((column) => encoded(`t.${name(column)}`));
  const from = place.at ?? "0";
  const byRowid = `SELECT ${[`CAST(CAST(t.${rowid} AS TEXT) AS BLOB)`, ...cells].join(", ")} FROM ${table} AS t
    WHERE ${where}${place.at === null ? "" : ` AND t.${rowid} > ${from}`} ORDER BY t.${rowid}`;
  // A read-only database gives the rows of a table in the same order each time.
  const byNumber = `SELECT ${cells.join(", ")} FROM ${table} AS t ${kind === "virtual" ? "" : "NOT INDEXED"} WHERE ${where} LIMIT -1 OFFSET ${from}`;
  const tally = new Tally(place);
  let last = place.at;
  let isDone = true;
  read(rowid === undefined ? byNumber : byRowid, (row) => {
    tally.add(row);
    last = rowid === undefined ? String(place.rows + tally.count) : decoded(row[0]);
    return (isDone = tally.bytes < maxBytes);
  });
  return { place: tally.placeAt(last), bytes: tally.bytes, isDone };
}

const decoded = (digits: unknown): string => new TextDecoder().decode(digits as ArrayBuffer);

/** Each word of an index with its rows and places. A page ends between two words. */
function wordsFrom(read: ReadRows, { source }: Subject, place: Place, maxBytes: number): Page {
  const taken = new Set(all(read, "SELECT lower(name) FROM sqlite_schema").map(([each]) => each));
  let words = "words";
  while (taken.has(words)) words += "_";
  read(`CREATE VIRTUAL TABLE ${words} USING fts5vocab(${name(source)}, instance)`, () => true);
  const cells = ["term", "doc", "col", '"offset"'].map((column) => encoded(`t.${column}`));
  const after = place.at === null ? "" : `WHERE t.term > CAST(X'${place.at}' AS TEXT)`;
  const tally = new Tally(place);
  let last = place.at;
  let isDone = true;
  read(`SELECT hex(t.term), ${cells.join(", ")} FROM ${words} AS t ${after}`, ([word, ...row]) => {
    isDone = word === last || tally.bytes < maxBytes;
    if (isDone) tally.add(row);
    if (isDone) last = String(word);
    return isDone;
  });
  read(`DROP TABLE ${words}`, () => true);
  return { place: tally.placeAt(last), bytes: tally.bytes, isDone };
}

/** Adds up the hashes of rows. */
class Tally {
  readonly #from: Place;
  #sum: bigint;
  bytes = 0;
  count = 0;

  constructor(from: Place) {
    this.#from = from;
    this.#sum = BigInt(`0x${from.sum}`);
  }

  add(row: readonly unknown[]): void {
    const bytes = packed(row);
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

/** The cells of a row one after the other, each as its kind, its length and itself: no two rows look alike. */
function packed(row: readonly unknown[]): Uint8Array {
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

/** A reader that skips rows skips them in the copy, too: SQLite counts for itself. */
function expectAll(read: ReadRows, { source, where }: Subject, found: number): void {
  const [[count] = []] = all(read, `SELECT count(*) FROM ${name(source)} WHERE ${where}`);
  if (Number(count) !== found) throw new Error(`Of the ${String(count)} rows of ${name(source)}, ${found} were read`);
}

/** Everything that a schema says: the text of each object, and what SQLite made of it. */
function schemaHashOf(read: ReadRows): string {
  const objects = all(read, `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE ${OWN}`).map(([type, it, table, sql]) => {
    const structure = type === "table" || type === "view" ? structureOf(read, String(it)) : [];
    return JSON.stringify([type, it, table, typeof sql === "string" ? squashed(sql) : null, ...structure]);
  });
  return createHash("sha256").update(objects.toSorted().join("\n")).digest("hex");
}

function structureOf(read: ReadRows, table: string): unknown[] {
  const it = text(table);
  const queries = [
    `SELECT name, type, "notnull", dflt_value IS NULL, pk, hidden FROM pragma_table_xinfo(${it})`,
    `SELECT * FROM pragma_foreign_key_list(${it}) ORDER BY id, seq`,
    `SELECT l.name, l."unique", l.origin, l.partial, x.seqno, x.name, x."desc", x.coll, x.key
     FROM pragma_index_list(${it}) AS l, pragma_index_xinfo(l.name) AS x ORDER BY l.name, x.seqno`,
  ];
  return queries.map((sql) => {
    try {
      return all(read, sql);
    } catch (error) {
      // A view of what is not there, for instance: it is as broken in the copy.
      return String(error);
    }
  });
}
