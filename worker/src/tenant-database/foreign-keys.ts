/** Foreign key violations that SQLite finds in a database. */
import { statementsIn } from "./lexer.ts";
import { quoteName } from "./literals.ts";
import type { ReadRows } from "./reader.ts";
import { wordOf } from "./tokens.ts";

/**
 * The number of rows in a table whose parent does not exist. 0 if SQLite reports that a key cannot match its parent table, because SQLite
 * then refuses each row with such a key.
 */
export function orphansIn(read: ReadRows, table: string): number {
  let found = 0;
  try {
    read(`PRAGMA foreign_key_check(${quoteName(table)})`, () => (found += 1) > 0);
    return found;
  } catch (error) {
    if (error instanceof Error && error.message.includes("foreign key mismatch")) return 0;
    throw error;
  }
}

/**
 * Whether a deferred key is violated. SQLite checks it at the commit, which happens after the answer. A failed commit would reset the
 * object.
 */
export function breaksDeferredKey(read: ReadRows): boolean {
  const tables: string[] = [];
  read("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND instr(upper(sql), 'DEFERR')", ([name, sql]) => {
    if (isDeferred(String(sql))) tables.push(String(name));
    return true;
  });
  return tables.some((table) => orphansIn(read, table) > 0);
}

const isDeferred = (sql: string): boolean =>
  statementsIn(sql).some(({ tokens }) =>
    tokens.some((token, index) => wordOf(token) === "INITIALLY" && wordOf(tokens[index + 1]) === "DEFERRED"),
  );
