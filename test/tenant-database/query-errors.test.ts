import { beforeEach, describe, expect, test } from "vitest";
import { freshStart } from "../support/worker.ts";
import { makeOrganization, makeProject } from "../support/tenants/http.ts";
import { errorOf, objectOf, query, rowsOf, run, unprocessable } from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});

describe("invalid SQL", () => {
  test.each([
    ["SELECT * FROM nowhere", "no such table: nowhere"],
    ["SELEC 1", 'near "SELEC": syntax error'],
    ["INSERT INTO t VALUES (1), (1)", "UNIQUE constraint failed: t.x"],
    ["INSERT INTO c VALUES (9)", "FOREIGN KEY constraint failed"],
    ["INSERT INTO late VALUES (9)", "FOREIGN KEY constraint failed"],
    ["SELECT abs(-9223372036854775808)", "integer overflow"],
    ["SELECT * FROM _cf_KV", "access to _cf_KV.key is prohibited"],
    ["DROP TABLE _cf_KV", "not authorized"],
    ["CREATE TABLE _cf_mine(x)", "not authorized"],
    ["CREATE TEMP TABLE mine(x)", "not authorized"],
    ["SELECT load_extension('x')", "not authorized"],
    ["UPDATE sqlite_schema SET sql = ''", "table sqlite_master may not be modified"],
  ])("%s returns SQLite's message, and is rolled back", async (sql, message) => {
    await run(
      "shop",
      "CREATE TABLE t(x UNIQUE)",
      "CREATE TABLE c(x REFERENCES t(x))",
      "CREATE TABLE late(x REFERENCES t(x) DEFERRABLE INITIALLY DEFERRED)",
    );
    await objectOf("shop").create();
    expect(await errorOf(sql)).toMatchObject({ status: 422, errors: [{ path: "sql", message: expect.stringContaining(message) }] });
    expect(await rowsOf("SELECT count(*) FROM t, late")).toEqual([[0]]);
    expect(JSON.stringify((await query(sql)).body)).not.toMatch(/SQLITE_|stack|\.ts|offset/u);
  });

  test("that a stale full-text index causes returns SQLite's message", async () => {
    await run(
      "shop",
      "CREATE TABLE posts(id INTEGER PRIMARY KEY, title)",
      "INSERT INTO posts VALUES (1, 'apple')",
      "CREATE VIRTUAL TABLE search USING fts5(title, content=posts, content_rowid=id)",
      "INSERT INTO search(search) VALUES ('rebuild')",
      "DELETE FROM posts",
    );
    const missing = "failed: fts5: missing row 1 from content table 'main'.'posts'";
    expect(await errorOf("SELECT * FROM search('apple')")).toEqual(unprocessable("sql", missing));
    const check = "INSERT INTO search(search, rank) VALUES ('integrity-check', 1)";
    expect(await errorOf(check)).toEqual(unprocessable("sql", "failed: database disk image is malformed"));
  });

  test("has a short message for invalid text of any length", async () => {
    const { body } = await query("x".repeat(50_000));
    expect(body).toMatchObject({ code: "unprocessable", detail: expect.stringMatching(/^`sql` failed: near "x{490,}…$/u) as string });
    expect(JSON.stringify(body).length).toBeLessThan(2_000);
  });

  test.each([
    ["", 400],
    [" -- nothing\n ; ", 422],
    ["SELECT 1; SELECT 2", 422],
    ["SELECT 'open", 422],
    ["SELECT 1 ^ 2", 422],
    ["SELECT #a", 422],
    ["INSERT OR ROLLBACK INTO t VALUES (1)", 422],
    ["SELECT 1; -- two?\n DROP TABLE t", 422],
    ["SELECT 1\0", 422],
    ["BEGIN", 422],
    ["/* */ savepoint x", 422],
    ["ATTACH ':memory:' AS x", 422],
    ["VACUUM", 422],
    ["PRAGMA foreign_keys = OFF", 422],
    ["PRAGMA foreign_keys(0)", 422],
    ["PRAGMA case_sensitive_like(1)", 422],
    ["EXPLAIN PRAGMA case_sensitive_like(1)", 422],
    ["EXPLAIN QUERY PLAN PRAGMA main.case_sensitive_like = 1", 422],
    ['PRAGMA "recursive_triggers" = 1', 422],
    ["PRAGMA user_version", 422],
    [`SELECT '${"x".repeat(100_000)}'`, 400],
  ])("%.40j is refused without SQLite, with status %i", async (sql, status) => {
    expect((await query(sql)).status).toBe(status);
  });

  test.each([
    "SELECT 1;",
    "SELECT ';' /* ; */ -- ;",
    "PRAGMA table_info(t)",
    "PRAGMA main.table_list",
    "EXPLAIN QUERY PLAN SELECT * FROM t",
    "EXPLAIN DELETE FROM t",
    "CREATE TRIGGER IF NOT EXISTS tr AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN ';' END; SELECT 1; END;",
    'SELECT 1 AS "BEGIN; COMMIT"',
  ])("%s is one statement, and succeeds", async (sql) => {
    await run("shop", "CREATE TABLE IF NOT EXISTS t(x)", "INSERT INTO t VALUES (1)");
    expect((await query(sql)).status).toBe(200);
    expect(await rowsOf("SELECT count(*) FROM t")).toEqual([[1]]);
  });

  test("a PRAGMA cannot change a setting of the connection", async () => {
    await query("PRAGMA case_sensitive_like(1)");
    await query("EXPLAIN PRAGMA case_sensitive_like(1)");
    expect(await rowsOf("SELECT 'a' LIKE 'A'")).toEqual([[1]]);
  });
});
