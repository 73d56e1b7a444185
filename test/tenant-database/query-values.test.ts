import { beforeEach, describe, expect, test } from "vitest";
import { freshStart } from "../support/worker.ts";
import { makeOrganization, makeProject } from "../support/tenants/http.ts";
import { errorOf, query, rowsOf, run, unprocessable } from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});

describe("values", () => {
  const ODD = ["9007199254740993", "-9223372036854775808", "9223372036854775807"];

  test("without a JSON form are objects, which work as parameters", async () => {
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

  test("are exact in any SELECT with ORDER BY, parameters, other columns or a limit", async () => {
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

  test("that a RETURNING clause would round are an error, and the write is rolled back", async () => {
    await run("shop", "CREATE TABLE big(n INTEGER)");
    expect(await errorOf(`INSERT INTO big VALUES (${ODD[0]}) RETURNING n`)).toEqual(
      unprocessable("sql", expect.stringContaining("CAST(… AS TEXT)")),
    );
    expect(await rowsOf("SELECT count(*) FROM big")).toEqual([[0]]);
    expect(await rowsOf(`INSERT INTO big VALUES (${ODD[0]}) RETURNING CAST(n AS TEXT)`)).toEqual([[ODD[0]]]);
  });

  test("that are whole reals differ from integers, and work as parameters", async () => {
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

  test.each(["q", "c0", "c1", "t", "k", "v0", "typed", "none"])(
    "are exact in a table called %s with columns of that name",
    async (name) => {
      await run("shop", `CREATE TABLE ${name}(${name} INTEGER, ${name}0 REAL)`, `INSERT INTO ${name} VALUES (${ODD[0]}, 5.0), (5, 2.5)`);
      const sql = `SELECT ${name}, ${name}0, ${name}.${name} AS c0 FROM ${name} ORDER BY ${name}0 DESC`;
      expect(await rowsOf(sql)).toEqual([
        [{ $int: ODD[0] }, { $real: "5.0" }, { $int: ODD[0] }],
        [5, 2.5, 5],
      ]);
      await run("shop", `CREATE VIEW seen AS SELECT * FROM ${name}`);
      expect(await rowsOf("SELECT * FROM seen")).toHaveLength(2);
    },
  );

  test("of parameters keep their type in a column without a type", async () => {
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

  test("replace numbered and named parameters, also after a minus, but not in strings", async () => {
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
  ])("%j for %s is 422 at %s", async (params, sql, path) => {
    expect(await errorOf(sql, params)).toEqual(unprocessable(path, expect.any(String)));
  });
});
