import { beforeEach, describe, expect, test } from "vitest";
import { freshStart } from "../support/worker.ts";
import { makeOrganization, makeProject } from "../support/tenants/http.ts";
import { errorOf, query, rowsOf, run, unprocessable } from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});

describe("a query", () => {
  test("returns its rows and its cost", async () => {
    await query("CREATE TABLE books(id INTEGER PRIMARY KEY, title TEXT)");
    expect((await query("INSERT INTO books(title) VALUES (?), (?)", { params: ["Dune", "Emma"] })).body).toMatchObject({
      columns: [],
      rows: [],
      rows_written: 2,
    });
    const { status, body } = await query("SELECT id, title FROM books ORDER BY id");
    expect(status).toBe(200);
    expect(body).toEqual({
      columns: ["id", "title"],
      rows: [
        [1, "Dune"],
        [2, "Emma"],
      ],
      row_count: 2,
      truncated: false,
      rows_read: 2,
      rows_written: 0,
      duration_ms: expect.any(Number),
      // Number of the schema version that provisioning applied. Its value does not matter here.
      schema_version: expect.any(Number),
    });
  });

  test("returns two columns with the same name", async () => {
    expect((await query("SELECT 1 AS id, 2 AS id")).body).toMatchObject({ columns: ["id", "id"], rows: [[1, 2]] });
  });

  test("does not see the database of another project", async () => {
    await makeProject("other");
    await run("other", "CREATE TABLE secret(x)");
    expect(await errorOf("SELECT * FROM secret")).toEqual(unprocessable("sql", "failed: no such table: secret"));
  });

  test("of a missing project is 404", async () => {
    const { post } = await import("../support/worker.ts");
    expect((await post("/api/projects/missing/database/query", { sql: "SELECT 1" })).status).toBe(404);
  });
});

describe("limits", () => {
  const MANY = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT i FROM n";

  test.each([
    [undefined, 1_000],
    [1, 1],
    [10_000, 10_000],
  ])("max_rows %s returns %i rows", async (max_rows, expected) => {
    const { body } = await query(MANY, max_rows === undefined ? {} : { max_rows });
    expect({ row_count: body.row_count, truncated: body.truncated, last: body.rows.at(-1) }).toEqual({
      row_count: expected,
      truncated: true,
      last: [expected],
    });
  });

  test("a result of exactly max_rows rows is not truncated", async () => {
    expect((await query("VALUES (1), (2)", { max_rows: 2 })).body).toMatchObject({ row_count: 2, truncated: false });
  });

  test("a result has rows of at most 4 MiB, and leaves no lock on the table", async () => {
    await run(
      "shop",
      "CREATE TABLE t(x)",
      `INSERT INTO t ${MANY.replace("20000", "8").replace("SELECT i FROM", "SELECT hex(zeroblob(500000)) FROM")}`,
    );
    const { body } = await query("SELECT x FROM t");
    expect({ row_count: body.row_count, truncated: body.truncated }).toEqual({ row_count: 4, truncated: true });
    expect(await rowsOf("DROP TABLE t")).toEqual([]);
  });

  test("a statement that reads too many rows fails, and leaves no lock on the table", async () => {
    await run("shop", "CREATE TABLE t(x INTEGER PRIMARY KEY)", `INSERT INTO t ${MANY.replace("20000", "3000")}`);
    const rare = "SELECT a.x FROM t a, t b WHERE (a.x * 3000 + b.x) % 1000000 = 0";
    expect(await errorOf(rare)).toEqual(unprocessable("sql", expect.stringContaining("more than 5000000 rows")));
    expect(await rowsOf(`${rare} AND a.x < 1000`)).toHaveLength(3);
    expect(await rowsOf("DROP TABLE t")).toEqual([]);
  });

  test("max_rows truncates the rows of a RETURNING clause, but not the write", async () => {
    await run("shop", "CREATE TABLE t(x)");
    expect((await query("INSERT INTO t VALUES (1), (2), (3) RETURNING x", { max_rows: 1 })).body).toMatchObject({
      rows: [[1]],
      truncated: true,
    });
    expect(await rowsOf("SELECT count(*) FROM t")).toEqual([[3]]);
  });

  test("a row above the limit of bytes is an error", async () => {
    expect(await errorOf("SELECT zeroblob(3500000)")).toEqual(unprocessable("sql", expect.stringContaining("One row is larger")));
  });

  test.each([0, 10_001, 1.5])("max_rows %d is 400", async (max_rows) => {
    expect((await query("SELECT 1", { max_rows })).status).toBe(400);
  });

  test("a result truncated by max_rows leaves no lock on the table", async () => {
    await run("shop", "CREATE TABLE t(x)", "INSERT INTO t VALUES (1), (2), (3)");
    for (const max_rows of [1, 2, 3]) await query("SELECT x FROM t", { max_rows });
    expect(await rowsOf("DROP TABLE t")).toEqual([]);
  });
});

describe("read_only", () => {
  beforeEach(async () =>
    run(
      "shop",
      "CREATE TABLE t(x)",
      "CREATE UNIQUE INDEX one ON t(x)",
      "CREATE VIRTUAL TABLE words USING fts5(x)",
      "INSERT INTO t VALUES (1)",
      "CREATE VIEW v AS SELECT x FROM t",
      "CREATE TRIGGER tr INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (new.x); END",
    ),
  );

  test.each([
    "INSERT INTO t VALUES (2)",
    "INSERT INTO t VALUES (2) RETURNING x",
    "INSERT INTO v VALUES (2)",
    "UPDATE t SET x = 2",
    "DELETE FROM t",
    "REPLACE INTO t VALUES (2)",
    "WITH n AS (SELECT 2) INSERT INTO t SELECT * FROM n",
    "CREATE TABLE u(x)",
    "CREATE VIRTUAL TABLE u USING fts5(x)",
    "DROP TABLE t",
    "ALTER TABLE t ADD COLUMN y",
    "CREATE INDEX by_x ON t(x)",
    "ANALYZE",
    "REINDEX",
    "CREATE TRIGGER u AFTER INSERT ON t BEGIN SELECT 1; END",
  ])("%s is 422, and changes nothing", async (sql) => {
    const everything = async () => [await rowsOf("SELECT * FROM t"), await rowsOf("SELECT * FROM sqlite_schema")];
    const before = await everything();
    const { status, body } = await query(sql, { read_only: true });
    expect({ status, errors: body["errors"] }).toEqual({
      status: 422,
      errors: [{ path: "sql", message: "must not write, because `read_only` is true" }],
    });
    expect(await everything()).toEqual(before);
  });

  test.each([
    "SELECT * FROM v",
    "SELECT * FROM words WHERE words MATCH 'a'",
    "SELECT * FROM json_each('[1]')",
    "PRAGMA table_info(t)",
    "EXPLAIN DELETE FROM t",
    "WITH n AS (SELECT x FROM t) SELECT * FROM n",
    "VALUES (1)",
  ])("%s is allowed", async (sql) => {
    expect((await query(sql, { read_only: true })).status).toBe(200);
  });
});
