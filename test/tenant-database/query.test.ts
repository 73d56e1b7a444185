import { beforeEach, describe, expect, test, vi } from "vitest";
import { TenantDatabase } from "../../worker/src/index.ts";
import { freshStart, put } from "../support/worker.ts";
import { makeOrganization, makeProject, right } from "../support/tenants/http.ts";
import { counters, periods } from "../support/tenants/rows.ts";
import { objectOf, query, rowsOf, run } from "./support.ts";

let key: string;

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  key = (await makeProject("shop")).api_key.key;
});

const complaint = async (sql: string, params: unknown[] = []): Promise<unknown> => {
  const { status, body } = await query(sql, { params });
  return { status, code: body.code, errors: body["errors"] };
};
const unprocessable = (path: string, message: unknown) => ({ status: 422, code: "unprocessable", errors: [{ path, message }] });

describe("a query", () => {
  test("answers with its rows, and what it cost", async () => {
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
      schema_version: 0,
    });
  });

  test("keeps columns of one name apart", async () => {
    expect((await query("SELECT 1 AS id, 2 AS id")).body).toMatchObject({ columns: ["id", "id"], rows: [[1, 2]] });
  });

  test("of one project sees nothing of another's", async () => {
    await makeProject("other");
    await run("other", "CREATE TABLE secret(x)");
    expect(await complaint("SELECT * FROM secret")).toEqual(unprocessable("sql", "failed: no such table: secret"));
  });

  test("of a project that is not there is 404, and makes no database", async () => {
    const { post } = await import("../support/worker.ts");
    expect((await post("/api/projects/nobody/database/query", { sql: "SELECT 1" })).status).toBe(404);
  });
});

describe("values", () => {
  const ODD = ["9007199254740993", "-9223372036854775808", "9223372036854775807"];

  test("that JSON cannot hold come in objects, and go back as they were", async () => {
    const sql = `SELECT ${ODD.join(", ")}, 9e999, -9e999, -0.0, X'00FF', X'', 9007199254740992, 9007199254740991`;
    const [row = []] = await rowsOf(sql);
    expect(row).toEqual([
      ...ODD.map(($int) => ({ $int })),
      { $real: "Infinity" },
      { $real: "-Infinity" },
      { $real: "-0.0" },
      { $blob: "AP8=" },
      { $blob: "" },
      { $int: "9007199254740992" },
      9007199254740991,
    ]);
    expect(await rowsOf(`SELECT ${row.map(() => "?").join(", ")}`, { params: row })).toEqual([row]);
  });

  test("are exact in any SELECT: in order, with their parameters, beside other columns, within the limit", async () => {
    await run(
      "shop",
      "CREATE TABLE big(n INTEGER, t, b BLOB)",
      `INSERT INTO big VALUES (${ODD[0]}, 'a', X'01'), (${ODD[1]}, 1e17, X'69'), (${ODD[2]}, 7, NULL), (5, 'x', X'62')`,
    );
    expect(await rowsOf("SELECT n, t, b, n AS n FROM big WHERE n <> ? ORDER BY n DESC -- all", { params: [5] })).toEqual([
      [{ $int: ODD[2] }, 7, null, { $int: ODD[2] }],
      [{ $int: ODD[0] }, "a", { $blob: "AQ==" }, { $int: ODD[0] }],
      [{ $int: ODD[1] }, { $real: "100000000000000000.0" }, { $blob: "aQ==" }, { $int: ODD[1] }],
    ]);
    expect((await query("WITH b AS (SELECT n FROM big) SELECT n FROM b ORDER BY n", { max_rows: 1 })).body).toMatchObject({
      columns: ["n"],
      rows: [[{ $int: ODD[1] }]],
      truncated: true,
    });
    expect(await rowsOf("VALUES (9223372036854775807)")).toEqual([[{ $int: ODD[2] }]]);
    expect(await rowsOf(`SELECT ${Array.from({ length: 100 }, () => "9223372036854775807").join(",")}`)).toEqual([
      Array.from({ length: 100 }, () => ({ $int: ODD[2] })),
    ]);
  });

  test("are never rounded in silence: what a write gives back is refused, and undone", async () => {
    await run("shop", "CREATE TABLE big(n INTEGER)");
    expect(await complaint(`INSERT INTO big VALUES (${ODD[0]}) RETURNING n`)).toEqual(
      unprocessable("sql", expect.stringContaining("CAST(… AS TEXT)")),
    );
    expect(await rowsOf("SELECT count(*) FROM big")).toEqual([[0]]);
    expect(await rowsOf(`INSERT INTO big VALUES (${ODD[0]}) RETURNING CAST(n AS TEXT)`)).toEqual([[ODD[0]]]);
  });

  test("that are whole reals are told from integers, and go back as reals", async () => {
    await run("shop", "CREATE TABLE r(v, n REAL)", "INSERT INTO r VALUES (1.0, 2), (1, 2.5), ('1.0', -0.0), (1e300, 9007199254740993.0)");
    const rows = await rowsOf("SELECT v, n FROM r");
    expect(rows).toEqual([
      [{ $real: "1.0" }, { $real: "2.0" }],
      [1, 2.5],
      ["1.0", { $real: "0.0" }],
      [{ $real: "1e+300" }, { $real: "9007199254740992.0" }],
    ]);
    await run("shop", "CREATE TABLE again(v, n)");
    for (const params of rows) await rowsOf("INSERT INTO again VALUES (?, ?)", { params });
    expect(await rowsOf("SELECT v, n, typeof(v), typeof(n) FROM again")).toEqual(await rowsOf("SELECT v, n, typeof(v), typeof(n) FROM r"));
  });

  test.each(["q", "c0", "c1", "t", "k", "v0", "typed", "none"])("come from a table called %s, with columns called so", async (name) => {
    await run("shop", `CREATE TABLE ${name}(${name} INTEGER, ${name}0 REAL)`, `INSERT INTO ${name} VALUES (${ODD[0]}, 5.0), (5, 2.5)`);
    const sql = `SELECT ${name}, ${name}0, ${name}.${name} AS c0 FROM ${name} ORDER BY ${name}0 DESC`;
    expect(await rowsOf(sql)).toEqual([
      [{ $int: ODD[0] }, { $real: "5.0" }, { $int: ODD[0] }],
      [5, 2.5, 5],
    ]);
    await run("shop", `CREATE VIEW seen AS SELECT * FROM ${name}`);
    expect(await rowsOf("SELECT * FROM seen")).toHaveLength(2);
  });

  test("that are parameters keep their type in a column without one", async () => {
    await run("shop", "CREATE TABLE t(v)");
    const params = [1, -1, 1.5, { $real: "1.0" }, true, false, "1", null, { $int: "-9007199254740993" }, { $blob: "AQ==" }, "a\0b", "é😀"];
    await rowsOf(`INSERT INTO t VALUES ${params.map(() => "(?)").join(", ")}`, { params });
    expect(
      (await rowsOf("SELECT typeof(v) || ' ' || CASE typeof(v) WHEN 'blob' THEN hex(v) ELSE v END FROM t")).map(([text]) => text),
    ).toEqual([
      "integer 1",
      "integer -1",
      "real 1.5",
      "real 1.0",
      "integer 1",
      "integer 0",
      "text 1",
      null,
      "integer -9007199254740993",
      "blob 01",
      "text a\0b",
      "text é😀",
    ]);
  });

  test("stand where SQLite would put them: numbered, named, behind a minus, in strings not at all", async () => {
    expect(await rowsOf("SELECT ?2, ?1, ?", { params: [1, 2, 3] })).toEqual([[2, 1, 3]]);
    expect(await rowsOf("SELECT :a, @b, :a, $c", { params: [1, "two", 3] })).toEqual([[1, "two", 1, 3]]);
    expect(await rowsOf('SELECT 5-?, -?, \'?\', "?", `?`, [?], 1 /* ? */ -- ?\n FROM (SELECT 1 AS "?")', { params: [-3, -4] })).toEqual([
      [8, 4, "?", 1, 1, 1, 1],
    ]);
    expect(await rowsOf("SELECT column1 FROM (VALUES (2), (1)) ORDER BY ?", { params: [1] })).toEqual([[2], [1]]);
    expect(await rowsOf("SELECT column1 FROM (VALUES (2), (1)) LIMIT ?", { params: [1] })).toEqual([[2]]);
  });

  test.each([
    [[1], "SELECT 1", "params"],
    [[], "SELECT ?", "params"],
    [[1], "SELECT ?1, ?3", "params"],
    [[], "SELECT 1 ?0", "sql"],
    [[9007199254740992], "SELECT ?", "params.0"],
    [["\uD800"], "SELECT ?", "params.0"],
    [[{ $int: "9223372036854775808" }], "SELECT ?", "params.0"],
    [[{ $int: "1.5" }], "SELECT ?", "params.0"],
    [[{ $int: "" }], "SELECT ?", "params.0"],
    [[{ $real: "one" }], "SELECT ?", "params.0"],
    [[{ $blob: "?" }], "SELECT ?", "params.0"],
  ])("%j for %s: 422 that names %s", async (params, sql, path) => {
    expect(await complaint(sql, params)).toEqual(unprocessable(path, expect.any(String)));
  });
});

describe("limits", () => {
  const MANY = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT i FROM n";

  test.each([
    [undefined, 1_000],
    [1, 1],
    [10_000, 10_000],
  ])("of rows: asked for %s, given %i", async (max_rows, given) => {
    const { body } = await query(MANY, max_rows === undefined ? {} : { max_rows });
    expect({ row_count: body.row_count, truncated: body.truncated, last: body.rows.at(-1) }).toEqual({
      row_count: given,
      truncated: true,
      last: [given],
    });
  });

  test("a result that just fits is not truncated", async () => {
    expect((await query("VALUES (1), (2)", { max_rows: 2 })).body).toMatchObject({ row_count: 2, truncated: false });
  });

  test("of bytes: rows that fit into 4 MiB, and the table is free at once", async () => {
    await run(
      "shop",
      "CREATE TABLE t(x)",
      `INSERT INTO t ${MANY.replace("20000", "8").replace("SELECT i FROM", "SELECT hex(zeroblob(500000)) FROM")}`,
    );
    const { body } = await query("SELECT x FROM t");
    expect({ row_count: body.row_count, truncated: body.truncated }).toEqual({ row_count: 4, truncated: true });
    expect(await rowsOf("DROP TABLE t")).toEqual([]);
  });

  test("of rows that SQLite reads for a result that comes slowly", async () => {
    await run("shop", "CREATE TABLE t(x INTEGER PRIMARY KEY)", `INSERT INTO t ${MANY.replace("20000", "3000")}`);
    const rare = "SELECT a.x FROM t a, t b WHERE (a.x * 3000 + b.x) % 1000000 = 0";
    expect(await complaint(rare)).toEqual(unprocessable("sql", expect.stringContaining("more than 5000000 rows")));
    expect(await rowsOf(`${rare} AND a.x < 1000`)).toHaveLength(3);
    expect(await rowsOf("DROP TABLE t")).toEqual([]);
  });

  test("of rows keep back what a write answers, not what it writes", async () => {
    await run("shop", "CREATE TABLE t(x)");
    expect((await query("INSERT INTO t VALUES (1), (2), (3) RETURNING x", { max_rows: 1 })).body).toMatchObject({
      rows: [[1]],
      truncated: true,
    });
    expect(await rowsOf("SELECT count(*) FROM t")).toEqual([[3]]);
  });

  test("a row that is too large by itself is refused, not left out", async () => {
    expect(await complaint("SELECT zeroblob(3500000)")).toEqual(unprocessable("sql", expect.stringContaining("One row is larger")));
  });

  test.each([0, 10_001, 1.5])("max_rows %d: 400", async (max_rows) => {
    expect((await query("SELECT 1", { max_rows })).status).toBe(400);
  });

  test("truncated by rows, the table is free at once", async () => {
    await run("shop", "CREATE TABLE t(x)", "INSERT INTO t VALUES (1), (2), (3)");
    for (const max_rows of [1, 2, 3]) await query("SELECT x FROM t", { max_rows });
    expect(await rowsOf("DROP TABLE t")).toEqual([]);
  });
});

describe("SQL that fails", () => {
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
  ])("%s: SQLite's own words, and nothing of it stays", async (sql, message) => {
    await run(
      "shop",
      "CREATE TABLE t(x UNIQUE)",
      "CREATE TABLE c(x REFERENCES t(x))",
      "CREATE TABLE late(x REFERENCES t(x) DEFERRABLE INITIALLY DEFERRED)",
    );
    await objectOf("shop").create();
    expect(await complaint(sql)).toMatchObject({ status: 422, errors: [{ path: "sql", message: expect.stringContaining(message) }] });
    expect(await rowsOf("SELECT count(*) FROM t, late")).toEqual([[0]]);
    expect(JSON.stringify((await query(sql)).body)).not.toMatch(/SQLITE_|stack|\.ts|offset/u);
  });

  test("is told of in a few words, however long what is wrong in it", async () => {
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
  ])("%.40j is refused before any database sees it: %i", async (sql, status) => {
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
  ])("%s is one statement, and runs", async (sql) => {
    await run("shop", "CREATE TABLE IF NOT EXISTS t(x)", "INSERT INTO t VALUES (1)");
    expect((await query(sql)).status).toBe(200);
    expect(await rowsOf("SELECT count(*) FROM t")).toEqual([[1]]);
  });

  test("a setting of the connection cannot be left behind for the next one", async () => {
    await query("PRAGMA case_sensitive_like(1)");
    await query("EXPLAIN PRAGMA case_sensitive_like(1)");
    expect(await rowsOf("SELECT 'a' LIKE 'A'")).toEqual([[1]]);
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
  ])("%s: 422, and nothing changed", async (sql) => {
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
  ])("%s reads", async (sql) => {
    expect((await query(sql, { read_only: true })).status).toBe(200);
  });
});

describe("what counts", () => {
  const used = async () => ({
    queries: (await counters())["shop db_queries_per_day 2031-05-14"] ?? 0,
    calls: Object.values(await periods()).reduce((sum, [calls]) => sum + calls, 0),
  });

  test.each([
    ["SELECT 1", 200, 1],
    ["SELECT * FROM nowhere", 422, 1],
    ["SELECT 1; SELECT 2", 422, 0],
    ["", 400, 0],
  ])("%j: %i, counted %i", async (sql, status, counted) => {
    expect((await query(sql, {}, key)).status).toBe(status);
    await expect.poll(used).toEqual({ queries: counted, calls: counted });
  });

  test("a write that is refused because it may only read, or because a backup is read, is given back", async () => {
    expect((await query("CREATE TABLE t(x)", { read_only: true }, key)).status).toBe(422);
    await objectOf("shop").freeze("dump");
    const answer = await query("CREATE TABLE t(x)", {}, key);
    expect({ status: answer.status, code: answer.body.code, retry: answer.headers.get("retry-after") }).toEqual({
      status: 503,
      code: "database_busy",
      retry: "5",
    });
    await expect.poll(used).toEqual({ queries: 0, calls: 0 });
    expect((await query("SELECT 1", {}, key)).status).toBe(200);
  });

  test("a statement whose answer never came stays counted: it may have run", async () => {
    vi.spyOn(TenantDatabase.prototype, "query").mockRejectedValue(new Error("away"));
    const { status, body } = await query("SELECT 1", {}, key);
    vi.restoreAllMocks();
    expect({ status, code: body.code, counted: body["counted"] }).toEqual({ status: 503, code: "storage_unavailable", counted: true });
    expect(JSON.stringify(body)).not.toContain("away");
    expect(await used()).toEqual({ queries: 1, calls: 1 });
  });

  test("another project's database is not there, and asking for it costs nothing", async () => {
    const other = (await makeProject("other")).api_key.key;
    expect((await query("SELECT 1", {}, other)).status).toBe(404);
    await expect.poll(counters).toEqual({ "other db_queries_per_day 2031-05-14": 0 });
  });

  test("the administrator's queries are nobody's", async () => {
    await query("SELECT 1");
    expect(await used()).toEqual({ queries: 0, calls: 0 });
  });

  test("at the cap there are no more", async () => {
    right(await put("/api/projects/shop/caps", { db_queries_per_day: 1 }));
    expect((await query("SELECT 1", {}, key)).status).toBe(200);
    expect((await query("SELECT 1", {}, key)).body.code).toBe("cap_exceeded");
  });
});

describe("the object", () => {
  test("is created once, by one of ten that come at once", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, async () => objectOf("shop").create()));
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
  });

  test("is created once, by whoever comes first", async () => {
    expect(await objectOf("shop").state()).toMatchObject({ createdAt: null, schemaVersion: 0, frozen: null, importing: null });
    expect(await objectOf("shop").create()).toEqual({ created: true, schemaVersion: 0 });
    expect(await objectOf("shop").create()).toEqual({ created: false, schemaVersion: 0 });
    expect(await objectOf("shop").state()).toMatchObject({ createdAt: Date.parse("2031-05-14T14:03:11Z") });
  });

  test("applies each schema version once, in order, whole or not at all", async () => {
    const shop = objectOf("shop");
    expect(await shop.migrate(2, ["CREATE TABLE b(x)"])).toEqual({ result: "out_of_order", schemaVersion: 0 });
    expect(await shop.migrate(1, ["CREATE TABLE a(x)", "CREATE TABLE a(x)"])).toEqual({
      result: "failed",
      message: "table a already exists",
    });
    expect(await shop.migrate(1, ["CREATE TABLE a(x)"])).toEqual({ result: "migrated", schemaVersion: 1 });
    expect(await shop.migrate(1, ["CREATE TABLE a(x)"])).toEqual({ result: "already", schemaVersion: 1 });
    expect(await shop.migrate(2, ["CREATE TABLE b(x)"])).toEqual({ result: "migrated", schemaVersion: 2 });
    expect((await query("SELECT name FROM sqlite_schema WHERE name IN ('a', 'b')")).body).toMatchObject({
      schema_version: 2,
      rows: [["a"], ["b"]],
    });
  });

  test("is empty after it was destroyed, and can be made again", async () => {
    await objectOf("shop").migrate(1, ["CREATE TABLE a(x)"]);
    await objectOf("shop").destroy();
    expect(await objectOf("shop").state()).toMatchObject({ createdAt: null, schemaVersion: 0 });
    expect(await objectOf("shop").create()).toEqual({ created: true, schemaVersion: 0 });
    expect(await rowsOf("SELECT count(*) FROM sqlite_schema WHERE substr(name, 1, 4) <> '_cf_'")).toEqual([[0]]);
  });
});
