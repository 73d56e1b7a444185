/** Runs one statement on a project's database, with exact values and within limits. A statement that must not write leaves no change. */
import { breaksDeferredKey } from "./foreign-keys.ts";
import { readerOf, rolledBack, withCursor } from "./sql-reader.ts";
import { prepare } from "./statement.ts";
import type { Prepared } from "./statement.ts";
import type { FreezeStatus } from "./state.ts";
import type { QueryRequest, WireValue } from "./types.ts";
import { mayBeEither, mayBeInexact, plain, sizeOf, typed, typedForm } from "./values.ts";

/** Maximum size of an answer's values, written as JSON. */
export const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** SQL cannot be interrupted, except between two rows of a result. This limit ends it before the platform's 30 s of CPU. */
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
  | { readonly result: "refused"; readonly path: string; readonly message: string }
  | { readonly result: "failed"; readonly message: string }
  | { readonly result: "frozen" };

/** The freeze at the time of a statement. `expired`: the first write ends it. */
export interface Freeze {
  readonly status: FreezeStatus;
  readonly end: () => void;
}

type Row = readonly SqlStorageValue[];

/** Thrown to roll back a statement. */
class Aborted extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super(outcome.result);
    this.outcome = outcome;
  }
}

const failed = (message: string): Aborted => new Aborted({ result: "failed", message });

/**
 * SQLite's effects show whether a statement writes, never its words. A statement that must not write runs in a transaction that is always
 * rolled back.
 */
export function runQuery(storage: DurableObjectStorage, request: QueryRequest, freeze: Freeze): Outcome {
  const prepared = prepare(request.sql, request.params);
  if ("path" in prepared) return { result: "refused", ...prepared };
  const isReadOnly = request.readOnly || prepared.isExplain;
  const work = (): Outcome => {
    const before = isReadOnly || freeze.status !== "none" ? traceOf(storage.sql) : null;
    const outcome = execute(storage.sql, prepared, request.maxRows);
    if (before === null || !hasWritten(storage.sql, before, outcome)) return outcome;
    if (isReadOnly) throw new Aborted({ result: "refused", path: "sql", message: "must not write, because `read_only` is true" });
    if (freeze.status === "active") throw new Aborted({ result: "frozen" });
    freeze.end();
    return outcome;
  };
  try {
    return isReadOnly || freeze.status === "active" ? rolledBack(storage, work) : storage.transactionSync(work);
  } catch (error) {
    if (error instanceof Aborted) return error.outcome;
    throw error;
  }
}

const changesOf = (sql: SqlStorage): unknown => sql.exec("SELECT total_changes() AS n").one()["n"];

/** The traces of a write. No single one shows every write: `DROP TABLE`, for example, shows only in the schema. */
function traceOf(sql: SqlStorage): string {
  return JSON.stringify([changesOf(sql), [...sql.exec("SELECT rowid, type, name, tbl_name, rootpage, sql FROM sqlite_schema").raw()]]);
}

function hasWritten(sql: SqlStorage, before: string, outcome: Outcome): boolean {
  return (outcome.result === "rows" && outcome.rowsWritten > 0) || traceOf(sql) !== before;
}

function execute(sql: SqlStorage, prepared: Prepared, maxRows: number): Outcome {
  const changes = changesOf(sql);
  // Only a statement that wrote nothing can run a second time, to read the types of its values.
  let isRepeatable: boolean | undefined;
  const needsTypes = (row: Row): boolean => prepared.isQuery && row.some(mayBeEither) && (isRepeatable ??= changesOf(sql) === changes);
  const fetched = fetchRows(sql, prepared.sql, prepared.values, maxRows, needsTypes);
  if (fetched.needsTypes) {
    const typedRows = fetchRows(sql, typedForm(prepared.sql, fetched.columns.length, maxRows), prepared.values, maxRows);
    return rowsOutcome({ ...typedRows, columns: fetched.columns }, typed);
  }
  if (fetched.rows.some((row) => row.some(mayBeInexact))) throw failed(INEXACT_NUMBERS);
  const mayHaveWritten = !prepared.isQuery || changesOf(sql) !== changes;
  if (mayHaveWritten && run(() => breaksDeferredKey(readerOf(sql)))) throw failed("FOREIGN KEY constraint failed");
  return rowsOutcome(fetched, plain);
}

interface FetchedRows {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly truncated: boolean;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  /** Reading stopped at a row whose values need the typed form. */
  readonly needsTypes: boolean;
}

function fetchRows(
  sql: SqlStorage,
  text: string,
  values: Prepared["values"],
  maxRows: number,
  stopsAt = (_: Row): boolean => false,
): FetchedRows {
  return run(() =>
    withCursor(sql, text, values, (cursor) => {
      const rows: Row[] = [];
      let [bytes, truncated, needsTypes] = [0, false, false];
      for (const row of cursor.raw()) {
        bytes += row.reduce<number>((sum, value) => sum + sizeOf(value), 0);
        if (rows.length === 0 && bytes > MAX_ANSWER_BYTES) {
          throw failed(`One row is larger than ${MAX_ANSWER_BYTES} bytes. Select fewer columns, or parts of them with substr().`);
        }
        truncated = rows.length >= maxRows || bytes > MAX_ANSWER_BYTES;
        needsTypes = !truncated && stopsAt(row);
        if (truncated || needsTypes) break;
        rows.push(row);
        if (cursor.rowsRead > MAX_ROWS_READ) {
          throw failed(`The statement read more than ${MAX_ROWS_READ} rows. Add an index or a narrower WHERE.`);
        }
      }
      const { columnNames: columns, rowsRead, rowsWritten } = cursor;
      return { columns, rows, truncated, rowsRead, rowsWritten, needsTypes };
    }),
  );
}

function rowsOutcome(
  { columns, rows, truncated, rowsRead, rowsWritten }: FetchedRows,
  form: (value: SqlStorageValue) => WireValue,
): Outcome {
  return { result: "rows", columns, rows: rows.map((row) => row.map(form)), truncated, rowsRead, rowsWritten };
}

const INEXACT_NUMBERS =
  "The result has whole numbers beyond 2^53, which only a SELECT can return exactly. Use CAST(… AS TEXT) for such a column.";

/** SQLite quotes the invalid text at any length. */
const MAX_MESSAGE_CHARACTERS = 500;

/** SQLite's own words, without the platform's codes and without an offset, which does not refer to the caller's text. */
export function sqliteMessage(error: Error): string {
  const words = error.message.replace(/(: SQLITE_\w+)?( \(extended: \w+\))?$/u, "").replace(/ at offset \d+$/u, "");
  return words.length > MAX_MESSAGE_CHARACTERS ? `${words.slice(0, MAX_MESSAGE_CHARACTERS).toWellFormed()}…` : words;
}

/** Errors of the platform, not of the statement. `SQLITE_CORRUPT_VTAB`: a full-text index does not match its table. */
const INTERNAL = /SQLITE_(IOERR|NOTADB|CANTOPEN|INTERNAL|MISUSE|NOMEM|PROTOCOL)|SQLITE_CORRUPT\b(?!.*_VTAB)|^internal error/u;

/** Whether SQLite rejected the statement. False for errors of the platform. */
export const isSqlError = (error: unknown): error is Error =>
  error instanceof Error && /SQLITE_/u.test(error.message) && !INTERNAL.test(error.message);

/** Runs SQL. An error of SQLite becomes the outcome `failed`. */
function run<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof Aborted || INTERNAL.test(error.message)) throw error;
    if (/SQLITE_FULL/u.test(error.message)) throw failed("The database is full. It can hold 10 GB.");
    throw failed(sqliteMessage(error));
  }
}
