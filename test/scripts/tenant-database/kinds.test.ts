/** Databases that are difficult to dump. Each is loaded without a change, or refused with a reason. */
import { describe, expect, test } from "vitest";
import { copied, many } from "../../support/node/copied.ts";
import { hasShell, throughShell } from "../../support/node/sqlite-shell.ts";
import { open, survey } from "../../support/node/sqlite.ts";

describe("names that the dump also uses:", () => {
  const NAMES = ["v0", "v1", "V1", "k", "K", "rowid", "_rowid_", "oid", "t", "order", "a b", 'a"b', "it's", "é😀", "c0", "words"];

  test.each(NAMES)("a key column called %j, at each position", (name) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    for (const columns of [
      `v9, ${quoted} INTEGER PRIMARY KEY, w`,
      `v9 TEXT, ${quoted} TEXT, w, PRIMARY KEY (${quoted}, v9) ) WITHOUT ROWID --`,
    ]) {
      const { copy } = copied([
        `CREATE TABLE loss(${columns}\n${columns.endsWith("--") ? "" : ")"}`,
        `${many(400)} INSERT INTO loss SELECT printf('%08d', 400 - i), i * 7919 % 400, printf('%090d', i) FROM n`,
      ]);
      expect(copy.prepare("SELECT count(*) AS n FROM loss").get()).toEqual({ n: 400 });
    }
  });

  test.each(NAMES.filter((name) => !/^k$/iu.test(name)))("a generated column called %j", (name) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    const { copy } = copied([
      `CREATE TABLE g(x, ${quoted} GENERATED ALWAYS AS (x || 'y'), z AS (x) STORED)`,
      `${many(50)} INSERT INTO g(x) SELECT i FROM n`,
    ]);
    expect(copy.prepare("SELECT count(*) AS n FROM g").get()).toEqual({ n: 50 });
  });

  test("all three names of the rowid are generated columns", () => {
    const { copy } = copied([
      "CREATE TABLE g(x, rowid AS (1), _rowid_ AS (2), oid AS (3))",
      `${many(500)} INSERT INTO g(x) SELECT 500 - i FROM n`,
    ]);
    expect(copy.prepare("SELECT count(*) AS n FROM g").get()).toEqual({ n: 500 });
  });

  test("tables with the names of temporary tables", () => {
    const long = "replace(hex(zeroblob(60000)), '00', 'x')";
    const { copy } = copied([
      "CREATE TABLE _qc_long(x)",
      "CREATE TABLE words(x)",
      "CREATE INDEX words_ ON words(x)",
      "CREATE VIRTUAL TABLE search USING fts5(x)",
      "INSERT INTO search VALUES ('apple')",
      `INSERT INTO _qc_long VALUES (${long})`,
    ]);
    expect(copy.prepare("SELECT length(x) AS n FROM _qc_long").get()).toEqual({ n: 60_000 });
  });
});

describe("unusual content is kept:", () => {
  test.each([
    [
      "keys that can never match",
      ["CREATE TABLE p(a, b)", "CREATE TABLE c(x REFERENCES p(a))", "INSERT INTO p VALUES (1, 2)", "INSERT INTO c VALUES (1)"],
    ],
    [
      "keys to a view, and to a missing table",
      ["CREATE VIEW v AS SELECT 1 AS x", "CREATE TABLE c(x REFERENCES v, y REFERENCES nowhere(z))"],
    ],
    [
      "broken views and triggers",
      [
        "CREATE VIEW b AS SELECT * FROM nowhere",
        "CREATE VIEW c AS SELECT x FROM b",
        "CREATE TABLE t(x)",
        "CREATE TRIGGER g AFTER DELETE ON t BEGIN INSERT INTO nowhere VALUES (1); END",
      ],
    ],
    [
      "text with line breaks in a schema",
      [
        "CREATE TABLE t(x DEFAULT 'a\nb', y CHECK (y <> 'c\r\nd'), z AS (x || '\t'))",
        "INSERT INTO t(y) VALUES ('\n'), (1)",
        "CREATE INDEX i ON t(y || '\n')",
      ],
    ],
    [
      "literals that compare as literals",
      [
        "CREATE TABLE t(x, CHECK (x <> '1\n' OR x IS NULL))",
        "CREATE VIEW v AS SELECT x = '1\n' AS same FROM t",
        "INSERT INTO t VALUES (1)",
      ],
    ],
    [
      "comments and odd spacing",
      ["CREATE TABLE/* a */t(--x\na/**/INT,\r\nb\tTEXT/*open", "INSERT INTO t VALUES (1, 2)"].map((sql) =>
        sql.replace("/*open", ")/*open"),
      ),
    ],
    [
      "an R-tree with names that the dump uses",
      ["CREATE VIRTUAL TABLE r USING rtree(v1, v0, t, +k, +rowid_)", "INSERT INTO r VALUES (3, 1, 2, 'x', 'y'), (1, -1, 5, X'00', NULL)"],
    ],
    [
      "names that equal a keyword only in Unicode",
      [
        "CREATE TABLE \u017Fqlite_x(auto\u0131ncrement)",
        "INSERT INTO \u017Fqlite_x VALUES (1)",
        "CREATE VIRTUAL TABLE us\u0131ng USING fts5(x)",
        "INSERT INTO us\u0131ng VALUES ('apple')",
      ],
    ],
    [
      "full-text tables whose names differ in the case of É",
      [
        "CREATE TABLE É_docsize(x)",
        "INSERT INTO É_docsize VALUES (1)",
        "CREATE VIRTUAL TABLE É USING fts5(x, columnsize=0)",
        "CREATE VIRTUAL TABLE é USING fts5(x)",
        "INSERT INTO É VALUES ('apple')",
        "INSERT INTO é VALUES ('secret')",
      ],
    ],
    ["a vocabulary of a missing table", ["CREATE VIRTUAL TABLE words USING [fts5vocab](nowhere, row)"]],
    [
      "a sequence without its table",
      ["CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO sqlite_sequence VALUES ('later', 9)", "DROP TABLE s"],
    ],
    [
      "constraints that would drop rows",
      [
        "CREATE TABLE t(a UNIQUE ON CONFLICT REPLACE, b NOT NULL ON CONFLICT IGNORE, c DEFAULT 5 NOT NULL ON CONFLICT REPLACE)",
        "INSERT INTO t VALUES (NULL, 1, 1), (NULL, 2, NULL), ('a', 1, 1), ('A', 1, 2), (1, 1, 1), ('1', 2, 2), (X'31', 3, 3)",
        "CREATE TABLE k(a TEXT COLLATE RTRIM PRIMARY KEY ON CONFLICT IGNORE, b) WITHOUT ROWID",
        "INSERT INTO k VALUES ('a', 1), ('a ', 2), ('b', 3)",
        "CREATE TABLE d(id INTEGER PRIMARY KEY DESC, x)",
        "INSERT INTO d VALUES (2, 'x'), (1, 'y'), (NULL, 'z')",
      ],
    ],
    [
      "an R-tree with infinite and extreme values",
      [
        "CREATE VIRTUAL TABLE r USING rtree(id, a, b, +x, +y)",
        "INSERT INTO r VALUES (1, -9e999, 9e999, 'a', NULL), (2, -1e39, 1e39, X'', -0.0), (-9223372036854775808, -0.0, 0.0, '', 9e999)",
      ],
    ],
    ["a sequence of deleted rows", ["CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO s VALUES (77)", "DELETE FROM s"]],
  ])("%s", (_, statements) => {
    const { sql, source } = copied(statements);
    if (!hasShell) return;
    expect(throughShell(sql, (database) => expect(survey(database).tables).toEqual(survey(source).tables)).files).toEqual([]);
  });
});

test("the survey reads every table, also if a project's table is called like a PRAGMA", () => {
  const { copy } = copied([
    "CREATE TABLE t(x)",
    "INSERT INTO t VALUES (1)",
    "CREATE TABLE pragma_table_list(schema, name, type, wr)",
    "INSERT INTO pragma_table_list VALUES ('main', 't', 'virtual', 1)",
    "CREATE VIEW pragma_table_xinfo AS SELECT 'nothing' AS name, 1 AS hidden",
    "CREATE TABLE pragma_index_list(x)",
  ]);
  expect(survey(copy).tables.map(({ name, rows }) => `${name} ${rows}`)).toEqual(["pragma_index_list 0", "pragma_table_list 1", "t 1"]);
});

test("the survey reads an R-tree of any name", () => {
  const boxes = open(['CREATE VIRTUAL TABLE "using fts5vocab" USING rtree(id, a, b)', 'INSERT INTO "using fts5vocab" VALUES (1, 1, 2)']);
  expect(survey(boxes).tables).toMatchObject([{ name: "using fts5vocab", rows: 1 }]);
});
