/** Random texts as statements. Texts that must not write change nothing, and the database answers after each text. */
import { env } from "cloudflare:workers";
import { array, assert, asyncProperty, constantFrom, oneof, tuple } from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { freshStart } from "../support/worker.ts";
import { ask, asPart, objectOf, run, survey } from "./support.ts";

const TEXTS = env.TEST_SOAK === "true" ? 10_000 : 250;

const WRITES = [
  "INSERT INTO t VALUES (7, 'x')",
  "INSERT INTO words VALUES ('apple')",
  "INSERT INTO words(words) VALUES ('optimize')",
  "INSERT INTO words(words) VALUES ('rebuild')",
  "INSERT INTO words(words, rank) VALUES ('rank', 'bm25(9.0)')",
  "INSERT INTO boxes VALUES (7, 1, 2)",
  "UPDATE t SET b = a RETURNING *",
  "DELETE FROM t",
  "DROP TABLE t",
  "DROP TABLE words",
  "CREATE TABLE u(x)",
  "CREATE VIRTUAL TABLE u USING fts5(x)",
  "CREATE VIRTUAL TABLE u USING rtree(id, a, b)",
  "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END",
  "ALTER TABLE t ADD COLUMN z",
  "REINDEX",
  "ANALYZE",
  "PRAGMA foreign_keys=OFF",
  "PRAGMA case_sensitive_like(1)",
  "BEGIN",
  "COMMIT",
  "SAVEPOINT s",
  "ROLLBACK",
  "INSERT OR ROLLBACK INTO t VALUES (1, 1)",
];
const READS = [
  "SELECT * FROM t",
  "SELECT 1",
  "VALUES (1), (2.0)",
  "SELECT * FROM words('apple')",
  "WITH c AS (SELECT 1) SELECT * FROM c",
  "PRAGMA quick_check",
];
const GLUE = [
  ";",
  " ",
  "\n",
  "\r",
  "\r\n",
  "\t",
  "\v",
  "\f",
  "--",
  "/*",
  "*/",
  "'",
  '"',
  "`",
  "[",
  "]",
  "(",
  ")",
  "#b('",
  "$b('",
  "@b('",
  ":b('",
  "#b(",
  "')",
  "x'",
  "EXPLAIN ",
  "EXPLAIN QUERY PLAN ",
  "\uFEFF",
  "; --",
  ";--')",
  "END;",
  "BEGIN",
  "CREATE VIRTUAL TABLE q USING rtree(id #b('), a, b);",
  "CREATE TRIGGER h AFTER INSERT ON t BEGIN SELECT 1;",
];
const text = tuple(
  array(constantFrom(...GLUE), { maxLength: 2 }),
  array(tuple(oneof(constantFrom(...WRITES), constantFrom(...READS)), array(constantFrom(...GLUE), { maxLength: 3 })), {
    minLength: 1,
    maxLength: 3,
  }),
).map(([before, rest]) => [...before, ...rest.flatMap(([sql, after]) => [sql, ...after])].join(""));

beforeEach(async () => {
  await freshStart();
  await run(
    "shop",
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
    "CREATE UNIQUE INDEX one ON t(b)",
    "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    "CREATE VIRTUAL TABLE words USING fts5(w)",
    "INSERT INTO words VALUES ('apple'), ('pear')",
    "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)",
    "INSERT INTO boxes VALUES (1, 1, 2)",
  );
});

const settings = async (): Promise<unknown> => ask("shop", "SELECT 'a' LIKE 'A', (SELECT count(*) FROM pragma_foreign_key_check)");

describe("a random text", () => {
  test("changes nothing with read_only, and the database answers after each", { timeout: 3_600_000 }, async () => {
    const before = await survey("shop", "look");
    await objectOf("shop").thaw("look");
    const set = await settings();
    let nth = 0;
    const look = async (): Promise<void> => {
      expect(await survey("shop", "look")).toEqual(before);
      await objectOf("shop").thaw("look");
      expect(await settings()).toEqual(set);
    };
    await assert(
      asyncProperty(text, async (sql) => {
        expect(["rows", "refused", "failed"]).toContain((await ask("shop", sql, { readOnly: true })).result);
        nth += 1;
        if (nth % 25 === 0) await look();
      }),
      { numRuns: TEXTS, seed: 17, endOnFailure: true },
    );
    await look();
  });

  test("changes nothing during a backup", { timeout: 3_600_000 }, async () => {
    await objectOf("shop").freeze("dump");
    const read = async () => asPart(await objectOf("shop").dumpPart({ freeze: "dump", mode: "full", cursor: null }));
    const before = await read();
    const look = async (): Promise<void> => expect(await read()).toEqual(before);
    let nth = 0;
    await assert(
      asyncProperty(text, async (sql) => {
        expect(["rows", "refused", "failed", "busy"]).toContain((await ask("shop", sql)).result);
        nth += 1;
        if (nth % 25 === 0) await look();
      }),
      { numRuns: TEXTS, seed: 18, endOnFailure: true },
    );
    await look();
  });

  test("that may write leaves a database that answers", { timeout: 3_600_000 }, async () => {
    await assert(
      asyncProperty(text, async (sql) => {
        expect(["rows", "refused", "failed"]).toContain((await ask("shop", sql)).result);
        expect(await ask("shop", "SELECT 1")).toMatchObject({ result: "rows" });
      }),
      { numRuns: TEXTS, seed: 19, endOnFailure: true },
    );
  });
});
