import { describe, expect, test } from "vitest";
import { content, dump, open, survey } from "../../support/node/sqlite.ts";
import type { Dump } from "../../support/node/sqlite.ts";
import { LONG_ROWS, TRAP_ROWS, TRAP_SCHEMA } from "../../tenant-database/traps.ts";

const statementsOf = ({ sql }: Dump): string[] => sql.split(";\n");

describe("a dump of all traps", () => {
  const source = open(TRAP_SCHEMA, TRAP_ROWS, LONG_ROWS);
  const dumped = dump(source);
  const loaded = open([dumped.sql]);

  test("holds the same content in another SQLite, to the bit", () => {
    expect(content(loaded)).toEqual(content(source));
  });

  test("gives the same hashes and the same bytes when it is dumped again", () => {
    expect(survey(loaded)).toEqual(survey(source));
    expect(dump(loaded).sql).toBe(dumped.sql);
  });

  test("keeps each index, view and trigger", () => {
    const sql = "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger') ORDER BY name";
    const lines = (database: typeof source): string[] =>
      database
        .prepare(sql)
        .all()
        .map((row) =>
          String(row["sql"])
            .replaceAll(/-- ; END;|\s+/gu, " ")
            .replaceAll(/ +/gu, " "),
        );
    expect(lines(loaded)).toEqual(lines(source));
    expect(loaded.prepare("SELECT * FROM totals").all()).toEqual(source.prepare("SELECT * FROM totals").all());
    expect(loaded.prepare("SELECT * FROM later").all()).toEqual(source.prepare("SELECT * FROM later").all());
  });

  test("passes the checks of SQLite for integrity, foreign keys and searches", () => {
    expect(loaded.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    expect(loaded.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
    expect(loaded.prepare("SELECT rowid FROM search WHERE search MATCH 'spices'").all()).toEqual([{ rowid: 10 }]);
    expect(loaded.prepare("SELECT rowid FROM article_search WHERE article_search MATCH 'second'").all()).toEqual([{ rowid: 2 }]);
    expect(loaded.prepare("SELECT id FROM boxes WHERE x1 > 1e9").all()).toEqual([{ id: 2 }]);
  });

  test("continues AUTOINCREMENT after deleted rows", () => {
    loaded.exec("INSERT INTO orders(total) VALUES (NULL)");
    expect(loaded.prepare("SELECT max(id) AS id FROM orders").get()).toEqual({ id: 900719925474100 });
    loaded.exec("DELETE FROM orders WHERE id = 900719925474100");
  });

  test("has no statement of more than 90,000 bytes", () => {
    expect(Math.max(...statementsOf(dumped).map((sql) => Buffer.byteLength(sql)))).toBeLessThanOrEqual(90_000);
  });

  test("writes tables before rows, and rows before indexes, views and triggers", () => {
    const kinds = statementsOf(dumped)
      .map((sql) => /^(PRAGMA|BEGIN|COMMIT|INSERT|CREATE (?:UNIQUE )?\w+)/u.exec(sql)?.[0])
      .filter((kind) => kind);
    const first = (kind: string): number => kinds.indexOf(kind);
    const order = ["CREATE TABLE", "INSERT", "CREATE UNIQUE INDEX", "CREATE VIRTUAL", "CREATE VIEW", "CREATE TRIGGER", "COMMIT"];
    expect(order.map(first).toSorted((a, b) => a - b)).toEqual(order.map(first));
    expect(kinds.slice(0, 3)).toEqual(["PRAGMA", "BEGIN", "PRAGMA"]);
  });

  test.each([1, 700, 5_000, 70_000])("is the same in parts of %i bytes, each read from its cursor alone", (maxBytes) => {
    const parts = dump(source, maxBytes);
    expect(parts.parts.length).toBeGreaterThan(3);
    expect(parts.sql).toBe(dumped.sql);
  });

  test("without rows has the schema only, and the same schema hash", () => {
    const schema = dump(source, 1_000_000, "schema");
    expect(schema.sql).not.toMatch(/^(INSERT|DELETE)/mu);
    const bare = open([schema.sql]);
    expect(survey(bare).schema).toBe(survey(source).schema);
    expect(dump(bare, 1_000_000, "schema").sql).toBe(schema.sql);
  });
});

test("rowids are kept, also if a column is called rowid", () => {
  const sql = [
    "SELECT rowid AS place, a FROM anything",
    "SELECT _rowid_ AS place, rowid FROM named_rowid",
    "SELECT rowid AS place, k FROM text_key",
    "SELECT rowid FROM search",
  ];
  const [source, loaded] = [open(TRAP_SCHEMA, TRAP_ROWS), open([dump(open(TRAP_SCHEMA, TRAP_ROWS)).sql])];
  const all = (database: typeof source) =>
    sql.map((text) => {
      const statement = database.prepare(text);
      statement.setReadBigInts(true);
      return statement.all();
    });
  expect(all(loaded)).toEqual(all(source));
});

test("a row of half a statement's size has its own statement", () => {
  const half = "replace(hex(zeroblob(12500)), '00', 'ab')";
  const database = open(["CREATE TABLE t(x, y)", `INSERT INTO t VALUES (${half}, ${half}), (${half}, ${half}), (1, 2)`]);
  const dumped = dump(database);
  expect(Math.max(...statementsOf(dumped).map((sql) => Buffer.byteLength(sql)))).toBeLessThanOrEqual(90_000);
  expect(survey(open([dumped.sql]))).toEqual(survey(database));
});

test("rows come in the order of the primary key, by its own collation and direction", () => {
  const database = open([
    "CREATE TABLE t(k TEXT, n, PRIMARY KEY (k COLLATE NOCASE, n DESC)) WITHOUT ROWID",
    "INSERT INTO t VALUES ('B', 1), ('c', 1), ('a', 1), ('A', 2), ('a', 3)",
  ]);
  expect(dump(database).sql).toContain("VALUES('a',3),('A',2),('a',1),('B',1),('c',1);\n");
});

describe("a dump is resumed between any two statements of", () => {
  const numbers = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 1700)";

  test.each([
    ["a table by its rowid", "t(x)", "i"],
    [
      "negative and huge rowids",
      "t(k INTEGER PRIMARY KEY, x)",
      "CASE i WHEN 1 THEN -9223372036854775808 WHEN 1700 THEN 9223372036854775807 ELSE (i - 800) * 9007199254740993 / 3 END, i",
    ],
    ["a table that hides its rowid", "t(rowid, _rowid_, oid)", "1700 - i, i, i"],
    ["a key of text", "t(k TEXT PRIMARY KEY, x) WITHOUT ROWID", "'it''s ' || (i * 7919 % 1700) || ' é', i"],
    ["a descending key", "t(a INTEGER, b TEXT, x, PRIMARY KEY (a DESC, b)) WITHOUT ROWID", "i / 100, 'b' || (i * 7 % 1700), i"],
    ["a key that descends in its second column", "t(a, b, x, PRIMARY KEY (a, b DESC)) WITHOUT ROWID", "i / 900, i, i"],
    [
      "a case-insensitive key",
      "t(k TEXT PRIMARY KEY COLLATE NOCASE, x) WITHOUT ROWID",
      "CASE i % 2 WHEN 0 THEN 'K' ELSE 'k' END || (i * 7919 % 1700), i",
    ],
    [
      "a case-sensitive column with a case-insensitive key",
      "t(k TEXT, x, PRIMARY KEY (k COLLATE NOCASE)) WITHOUT ROWID",
      "CASE i % 2 WHEN 0 THEN 'K' ELSE 'k' END || (i * 7919 % 1700), i",
    ],
    [
      "a key of all types",
      "t(k PRIMARY KEY, x) WITHOUT ROWID",
      [
        "CASE i % 5 WHEN 0 THEN i WHEN 1 THEN i / 7.0 WHEN 2 THEN 't' || i",
        "WHEN 3 THEN CAST('b' || i AS BLOB) ELSE CAST(X'FF' || i AS TEXT) END, i",
      ].join(" "),
    ],
    ["large integer keys", "t(k INTEGER, x, PRIMARY KEY (k)) WITHOUT ROWID", "9007199254740992 + i, i"],
    [
      "keys that are too long for a cursor",
      "t(k TEXT PRIMARY KEY, x) WITHOUT ROWID",
      "replace(hex(zeroblob(max(i % 70 - 63, 0) * 9000)), '00', 'k') || i, i",
    ],
    ["a full-text table", "VIRTUAL", "i * 3, 'word' || i"],
  ])("%s", (_, table, values) => {
    const create = table === "VIRTUAL" ? "CREATE VIRTUAL TABLE t USING fts5(x)" : `CREATE TABLE ${table}`;
    const source = open([create, `${numbers} INSERT INTO t${table === "VIRTUAL" ? "(rowid, x)" : ""} SELECT ${values} FROM n`]);
    const [whole, parts] = [dump(source, 100_000_000), dump(source, 1)];
    expect(parts.parts.length).toBeGreaterThan(8);
    expect(parts.sql).toBe(whole.sql);
    const found = survey(source);
    expect(found.tables).toMatchObject([{ rows: 1_700 }]);
    expect(survey(source, 20_000)).toEqual(found);
    expect(survey(open([parts.sql]))).toEqual(found);
  });
});

describe("the content hash", () => {
  const hashOf = (...rows: string[]): unknown => survey(open(["CREATE TABLE t(id INTEGER PRIMARY KEY, v)"], rows)).tables;
  const one = hashOf("INSERT INTO t VALUES (1, 1)");

  test.each([
    ["a real instead of an integer", "INSERT INTO t VALUES (1, 1.0)"],
    ["text instead of an integer", "INSERT INTO t VALUES (1, '1')"],
    ["another key", "INSERT INTO t VALUES (2, 1)"],
    ["NULL", "INSERT INTO t VALUES (1, NULL)"],
    ["an additional row", "INSERT INTO t VALUES (1, 1), (2, 1)"],
    ["no row", "DELETE FROM t"],
  ])("detects %s", (_, sql) => {
    expect(hashOf(sql)).not.toEqual(one);
  });

  test("distinguishes integers that are equal in JavaScript", () => {
    expect(hashOf("INSERT INTO t VALUES (1, 9007199254740993)")).not.toEqual(hashOf("INSERT INTO t VALUES (1, 9007199254740992)"));
  });

  test("does not depend on the order of writes", () => {
    expect(hashOf("INSERT INTO t VALUES (2, 2)", "INSERT INTO t VALUES (1, 1)")).toEqual(hashOf("INSERT INTO t VALUES (1, 1), (2, 2)"));
  });
});

test("an unreadable table is refused by name", () => {
  const database = open(["CREATE VIRTUAL TABLE gone USING fts5(x, content = '')"]);
  expect(() => dump(database)).toThrow('The full-text table "gone" keeps no content');
});
