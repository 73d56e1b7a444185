/** Reading rows through a cursor of the platform. Each is closed before its transaction ends: one left open would cost the whole object. */
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
 * A cursor that still has rows keeps its tables locked against DROP and ALTER until it is collected, and has no method that ends it. Asked
 * for its only row while there are more it complains, and is ended by that.
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

/** Does something of which nothing stays, and hands back what came of it. What it throws is thrown. */
export function rolledBack<Result>(storage: DurableObjectStorage, work: () => Result): Result {
  const undo = new Error("undone on purpose");
  let result: { readonly of: Result } | undefined;
  try {
    storage.transactionSync(() => {
      result = { of: work() };
      throw undo;
    });
  } catch (error) {
    if (error !== undo || result === undefined) throw error;
  }
  if (result === undefined) throw new Error("A transaction that always ends with a throw did not");
  return result.of;
}
