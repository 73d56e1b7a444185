/** Reads rows with the platform's cursors. Each cursor is closed before its transaction ends: an open one would reset the object. */
import type { ReadRows } from "./reader.ts";

export function readerOf(sql: SqlStorage): ReadRows {
  return (text, visit) =>
    withCursor(sql, text, [], (cursor) => {
      for (const row of cursor.raw()) {
        if (!visit(row)) return;
      }
    });
}

export type Cursor = SqlStorageCursor<Record<string, SqlStorageValue>>;

export function withCursor<Result>(
  sql: SqlStorage,
  text: string,
  values: readonly (string | number | null | ArrayBuffer)[],
  use: (cursor: Cursor) => Result,
): Result {
  const cursor = sql.exec(text, ...values);
  try {
    return use(cursor);
  } finally {
    close(cursor);
  }
}

/**
 * A cursor with remaining rows locks its tables against DROP and ALTER until it is collected, and it has no method to close it. `one` throws
 * on a cursor with more than one row, and closes it.
 */
function close(cursor: Cursor): void {
  for (;;) {
    try {
      cursor.one();
    } catch {
      return;
    }
  }
}

/** Runs `work` in a transaction, rolls it back, and returns the result. Errors of `work` are thrown. */
export function rolledBack<Result>(storage: DurableObjectStorage, work: () => Result): Result {
  const rollback = new Error("rolled back on purpose");
  let result: { readonly of: Result } | undefined;
  try {
    storage.transactionSync(() => {
      result = { of: work() };
      throw rollback;
    });
  } catch (error) {
    if (error !== rollback || result === undefined) throw error;
  }
  if (result === undefined) throw new Error("A transaction that must throw did not throw");
  return result.of;
}
