/** Reading rows through a cursor of the platform, and leaving it as nobody finds it open. */
import type { ReadRows } from "./reader.ts";

export function readerOf(sql: SqlStorage): ReadRows {
  return (text, visit) => {
    const cursor = sql.exec(text);
    for (const row of cursor.raw()) {
      if (!visit(row)) {
        close(cursor);
        return;
      }
    }
  };
}

/**
 * A cursor that still has rows keeps its tables locked against DROP and ALTER until it is collected, and has no method that ends it. Asked
 * for its only row while there are more it complains, and is ended by that.
 */
export function close<Row extends Record<string, SqlStorageValue>>(cursor: SqlStorageCursor<Row>): void {
  for (;;) {
    try {
      cursor.one();
    } catch {
      return;
    }
  }
}
