import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { freshStart, setClock } from "../support/worker.ts";
import { ask, asPart, databases, dump, load, objectOf, run, verify } from "./support.ts";
import type { Dumped } from "./support.ts";
import { LONG_ROWS, TRAP_ROWS, TRAP_SCHEMA } from "./traps.ts";

beforeEach(async () => freshStart());

const BUSY = { result: "busy", why: "frozen", retryAfterSeconds: 5 };
const textsOf = ({ parts }: Dumped): string[] => parts.map(({ sql }) => sql);
const IN_ORDER = { differences: [], checks: { quickCheck: [], foreignKeyViolations: 0 } };

/** `count` rows in statements of a thousand. */
async function fill(name: string, count: number): Promise<void> {
  await run(name, "CREATE TABLE IF NOT EXISTS numbers(id INTEGER PRIMARY KEY, n, t TEXT, r REAL)");
  const thousand = "WITH RECURSIVE n(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM n WHERE i < 9999)";
  for (let from = 0; from < count; from += 10_000) {
    await run(name, `INSERT INTO numbers(n, t, r) ${thousand} SELECT ${from} + i, 'row ' || (${from} + i) || ' of many é', i / 7.0 FROM n`);
  }
}

describe("a dump", () => {
  test("of every trap loads into a database with the same content and the same dump", async () => {
    await run("shop", ...TRAP_SCHEMA, ...TRAP_ROWS, ...LONG_ROWS);
    const dumped = await dump("shop", { maxBytes: 50_000 });
    expect(await load("copy", "job-1", textsOf(dumped))).toMatchObject({ result: "ready", pieces: dumped.parts.length });
    expect(await verify("copy", "job-1", dumped)).toEqual(IN_ORDER);
    // The verification thaws the database.
    await objectOf("copy").thaw("job-1");
    expect((await dump("copy")).sql).toBe(dumped.sql);
  });

  test("of 30,000 rows is the same in small and large parts, and loads", async () => {
    await fill("shop", 30_000);
    const whole = await dump("shop", { maxBytes: 8_000_000 });
    const small = await dump("shop", { maxBytes: 150_000 });
    expect(small.parts.length).toBeGreaterThan(10);
    expect(small.sql).toBe(whole.sql);
    expect(small.tables).toEqual([{ name: "numbers", rows: 30_000, hash: expect.stringMatching(/^[0-9a-f]{64}$/u) }]);
    expect(small.tables).toEqual(whole.tables);
    await load("copy", "job-1", textsOf(whole));
    expect(await verify("copy", "job-1", whole)).toEqual(IN_ORDER);
  });

  test("holds the longest value that SQLite can store", async () => {
    const succeeds = async (sql: string): Promise<boolean> => (await ask("shop", sql)).result === "rows";
    await run("shop", "CREATE TABLE t(x)");
    let [size, tooLong] = [1_000_000, 100_000_000];
    while (tooLong - size > 1) {
      const between = Math.floor((size + tooLong) / 2);
      [size, tooLong] = (await succeeds(`SELECT length(zeroblob(${between}))`)) ? [between, tooLong] : [size, between];
    }
    // A row has a few bytes in addition.
    while (!(await succeeds(`INSERT INTO t VALUES (zeroblob(${size}))`))) size -= 1;
    const dumped = await dump("shop");
    expect(await load("copy", "job-1", textsOf(dumped))).toMatchObject({ result: "ready" });
    expect(await verify("copy", "job-1", dumped)).toEqual(IN_ORDER);
  });

  test("has the same bytes when it is read again from any cursor", async () => {
    await fill("shop", 10_000);
    const { parts } = await dump("shop", { maxBytes: 100_000 });
    await objectOf("shop").freeze("again");
    for (const [index, part] of parts.entries()) {
      const cursor = parts[index - 1]?.next ?? null;
      expect(await objectOf("shop").dumpPart({ freeze: "again", mode: "full", cursor, maxBytes: 100_000 })).toEqual(part);
    }
  });

  test("contains the schema version, and the copy has it", async () => {
    await objectOf("shop").migrate(1, ["CREATE TABLE a(x)"]);
    const dumped = await dump("shop");
    expect(dumped.schemaVersion).toBe(1);
    await load("copy", "job-1", textsOf(dumped), dumped.schemaVersion);
    expect(await objectOf("copy").state()).toMatchObject({ schemaVersion: 1, importing: null });
    expect((await verify("copy", "job-1", { ...dumped, schemaVersion: 2 })).differences).toEqual(["schema version 1 instead of 2"]);
  });

  test("of a table that cannot be read back is impossible", async () => {
    await run("shop", "CREATE VIRTUAL TABLE gone USING fts5(x, content = '')");
    await objectOf("shop").freeze("dump");
    expect(await objectOf("shop").dumpPart({ freeze: "dump", mode: "full", cursor: null })).toMatchObject({ result: "impossible" });
  });

  test("is refused before the database is frozen if the copy would differ", async () => {
    await run("shop", "CREATE TABLE posts(x)", "INSERT INTO posts VALUES ('apple')");
    const cases = [
      ["fts5(x, content='')", "keeps no content"],
      ["fts5(x, content=, columnsize=0)", "keeps no content"],
      ["fts5(x, content=posts, columnsize=0)", "does not match the text"],
      ["fts5(x, content=nowhere, columnsize=0)", "no such table: nowhere"],
    ] as const;
    for (const [definition, reason] of cases) {
      await run("shop", `CREATE VIRTUAL TABLE f USING ${definition}`);
      const detail = expect.stringContaining(reason) as string;
      expect(await objectOf("shop").freeze("dump", "full")).toMatchObject({ result: "impossible", detail });
      expect((await objectOf("shop").state()).frozen).toBeNull();
      await run("shop", "DROP TABLE f");
    }
  });

  test("leaves no cursor open, so a partly read table can be dropped immediately", async () => {
    await fill("shop", 10_000);
    await objectOf("shop").freeze("dump");
    asPart(await objectOf("shop").dumpPart({ freeze: "dump", mode: "full", cursor: null, maxBytes: 100_000 }));
    await objectOf("shop").thaw("dump");
    expect((await ask("shop", "DROP TABLE numbers")).result).toBe("rows");
  });
});

describe("during a dump", () => {
  beforeEach(async () => run("shop", "CREATE TABLE t(x)", "INSERT INTO t VALUES (1), (2)"));

  test.each([
    "INSERT INTO t VALUES (3)",
    "UPDATE t SET x = 0",
    "DELETE FROM t",
    "CREATE TABLE u(x)",
    "DROP TABLE t",
    "CREATE INDEX by_x ON t(x)",
    "INSERT INTO t VALUES (3) RETURNING x",
    "WITH n AS (SELECT 1) INSERT INTO t SELECT * FROM n",
    "REINDEX",
    "ANALYZE",
  ])("%s is refused, and changes nothing", async (sql) => {
    await objectOf("shop").freeze("dump");
    expect(await ask("shop", sql)).toEqual(BUSY);
    expect(await objectOf("shop").migrate(1, [sql])).toEqual(BUSY);
    expect(await ask("shop", "SELECT sum(x) FROM t")).toMatchObject({ rows: [[3]] });
  });

  test("the dump is consistent although writes are attempted repeatedly, and they succeed afterwards", async () => {
    await fill("shop", 10_000);
    const before = await dump("shop");
    const answers: string[] = [];
    const during = await dump("shop", {
      maxBytes: 50_000,
      between: async () => {
        answers.push(
          (await ask("shop", "UPDATE numbers SET n = n + 1")).result,
          (await ask("shop", "SELECT count(*) FROM numbers")).result,
        );
      },
    });
    expect(during.sql).toBe(before.sql);
    expect(new Set(answers)).toEqual(new Set(["busy", "rows"]));
    expect((await ask("shop", "UPDATE numbers SET n = n + 1")).result).toBe("rows");
  });

  test("a reader that died blocks writes only until its lease expires", async () => {
    expect(await objectOf("shop").freeze("dead")).toEqual({ result: "frozen", until: Date.parse("2031-05-14T14:05:11Z") });
    await setClock("2031-05-14T14:05:10Z");
    expect(await ask("shop", "INSERT INTO t VALUES (3)")).toEqual(BUSY);
    await setClock("2031-05-14T14:05:11Z");
    expect(await ask("shop", "INSERT INTO t VALUES (3)")).toMatchObject({ result: "rows" });
    expect(await objectOf("shop").dumpPart({ freeze: "dead", mode: "full", cursor: null })).toEqual({ result: "thawed" });
  });

  test("reading a part renews the lease", async () => {
    await objectOf("shop").freeze("dump");
    await setClock("2031-05-14T14:05:10Z");
    asPart(await objectOf("shop").dumpPart({ freeze: "dump", mode: "full", cursor: null }));
    await setClock("2031-05-14T14:07:00Z");
    expect(await ask("shop", "INSERT INTO t VALUES (3)")).toEqual(BUSY);
  });

  test("a reader with an expired lease can continue if no write took place", async () => {
    await objectOf("shop").freeze("dump");
    await setClock("2031-05-14T15:00:00Z");
    expect(await ask("shop", "SELECT 1")).toMatchObject({ result: "rows" });
    expect((await objectOf("shop").dumpPart({ freeze: "dump", mode: "full", cursor: null })).result).toBe("part");
  });

  test("a freeze and an import survive an eviction", async () => {
    await objectOf("shop").freeze("dump");
    await objectOf("copy").beginImport("job");
    await objectOf("copy").importPart("job", 0, "CREATE TABLE c(p REFERENCES p(id)); INSERT INTO c VALUES (1);");
    for (const name of ["shop", "copy"]) await evictDurableObject(env.TENANT_DATABASE.getByName(name));
    expect(await ask("shop", "INSERT INTO t VALUES (3)")).toEqual(BUSY);
    expect(await objectOf("copy").importPart("job", 1, "INSERT INTO c VALUES (2);")).toEqual({ result: "ready", pieces: 2 });
  });

  test("a second reader waits for the first, and cannot thaw its freeze", async () => {
    await objectOf("shop").freeze("one");
    expect(await objectOf("shop").freeze("two")).toEqual(BUSY);
    await objectOf("shop").thaw("two");
    expect(await ask("shop", "INSERT INTO t VALUES (3)")).toEqual(BUSY);
    expect(await objectOf("shop").dumpPart({ freeze: "two", mode: "full", cursor: null })).toEqual({ result: "thawed" });
    await objectOf("shop").thaw("one");
    expect(await objectOf("shop").freeze("two")).toMatchObject({ result: "frozen" });
  });
});

describe("an import", () => {
  const SQL =
    "CREATE TABLE c(p REFERENCES p(id));\nINSERT INTO c VALUES (1);\nCREATE TABLE p(id INTEGER PRIMARY KEY);\nINSERT INTO p VALUES (1);\n";
  const statements = SQL.split(/(?<=\n)/u);

  const importOld = async (sql: string): Promise<void> => {
    await objectOf("copy").beginImport("job");
    await objectOf("copy").importPart("job", 0, sql);
    await objectOf("copy").finishImport("job", 0);
  };

  test("resumes with the next part, and imports no part twice", async () => {
    const copy = objectOf("copy");
    expect(await copy.beginImport("job")).toEqual({ result: "ready", pieces: 0 });
    for (const [index, sql] of statements.slice(0, 2).entries()) await copy.importPart("job", index, sql);
    expect(await copy.importPart("job", 1, statements[1] ?? "")).toEqual({ result: "ready", pieces: 2 });
    expect(await copy.importPart("job", 3, statements[3] ?? "")).toMatchObject({ result: "conflict" });
    expect(await copy.beginImport("job")).toEqual({ result: "ready", pieces: 2 });
    for (const [index, sql] of statements.slice(2).entries()) await copy.importPart("job", index + 2, sql);
    expect(await copy.finishImport("job", 4)).toEqual({ result: "ready", pieces: 4 });
    expect(await copy.finishImport("job", 4)).toMatchObject({ result: "ready" });
    expect(await ask("copy", "SELECT count(*) FROM c")).toMatchObject({ rows: [[1]], schemaVersion: 4 });
    expect(await copy.checks()).toEqual({ quickCheck: [], foreignKeyViolations: 0 });
  });

  test("of a large dump resumes with the next part", async () => {
    await fill("shop", 30_000);
    const dumped = await dump("shop", { maxBytes: 300_000 });
    await objectOf("copy").beginImport("job");
    for (const [index, sql] of textsOf(dumped).slice(0, 3).entries()) await objectOf("copy").importPart("job", index, sql, true);
    expect((await objectOf("copy").state()).importing).toEqual({ id: "job", pieces: 3 });
    expect(await ask("copy", "SELECT 1")).toMatchObject({ result: "busy", why: "importing" });
    await load("copy", "job", textsOf(dumped));
    expect(await verify("copy", "job", dumped)).toEqual(IN_ORDER);
  });

  test("that fails keeps nothing of the part, and returns the reason", async () => {
    await objectOf("copy").beginImport("job");
    const answer = await objectOf("copy").importPart("job", 0, "CREATE TABLE a(x UNIQUE); INSERT INTO a VALUES (1), (1);");
    expect(answer).toEqual({ result: "failed", message: "UNIQUE constraint failed: a.x" });
    expect(await objectOf("copy").beginImport("job")).toEqual({ result: "ready", pieces: 0 });
    expect(await objectOf("copy").importPart("job", 0, "CREATE TABLE a(x);")).toEqual({ result: "ready", pieces: 1 });
  });

  test("enforces foreign keys again after its end", async () => {
    await importOld(SQL);
    expect(await ask("copy", "INSERT INTO c VALUES (99)")).toEqual({ result: "failed", message: "FOREIGN KEY constraint failed" });
  });

  test("of rows without parents is found by the checks", async () => {
    const orphan = SQL.replace("INSERT INTO p", "-- INSERT INTO p");
    await importOld(orphan);
    expect((await objectOf("copy").checks()).foreignKeyViolations).toBe(1);
  });

  test("needs an empty database, and excludes another import", async () => {
    await run("shop", "CREATE TABLE t(x)");
    expect(await objectOf("shop").beginImport("job")).toMatchObject({ result: "conflict", detail: "The database is not empty." });
    await objectOf("copy").beginImport("one");
    expect(await objectOf("copy").beginImport("two")).toMatchObject({ result: "conflict" });
    expect(await objectOf("copy").importPart("two", 0, "CREATE TABLE a(x);")).toMatchObject({ result: "conflict" });
    expect(await objectOf("copy").finishImport("two", 0)).toMatchObject({ result: "conflict" });
    expect(await objectOf("copy").freeze("dump")).toMatchObject({ result: "busy", why: "importing" });
    expect(await objectOf("copy").migrate(1, [])).toMatchObject({ result: "busy" });
  });
});

test("verification lists the differences", async () => {
  await run("shop", "CREATE TABLE a(x)", "CREATE TABLE b(x)", "CREATE TABLE c(x)", "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (1)");
  const dumped = await dump("shop");
  await load("copy", "job", textsOf(dumped));
  await objectOf("copy").thaw("job");
  await run("copy", "UPDATE a SET x = 2", "INSERT INTO b VALUES (2)", "DROP TABLE c", "CREATE TABLE d(x)");
  expect((await verify("copy", "job", dumped)).differences).toEqual([
    "the schema differs",
    "the rows of table a differ",
    "table b has 2 rows instead of 1",
    "table c is missing",
    "table d is not in the source",
  ]);
});

test("an unreachable database is 503", async () => {
  const { TenantDatabase } = await import("../../worker/src/index.ts");
  vi.spyOn(TenantDatabase.prototype, "query").mockRejectedValue(new Error("unreachable"));
  await expect(databases.query("shop", { sql: "SELECT 1", params: [], readOnly: true, maxRows: 1 })).rejects.toMatchObject({
    code: "storage_unavailable",
    retryAfterSeconds: 5,
  });
  vi.restoreAllMocks();
});
