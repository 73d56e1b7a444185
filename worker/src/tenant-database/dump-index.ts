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

/** Throws `Undumpable` if the index has rows whose text no longer exists. */
export function expectContent(read: ReadRows, index: IndexRows): void {
  const { table, content } = index;
  if (!content.hasSizes || !exists(read, `${sizesOf(table)} LIMIT 1`)) return;
  if (!exists(read, `${sizesOf(table)} EXCEPT ${contentOf(index)} LIMIT 1`)) return;
  throw new Undumpable(
    `The full-text table ${quoteName(table)} has rows that no longer exist in ${quoteName(content.table)}. To fix it, run INSERT INTO ${quoteName(table)}(${quoteName(table)}) VALUES('rebuild').`,
  );
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
  const coversAllRows = !content.hasSizes || !exists(read, `${contentOf(index)} EXCEPT ${sizesOf(table)} LIMIT 1`);
  if (coversAllRows) {
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
