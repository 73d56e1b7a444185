/** One statement of a project, run on its database: exact, within limits, and without a trace where it may not write. */
import { breaksDeferredKey } from "./foreign-keys.ts";
import { readerOf, rolledBack, withCursor } from "./sql-reader.ts";
import { prepare } from "./statement.ts";
import type { Prepared } from "./statement.ts";
import type { QueryRequest, WireValue } from "./types.ts";
import { mayBeEither, mayBeInexact, plain, sizeOf, typed, typedForm } from "./values.ts";

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
  | { readonly result: "refused"; readonly path: string; readonly message: string }
  | { readonly result: "failed"; readonly message: string }
  | { readonly result: "frozen" };

/** The freeze that a statement meets. `expired`: its lease is over, and the first write ends it. */
export interface Freeze {
  readonly standing: "none" | "held" | "expired";
  readonly end: () => void;
}

type Row = readonly SqlStorageValue[];

/** Thrown to undo what a statement did. */
class GivenUp extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super(outcome.result);
    this.outcome = outcome;
  }
}

const failed = (message: string): GivenUp => new GivenUp({ result: "failed", message });

/**
 * Whether a statement writes is decided by what SQLite did, never by its words. What may not write runs in a transaction that is always
 * rolled back, whatever it was.
 */
export function runQuery(storage: DurableObjectStorage, request: QueryRequest, freeze: Freeze): Outcome {
  const prepared = prepare(request.sql, request.params);
  if ("path" in prepared) return { result: "refused", ...prepared };
  const inspects = request.readOnly || prepared.isExplain;
  const work = (): Outcome => {
    const before = inspects || freeze.standing !== "none" ? traceOf(storage.sql) : null;
    const outcome = answerOf(storage.sql, prepared, request.maxRows);
    if (before === null || !left(storage.sql, before, outcome)) return outcome;
    if (inspects) throw new GivenUp({ result: "refused", path: "sql", message: "must not write, because `read_only` is true" });
    if (freeze.standing === "held") throw new GivenUp({ result: "frozen" });
    freeze.end();
    return outcome;
  };
  try {
    return inspects || freeze.standing === "held" ? rolledBack(storage, work) : storage.transactionSync(work);
  } catch (error) {
    if (error instanceof GivenUp) return error.outcome;
    throw error;
  }
}

const changesOf = (sql: SqlStorage): unknown => sql.exec("SELECT total_changes() AS n").one()["n"];

/** What a write leaves: no one of these shows all of them. `DROP TABLE`, for instance, shows in the schema alone. */
function traceOf(sql: SqlStorage): string {
  return JSON.stringify([changesOf(sql), [...sql.exec("SELECT rowid, type, name, tbl_name, rootpage, sql FROM sqlite_schema").raw()]]);
}

function left(sql: SqlStorage, before: string, outcome: Outcome): boolean {
  return (outcome.result === "rows" && outcome.rowsWritten > 0) || traceOf(sql) !== before;
}

function answerOf(sql: SqlStorage, prepared: Prepared, maxRows: number): Outcome {
  const changes = changesOf(sql);
  // Only what wrote nothing can be run a second time, to ask for the types of its values.
  let repeats: boolean | undefined;
  const needsTypes = (row: Row): boolean => prepared.isQuery && row.some(mayBeEither) && (repeats ??= changesOf(sql) === changes);
  const taken = take(sql, prepared.sql, prepared.values, maxRows, needsTypes);
  if (taken.needsTypes) {
    const again = take(sql, typedForm(prepared.sql, taken.columns.length, maxRows), prepared.values, maxRows);
    return answer({ ...again, columns: taken.columns }, typed);
  }
  if (taken.rows.some((row) => row.some(mayBeInexact))) throw failed(INEXACT);
  const mayHaveWritten = !prepared.isQuery || changesOf(sql) !== changes;
  if (mayHaveWritten && run(() => breaksDeferredKey(readerOf(sql)))) throw failed("FOREIGN KEY constraint failed");
  return answer(taken, plain);
}

interface Taken {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly truncated: boolean;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  /** The reading ended at a row that must be read in another form. */
  readonly needsTypes: boolean;
}

function take(sql: SqlStorage, text: string, values: Prepared["values"], maxRows: number, isEnough = (_: Row): boolean => false): Taken {
  return run(() =>
    withCursor(sql, text, values, (cursor) => {
      const rows: Row[] = [];
      let [bytes, truncated, needsTypes] = [0, false, false];
      for (const row of cursor.raw()) {
        bytes += row.reduce<number>((sum, value) => sum + sizeOf(value), 0);
        if (rows.length === 0 && bytes > MAX_ANSWER_BYTES) {
          throw failed(`One row is larger than ${MAX_ANSWER_BYTES} bytes; ask for fewer columns, or for parts of them with substr().`);
        }
        truncated = rows.length >= maxRows || bytes > MAX_ANSWER_BYTES;
        needsTypes = !truncated && isEnough(row);
        if (truncated || needsTypes) break;
        rows.push(row);
        if (cursor.rowsRead > MAX_ROWS_READ) {
          throw failed(`The statement read more than ${MAX_ROWS_READ} rows; an index or a narrower WHERE helps.`);
        }
      }
      const { columnNames: columns, rowsRead, rowsWritten } = cursor;
      return { columns, rows, truncated, rowsRead, rowsWritten, needsTypes };
    }),
  );
}

function answer({ columns, rows, truncated, rowsRead, rowsWritten }: Taken, form: (value: SqlStorageValue) => WireValue): Outcome {
  return { result: "rows", columns, rows: rows.map((row) => row.map(form)), truncated, rowsRead, rowsWritten };
}

const INEXACT =
  "The result holds whole numbers beyond 2^53, which only a SELECT can give exactly; write CAST(… AS TEXT) for such a column.";

/** What SQLite found wrong it quotes whole, however long it is. */
const MAX_MESSAGE_CHARACTERS = 500;

/** SQLite's own words, without what the platform adds: where in a text that is not the caller's, and numbers of its own. */
export function sqliteMessage(error: Error): string {
  const words = error.message.replace(/(: SQLITE_\w+)?( \(extended: \w+\))?$/u, "").replace(/ at offset \d+$/u, "");
  return words.length > MAX_MESSAGE_CHARACTERS ? `${words.slice(0, MAX_MESSAGE_CHARACTERS).toWellFormed()}…` : words;
}

/** Faults of the platform, not of the statement. */
const INTERNAL = /SQLITE_(IOERR|CORRUPT|NOTADB|CANTOPEN|INTERNAL|MISUSE|NOMEM|PROTOCOL)|^internal error/u;

/** Whether SQLite complains of what it was asked, and not the platform of itself. */
export const isComplaint = (error: unknown): error is Error =>
  error instanceof Error && /SQLITE_/u.test(error.message) && !INTERNAL.test(error.message);

/** Runs SQL; what SQLite complains of becomes an outcome. */
function run<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof GivenUp || INTERNAL.test(error.message)) throw error;
    if (/SQLITE_FULL/u.test(error.message)) throw failed("The database is full: it may hold 10 GB.");
    throw failed(sqliteMessage(error));
  }
}
