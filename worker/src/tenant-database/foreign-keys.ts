/** Foreign keys as they stand in a database: what SQLite itself finds wrong with them. */
import { statementsIn } from "./lexer.ts";
import { quoteName } from "./literals.ts";
import type { ReadRows } from "./reader.ts";
import { wordOf } from "./tokens.ts";

/**
 * Rows of a table whose parent does not exist. 0 also where SQLite says that a key matches nothing that could be a parent: it refuses each
 * row that such a key would have to check.
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
 * Whether a key is broken that SQLite looks at only when the transaction commits. The platform commits after the answer, and a failure
 * then costs the whole object.
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
