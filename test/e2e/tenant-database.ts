import { beforeAll, expect, test } from "vitest";
import { sharedProduct } from "../support/node/product.ts";
import type { DatabaseObject, DatabasePart, Product } from "../support/node/product.ts";
import { SOAK } from "../support/node/soak.ts";
import { content, open, survey } from "../support/node/sqlite.ts";
import { LONG_ROWS, TRAP_ROWS, TRAP_SCHEMA } from "../tenant-database/traps.ts";

const MANY_ROWS = [
  "CREATE TABLE numbers(id INTEGER PRIMARY KEY, n, t TEXT, r REAL, b BLOB)",
  `WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${SOAK ? 20_000 : 2_000})
   INSERT INTO numbers SELECT i, 9007199254740992 + i, 'row ' || i || ' é', i / 7.0, CAST(i AS BLOB) FROM n`,
];
const EVERYTHING = [...TRAP_SCHEMA, ...TRAP_ROWS, ...LONG_ROWS, ...MANY_ROWS];

let product: Product;
let database: DatabaseObject;
/** A whole dump. */
let parts: readonly DatabasePart[];

beforeAll(async () => {
  product = await sharedProduct();
  database = await product.database("traps");
  for (const sql of EVERYTHING) {
    const { result, message } = await database.query({ sql, params: [], readOnly: false, maxRows: 1 });
    if (result !== "rows") throw new Error(`${message ?? result}: ${sql.slice(0, 200)}`);
  }
  parts = await read(null);
});

/** Reads parts from the cursor to the end, at most `most`. */
async function read(cursor: string | null, most = Infinity, from = database): Promise<DatabasePart[]> {
  await from.freeze("job");
  const parts: DatabasePart[] = [];
  let next = cursor;
  do {
    const part = await from.dumpPart({ freeze: "job", mode: "full", cursor: next, maxBytes: 500_000 });
    if (part.result !== "part") throw new Error(part.result);
    parts.push(part);
    ({ next } = part);
  } while (next !== null && parts.length < most);
  return parts;
}

const textOf = (parts: readonly DatabasePart[]): string => parts.map(({ sql }) => sql).join("");

test("a dump of the built product loads into another SQLite with the same content", () => {
  const [loaded, original] = [open([textOf(parts)]), open(EVERYTHING)];
  expect(content(loaded)).toEqual(content(original));
  expect(survey(loaded)).toEqual(survey(original));
  expect(loaded.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
});

test("a dump loads into an empty database of the product", async () => {
  const copy = await product.database("copy");
  expect(await copy.beginImport("job")).toEqual({ result: "ready", pieces: 0 });
  for (const [piece, { sql }] of parts.entries()) {
    expect(await copy.importPart("job", piece, sql, true)).toEqual({ result: "ready", pieces: piece + 1 });
  }
  await copy.finishImport("job", 0);
  expect(textOf(await read(null, Infinity, copy))).toBe(textOf(parts));
});

test("an interrupted dump continues from its cursor with the same bytes", async () => {
  const half = await read(null, 3);
  const rest = await read(half.at(-1)?.next ?? null);
  expect(textOf([...half, ...rest])).toBe(textOf(parts));
  await database.thaw("job");
});
