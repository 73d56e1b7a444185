/** Statements that must not write. SQLite's effects decide, not the text of the statement. */
import { beforeEach, describe, expect, test } from "vitest";
import { freshStart } from "../support/worker.ts";
import type { QueryRows } from "../../worker/src/tenant-database/index.ts";
import { ask, asPart, objectOf, run } from "./support.ts";

const SMUGGLED = [
  "CREATE VIRTUAL TABLE q USING rtree(id #b('), a, b); DELETE FROM victim; --')",
  "CREATE VIRTUAL TABLE q USING rtree(id $b('), a, b); DELETE FROM victim; --')",
  "CREATE VIRTUAL TABLE q USING rtree(id @b('), a, b); DELETE FROM victim; --')",
  "CREATE VIRTUAL TABLE q USING rtree(id :b('), a, b); DELETE FROM victim; --')",
  "CREATE VIRTUAL TABLE q USING rtree(id $b::c('), a, b); DELETE FROM victim; --')",
  'CREATE VIRTUAL TABLE q USING rtree(id #b("), a, b); DELETE FROM victim; --")',
  "CREATE VIRTUAL TABLE q USING rtree(id #b([), a, b); DELETE FROM victim; --])",
  "CREATE VIRTUAL TABLE q USING rtree(id #b(`), a, b); DELETE FROM victim; --`)",
  "CREATE VIRTUAL TABLE q USING rtree(id #b(/*), a, b); DELETE FROM victim; --*/)",
  "CREATE VIRTUAL TABLE q USING rtree(id #b(--), a, b); DELETE FROM victim;\n)",
  "CREATE VIRTUAL TABLE q USING rtree(id #b('), a, b); PRAGMA foreign_keys=OFF; --')",
  "CREATE VIRTUAL TABLE q USING rtree(id #b('), a, b); SELECT 1; --')",
  "EXPLAIN CREATE VIRTUAL TABLE q USING rtree(id #b('), a, b); DELETE FROM victim; --')",
  "SELECT 1 /* ' */; DELETE FROM victim -- '",
  "SELECT 1 -- '\n; DELETE FROM victim -- '",
  "SELECT 1 -- '\r; DELETE FROM victim -- '\n; DELETE FROM victim",
  "SELECT x'0'; DELETE FROM victim --'",
  "SELECT 1 /*/ ; DELETE FROM victim /*/ ; DELETE FROM victim",
  "CREATE TRIGGER t AFTER INSERT ON victim BEGIN SELECT 1; END; DELETE FROM victim; END",
  "SELECT 'never closed; DELETE FROM victim",
  'SELECT "never closed; DELETE FROM victim',
  "SELECT `never closed; DELETE FROM victim",
  "SELECT [never closed; DELETE FROM victim",
  "SELECT 1 \v; DELETE FROM victim",
  "\uFEFFDELETE FROM victim; SELECT 1",
];

beforeEach(async () => {
  await freshStart();
  await run("shop", "CREATE TABLE victim(x)", "INSERT INTO victim VALUES (1)");
});

const victims = async (): Promise<unknown> => ask("shop", "SELECT count(*) FROM victim, (SELECT count(*) AS objects FROM sqlite_schema)");

describe("one request cannot contain a second statement", () => {
  test.each(SMUGGLED)("%j", async (sql) => {
    const before = await ask("shop", "SELECT name FROM sqlite_schema");
    for (const readOnly of [true, false]) {
      expect(["refused", "failed"]).toContain((await ask("shop", sql, { readOnly })).result);
    }
    expect(await ask("shop", "SELECT name FROM sqlite_schema")).toEqual(before);
    expect(await victims()).toMatchObject({ rows: [[1]] });
    expect(await ask("shop", "SELECT 'a' LIKE 'A'")).toMatchObject({ rows: [[1]] });
  });

  test.each(SMUGGLED)("a backup in progress does not change: %j", async (sql) => {
    await objectOf("shop").freeze("dump");
    const first = asPart(await objectOf("shop").dumpPart({ freeze: "dump", mode: "full", cursor: null }));
    for (const readOnly of [true, false]) await ask("shop", sql, { readOnly });
    expect(await objectOf("shop").dumpPart({ freeze: "dump", mode: "full", cursor: null })).toEqual(first);
  });
});

const rowsOf = (answers: readonly unknown[]): unknown[] => answers.map((answer) => (answer as QueryRows).rows);

/** Writes of all kinds. No single trace shows all of them. */
const WRITES = [
  "DROP TABLE victim",
  "CREATE TABLE more(x)",
  "CREATE TABLE more AS SELECT 1",
  "CREATE VIRTUAL TABLE words USING fts5(x)",
  "CREATE VIRTUAL TABLE boxes USING rtree(id, a, b)",
  "CREATE VIEW seen AS SELECT 1",
  "CREATE TRIGGER then_what AFTER INSERT ON victim BEGIN SELECT 1; END",
  "CREATE INDEX by_x ON victim(x)",
  "ALTER TABLE victim RENAME TO other",
  "ALTER TABLE victim RENAME COLUMN x TO y",
  "ALTER TABLE victim ADD COLUMN y",
  "DELETE FROM victim",
  "UPDATE victim SET x = x",
  "INSERT INTO victim VALUES (2) RETURNING x",
  "WITH n AS (SELECT 2) INSERT INTO victim SELECT * FROM n RETURNING *",
  "REPLACE INTO victim VALUES (2)",
  "ANALYZE",
  "REINDEX",
];

describe.each(WRITES)("%s", (sql) => {
  beforeEach(async () => run("shop", "CREATE UNIQUE INDEX once ON victim(x)"));
  const everything = async (): Promise<unknown[]> => [
    await ask("shop", "SELECT * FROM victim"),
    await ask("shop", "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'"),
  ];

  test("is refused with read_only, and changes nothing", async () => {
    const before = await everything();
    expect(await ask("shop", sql, { readOnly: true })).toEqual({
      result: "refused",
      path: "sql",
      message: "must not write, because `read_only` is true",
    });
    expect(await everything()).toEqual(before);
  });

  test("is refused during a backup, and changes nothing", async () => {
    const before = await everything();
    await objectOf("shop").freeze("dump");
    expect(await ask("shop", sql)).toMatchObject({ result: "busy", why: "frozen" });
    expect(rowsOf(await everything())).toEqual(rowsOf(before));
    await objectOf("shop").thaw("dump");
    expect(await ask("shop", sql)).toMatchObject({ result: "rows" });
  });

  test("is not executed by EXPLAIN", async () => {
    const before = await everything();
    expect(await ask("shop", `EXPLAIN ${sql}`)).toMatchObject({ result: "rows" });
    expect(await ask("shop", `EXPLAIN QUERY PLAN ${sql}`)).toMatchObject({ result: "rows" });
    expect(await everything()).toEqual(before);
  });
});

describe("a statement that would end the platform's transaction is refused, and the database still answers", () => {
  test.each([
    "INSERT OR ROLLBACK INTO victim VALUES (1)",
    "insert /* */ or\nrollback into victim values (1)",
    "UPDATE OR ROLLBACK victim SET x = 1",
    "CREATE TABLE t(x UNIQUE ON CONFLICT ROLLBACK)",
    "CREATE TABLE t(x NOT NULL ON CONFLICT/**/ROLLBACK)",
    "CREATE TABLE t(x, PRIMARY KEY (x) ON CONFLICT ROLLBACK)",
    "CREATE TRIGGER t BEFORE INSERT ON victim BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    "CREATE TRIGGER t BEFORE INSERT ON victim BEGIN INSERT OR ROLLBACK INTO victim VALUES (1); END",
    "WITH a AS (SELECT 1) INSERT OR ROLLBACK INTO victim SELECT * FROM a",
    "EXPLAIN INSERT OR ROLLBACK INTO victim VALUES (1)",
  ])("%s", async (sql) => {
    expect(await ask("shop", sql)).toMatchObject({ result: "refused", message: expect.stringContaining("ROLLBACK") as string });
    expect(await objectOf("shop").migrate(1, [sql])).toMatchObject({
      result: "failed",
      message: expect.stringContaining("ROLLBACK") as string,
    });
    await objectOf("copy").beginImport("job");
    for (const isLines of [false, true]) {
      expect(await objectOf("copy").importPart("job", 0, `${sql};\n`, isLines)).toMatchObject({ result: "failed" });
    }
    expect(await victims()).toMatchObject({ rows: [[1]] });
  });

  test.each([
    "SELECT 1 OR rollback FROM (SELECT 1 AS rollback)",
    "SELECT 'OR ROLLBACK', \"rollback\" FROM (SELECT 1 AS rollback)",
    "INSERT OR ABORT INTO victim VALUES (2)",
  ])("%s is allowed", async (sql) => {
    expect(await ask("shop", sql)).toMatchObject({ result: "rows" });
  });
});

test("a write to a view by WITH … RETURNING returns its rows, also if its trigger changes nothing", async () => {
  await run("shop", "CREATE VIEW seen AS SELECT x FROM victim", "CREATE TRIGGER g INSTEAD OF UPDATE ON seen BEGIN SELECT 1; END");
  const sql = "WITH replace AS (SELECT 5) UPDATE seen SET x = 7 RETURNING x";
  expect(await ask("shop", sql)).toMatchObject({ result: "rows", rows: [[7]] });
  expect(await ask("shop", "WITH replace AS (SELECT 5.0) SELECT * FROM replace")).toMatchObject({ rows: [[{ $real: "5.0" }]] });
});

describe("a name that no backup would hold is refused:", () => {
  test.each([
    "CREATE TABLE __miniflare_do_name(x)",
    'CREATE VIEW "__MINIFLARE_do_name" AS SELECT 1',
    "CREATE VIRTUAL TABLE [__miniflare_do_name] USING rtree(id, a, b)",
    "ALTER TABLE victim RENAME TO '__miniflare_do_name'",
  ])("%s", async (sql) => {
    expect(await ask("shop", sql)).toMatchObject({ result: "refused", message: expect.stringContaining("is reserved") as string });
    expect(await objectOf("shop").migrate(1, [sql])).toMatchObject({ result: "failed" });
  });

  test.each(["CREATE TABLE _cf_x(x)", "ALTER TABLE victim RENAME TO _cf_x", "CREATE VIRTUAL TABLE _cf_x USING fts5(x)"])(
    "%s",
    async (sql) => {
      expect(await ask("shop", sql)).toMatchObject({ result: "failed", message: "not authorized" });
    },
  );
});

test("a migration that fails after creating a full-text table leaves nothing, and returns the reason", async () => {
  const statements = ["CREATE VIRTUAL TABLE words USING fts5(x)", "INSERT INTO words VALUES ('one')", "INSERT INTO nowhere VALUES (1)"];
  expect(await objectOf("shop").migrate(1, statements)).toEqual({ result: "failed", message: "no such table: nowhere" });
  expect(await ask("shop", "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'words%'")).toMatchObject({ rows: [] });
  expect(await objectOf("shop").migrate(1, statements.slice(0, 2))).toMatchObject({ result: "migrated" });
});

describe("a deferred foreign key", () => {
  test("is checked if a table declares one, not if a word looks like it", async () => {
    await run("shop", "CREATE TABLE notes(deferred_until, text DEFAULT 'INITIALLY DEFERRED')", "CREATE TABLE p(id INTEGER PRIMARY KEY)");
    await run("shop", "CREATE TABLE c(p REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)");
    expect(await ask("shop", "INSERT INTO c VALUES (7)")).toEqual({ result: "failed", message: "FOREIGN KEY constraint failed" });
    await run("shop", "INSERT INTO p VALUES (7)", "INSERT INTO c VALUES (7)");
    expect(await ask("shop", "DROP TABLE p")).toEqual({ result: "failed", message: "FOREIGN KEY constraint failed" });
    expect(await ask("shop", "SELECT count(*) FROM c, p")).toMatchObject({ rows: [[1]] });
  });

  test("can be declared before the index of its parent", async () => {
    await run(
      "shop",
      "CREATE TABLE posts(author TEXT REFERENCES users(email) DEFERRABLE INITIALLY DEFERRED)",
      "CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT)",
      "CREATE UNIQUE INDEX by_email ON users(email)",
      "INSERT INTO users VALUES (1, 'a')",
      "INSERT INTO posts VALUES ('a')",
    );
    expect(await ask("shop", "INSERT INTO posts VALUES ('b')")).toMatchObject({ result: "failed" });
  });
});
