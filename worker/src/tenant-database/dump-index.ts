/** Dumps a full-text index of another table's text. The copy indexes exactly the same rows. */
import type { IndexRows } from "./catalog.ts";
import type { RowsPosition } from "./dump-rows.ts";
import { quoteName } from "./literals.ts";
import type { ReadRows } from "./reader.ts";
import { lineName } from "./schema-text.ts";
import { Undumpable } from "./undumpable.ts";

const ROWS_PER_STATEMENT = 1_000;

const sizesOf = (table: string): string => `SELECT t.id FROM ${quoteName(`${table}_docsize`)} AS t`;
const contentOf = ({ content }: IndexRows): string => `SELECT t.${quoteName(content.rowid)} FROM ${quoteName(content.table)} AS t`;

function exists(read: ReadRows, sql: string): boolean {
  let found = false;
  read(sql, () => !(found = true));
  return found;
}

/**
 * Throws `Undumpable` if the copy would index other text. An index of some rows only is not compared with their text, because SQLite
 * compares all rows. The caller must roll back the transaction.
 */
export function expectContent(read: ReadRows, index: IndexRows): void {
  const { table, columns, content } = index;
  const name = quoteName(table);
  // For example, SQLite names a missing column here. The comparison only reports an error.
  exists(
    read,
    `SELECT ${[content.rowid, ...columns].map((each) => `t.${quoteName(each)}`).join(",")} FROM ${quoteName(content.table)} AS t LIMIT 1`,
  );
  const isGone = content.hasSizes && exists(read, `${sizesOf(table)} EXCEPT ${contentOf(index)} LIMIT 1`);
  if (!isGone && (!coversAllRows(read, index) || isIntact(read, name))) return;
  const reason = isGone ? "has rows that no longer exist in" : "does not match the text of";
  throw new Undumpable(
    `The full-text table ${name} ${reason} ${quoteName(content.table)}. To fix it, run INSERT INTO ${name}(${name}) VALUES('rebuild').`,
  );
}

const coversAllRows = (read: ReadRows, index: IndexRows): boolean =>
  !index.content.hasSizes || !exists(read, `${contentOf(index)} EXCEPT ${sizesOf(index.table)} LIMIT 1`);

/** Whether an index matches the text of all rows. */
function isIntact(read: ReadRows, name: string): boolean {
  try {
    read(`INSERT INTO ${name}(${name}, rank) VALUES('integrity-check', 1)`, () => true);
    return true;
  } catch (error) {
    if (error instanceof Error && /malformed|corrupt|mismatch/iu.test(error.message)) return false;
    throw error;
  }
}

/** Passes each statement and the position after it to `take`, until `take` returns false. True: the index is complete. */
export function readIndex(
  read: ReadRows,
  index: IndexRows,
  from: RowsPosition,
  take: (sql: string, after: RowsPosition) => boolean,
): boolean {
  const { table, columns, content } = index;
  const name = lineName(table);
  if (coversAllRows(read, index)) {
    take(`INSERT INTO ${name}(${name}) VALUES('rebuild')`, from);
    return true;
  }
  const source = lineName(content.table);
  const [rowid, ...cells] = [content.rowid, ...columns].map((column) => `t.${lineName(column)}`);
  const into = `INSERT INTO ${name}(rowid,${columns.map(lineName).join(",")}) SELECT ${[rowid, ...cells].join(",")} FROM ${source} AS t`;
  let ids: string[] = [];
  let { rows } = from;
  let stopped = false;
  const flush = (): void => {
    if (ids.length === 0 || stopped) return;
    rows += ids.length;
    stopped = !take(`${into} WHERE ${rowid} IN (${ids.join(",")}) ORDER BY ${rowid}`, { key: ids.at(-1) ?? null, rows });
    ids = [];
  };
  const after = from.key === null ? "" : ` WHERE t.id > ${from.key}`;
  read(`SELECT CAST(t.id AS TEXT) FROM ${quoteName(`${table}_docsize`)} AS t${after} ORDER BY t.id`, ([id]) => {
    ids.push(String(id));
    if (ids.length >= ROWS_PER_STATEMENT) flush();
    return !stopped;
  });
  flush();
  return !stopped;
}
