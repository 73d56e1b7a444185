/** One statement of a project, run on its database: exact, within limits, and without a trace where it may not write. */
import { Buffer } from "node:buffer";
import { close } from "./sql-reader.ts";
import { prepare } from "./statement.ts";
import type { Prepared } from "./statement.ts";
import type { QueryRequest, WireValue } from "./types.ts";

/** Of the answer's values as JSON. */
export const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** SQL here cannot be interrupted. Between two rows of a result it can be given up, before the platform's 30 s of CPU are over. */
export const MAX_ROWS_READ = 5_000_000;

export type Outcome =
  | {
      readonly result: "rows";
      readonly columns: readonly string[];
      readonly rows: readonly (readonly WireValue[])[];
      readonly truncated: boolean;
      readonly rowsRead: number;
      readonly rowsWritten: number;
    }
  | { readonly result: "refused" | "failed"; readonly message: string }
  | { readonly result: "frozen" };

type Row = readonly SqlStorageValue[];

/** Thrown to undo what a statement did. */
class GivenUp extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super(outcome.result);
    this.outcome = outcome;
  }
}

const refused = (message: string): GivenUp => new GivenUp({ result: "refused", message });
const failed = (message: string): GivenUp => new GivenUp({ result: "failed", message });

/** Whether a statement, as SQLite compiled it, would write: it opens a transaction for that. */
function writes(sql: SqlStorage, { sql: text, values, isExplain }: Prepared): boolean {
  if (isExplain) return false;
  const program = run(() => [...sql.exec(`EXPLAIN ${text}`, ...values).raw()]);
  return program.some(([, opcode, , p2]) => (opcode === "Transaction" && p2 !== 0) || opcode === "Vacuum" || opcode === "AutoCommit");
}

/** `mayWrite` is asked only by a statement that would. */
export function runQuery(storage: DurableObjectStorage, request: QueryRequest, mayWrite: () => boolean): Outcome {
  const { sql } = storage;
  const prepared = prepare(request.sql, request.params);
  if ("path" in prepared) return { result: "refused", message: prepared.message };
  try {
    if (!writes(sql, prepared)) return reading(storage, prepared, request.maxRows);
    if (request.readOnly) throw refused("must not write, because `read_only` is true");
    if (!mayWrite()) return { result: "frozen" };
    return storage.transactionSync(() => writing(sql, prepared, request.maxRows));
  } catch (error) {
    if (error instanceof GivenUp) return error.outcome;
    throw error;
  }
}

/** Whatever it does, nothing of it stays: what looks like a read is rolled back too. */
function reading(storage: DurableObjectStorage, prepared: Prepared, maxRows: number): Outcome {
  let outcome: Outcome | undefined;
  try {
    storage.transactionSync(() => {
      outcome = read(storage.sql, prepared, maxRows);
      throw new GivenUp(outcome);
    });
  } catch (error) {
    if (!(error instanceof GivenUp)) throw error;
    return error.outcome;
  }
  throw new Error("A transaction that always ends with a throw did not");
}

function read(sql: SqlStorage, prepared: Prepared, maxRows: number): Outcome {
  const taken = take(sql, prepared.sql, prepared.values, maxRows);
  if (!taken.rows.some((row) => row.some(mayBeInexact))) return answer(taken, plain);
  if (!prepared.isQuery) throw failed(INEXACT);
  return answer(
    { ...take(sql, exactForm(prepared.sql, taken.columns.length, maxRows), prepared.values, maxRows), columns: taken.columns },
    exact,
  );
}

function writing(sql: SqlStorage, prepared: Prepared, maxRows: number): Outcome {
  const taken = take(sql, prepared.sql, prepared.values, maxRows);
  if (taken.rows.some((row) => row.some(mayBeInexact))) throw failed(INEXACT);
  // A constraint that waits for the end of the transaction would be noticed when the platform commits, and cost the whole object.
  if (hasDeferredKeys(sql) && run(() => sql.exec("PRAGMA foreign_key_check").toArray()).length > 0) {
    throw failed("FOREIGN KEY constraint failed");
  }
  return answer(taken, plain);
}

const hasDeferredKeys = (sql: SqlStorage): boolean =>
  sql.exec("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND instr(upper(sql), 'DEFERR') LIMIT 1").toArray().length > 0;

interface Taken {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly truncated: boolean;
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

function take(sql: SqlStorage, text: string, values: Prepared["values"], maxRows: number): Taken {
  return run(() => {
    const cursor = sql.exec(text, ...values);
    const rows: Row[] = [];
    let bytes = 0;
    let truncated = false;
    for (const row of cursor.raw()) {
      bytes += row.reduce<number>((sum, value) => sum + sizeOf(value), 0);
      if (rows.length === 0 && bytes > MAX_ANSWER_BYTES) {
        close(cursor);
        throw failed(`One row is larger than ${MAX_ANSWER_BYTES} bytes; ask for fewer columns, or for parts of them with substr().`);
      }
      truncated = rows.length >= maxRows || bytes > MAX_ANSWER_BYTES;
      if (truncated) break;
      rows.push(row);
      if (cursor.rowsRead > MAX_ROWS_READ) {
        close(cursor);
        throw failed(`The statement read more than ${MAX_ROWS_READ} rows; an index or a narrower WHERE helps.`);
      }
    }
    const { columnNames: columns } = cursor;
    if (truncated) close(cursor);
    return { columns, rows, truncated, rowsRead: cursor.rowsRead, rowsWritten: cursor.rowsWritten };
  });
}

function answer({ columns, rows, truncated, rowsRead, rowsWritten }: Taken, form: (value: SqlStorageValue) => WireValue): Outcome {
  return { result: "rows", columns, rows: rows.map((row) => row.map(form)), truncated, rowsRead, rowsWritten };
}

/** Roughly what JSON takes for it. */
function sizeOf(value: SqlStorageValue): number {
  if (typeof value === "string") return Buffer.byteLength(value) + 3;
  return value instanceof ArrayBuffer ? Math.ceil(value.byteLength / 3) * 4 + 14 : 20;
}

const MAX_SAFE = Number.MAX_SAFE_INTEGER;

/** The platform gives every number as a double. A whole one of this size may be a 64-bit integer that lost its last digits. */
const mayBeInexact = (value: SqlStorageValue): boolean =>
  typeof value === "number" && Number.isInteger(value) && Math.abs(value) > MAX_SAFE && Math.abs(value) <= 2 ** 63;

const INEXACT =
  "The result holds whole numbers beyond 2^53, which only a SELECT can give exactly; write CAST(… AS TEXT) for such a column.";

function plain(value: SqlStorageValue): WireValue {
  if (value instanceof ArrayBuffer) return { $blob: Buffer.from(value).toString("base64") };
  if (typeof value === "number" && !Number.isFinite(value)) return { $real: String(value) };
  if (Object.is(value, -0)) return { $real: "-0.0" };
  return value;
}

/** The same rows with large integers as digits. They travel as blobs, and so do blobs: the first letter tells them apart. */
function exactForm(text: string, columns: number, maxRows: number): string {
  const names = Array.from({ length: columns }, (_, index) => `c${index}`);
  const values = names.map(
    (name) =>
      `CASE typeof(${name}) WHEN 'integer' THEN CASE WHEN ${name} BETWEEN -${MAX_SAFE} AND ${MAX_SAFE} THEN ${name} ELSE CAST('i'||${name} AS BLOB) END WHEN 'blob' THEN CAST('b'||${name} AS BLOB) ELSE ${name} END`,
  );
  return `WITH q(${names.join(",")}) AS MATERIALIZED (SELECT * FROM (${text}\n) LIMIT ${maxRows + 1}) SELECT ${values.join(",")} FROM q`;
}

function exact(value: SqlStorageValue): WireValue {
  if (!(value instanceof ArrayBuffer)) return plain(value);
  const bytes = Buffer.from(value);
  const rest = bytes.subarray(1);
  return bytes[0] === "i".charCodeAt(0) ? { $int: rest.toString("latin1") } : { $blob: rest.toString("base64") };
}

/** What SQLite found wrong it quotes whole, however long it is. */
const MAX_MESSAGE_CHARACTERS = 500;

/** SQLite's own words, without what the platform adds: where in a text that is not the caller's, and numbers of its own. */
export function sqliteMessage(error: Error): string {
  const words = error.message.replace(/(: SQLITE_\w+)?( \(extended: \w+\))?$/u, "").replace(/ at offset \d+$/u, "");
  return words.length > MAX_MESSAGE_CHARACTERS ? `${words.slice(0, MAX_MESSAGE_CHARACTERS).toWellFormed()}…` : words;
}

const FULL = /SQLITE_FULL/u;
/** Faults of the platform, not of the statement. */
const INTERNAL = /SQLITE_(IOERR|CORRUPT|NOTADB|CANTOPEN|INTERNAL|MISUSE|NOMEM|PROTOCOL)/u;

/** Runs SQL; what SQLite complains of becomes an outcome. */
function run<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof GivenUp || INTERNAL.test(error.message)) throw error;
    if (FULL.test(error.message)) throw failed("The database is full: it may hold 10 GB.");
    throw failed(sqliteMessage(error));
  }
}
