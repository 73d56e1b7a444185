/** Databases that are difficult to dump. Each is loaded without a change, or refused with a reason. */
import { describe, expect, test } from "vitest";
import { expectDumpable } from "../../../worker/src/tenant-database/dump.ts";
import { hasShell, throughShell } from "../../support/node/sqlite-shell.ts";
import { content, dump, open, readerOf, survey } from "../../support/node/sqlite.ts";

/** Dumps in parts, loads, and compares by the survey and by independent code. Returns both databases. */
function copied(statements: readonly string[], maxBytes = 3_000) {
  const source = open(statements);
  expectDumpable(readerOf(source), "full");
  const { sql } = dump(source, maxBytes);
  const copy = open([sql]);
  expect(survey(copy)).toEqual(survey(source));
  expect(content(copy)).toEqual(content(source));
  return { source, copy, sql };
}

const refusal = (statements: readonly string[]): string => {
  try {
    expectDumpable(readerOf(open(statements)), "full");
    return "none";
  } catch (error) {
    return String(error);
  }
};

const many = (count: number): string => `WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;

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

describe("full-text search returns the same rows in the same order:", () => {
  const POSTS = [
    "CREATE TABLE posts(id INTEGER PRIMARY KEY, title, live)",
    "INSERT INTO posts VALUES (1, 'apple', 1), (2, 'apple draft', 0), (3, 'apple pie', 1)",
  ];
  const found = (database: ReturnType<typeof open>, table: string): unknown[] =>
    database
      .prepare(`SELECT rowid FROM ${table}('apple') ORDER BY rank`)
      .all()
      .map((row) => row["rowid"]);

  test.each(["content", "cont", "c", "CONTENT"])("an index of some rows only (%s=…)", (option) => {
    const { copy } = copied([
      ...POSTS,
      `CREATE VIRTUAL TABLE f USING fts5(title, ${option}='posts', content_rowid='id')`,
      "INSERT INTO f(rowid, title) SELECT id, title FROM posts WHERE live",
    ]);
    expect(found(copy, "f")).toEqual([1, 3]);
  });

  test("an empty index of a table with rows", () => {
    const { copy } = copied([...POSTS, "CREATE VIRTUAL TABLE f USING fts5(title, content=posts, content_rowid=id)"]);
    expect(found(copy, "f")).toEqual([]);
  });

  test("an index of many rows, in parts", () => {
    const { copy } = copied([
      "CREATE TABLE posts(id INTEGER PRIMARY KEY, title)",
      `${many(5_000)} INSERT INTO posts SELECT i, 'apple ' || i FROM n`,
      "CREATE VIRTUAL TABLE f USING fts5(title, content=posts, content_rowid=id)",
      "INSERT INTO f(rowid, title) SELECT id, title FROM posts WHERE id % 3",
    ]);
    expect(found(copy, "f")).toHaveLength(3_334);
  });

  test("an index of a view", () => {
    const { copy } = copied([
      ...POSTS,
      "CREATE VIEW live_posts AS SELECT id, title FROM posts WHERE live",
      "CREATE VIRTUAL TABLE f USING fts5(title, content='live_posts', content_rowid='id')",
      "INSERT INTO f(f) VALUES ('rebuild')",
    ]);
    expect(found(copy, "f")).toEqual([1, 3]);
  });

  test("settings", () => {
    const { copy } = copied([
      "CREATE VIRTUAL TABLE notes USING fts5(title, body)",
      "INSERT INTO notes(rowid, title, body) VALUES (1, 'apple', 'nothing here at all'), (2, 'nothing', 'apple apple apple'), (3, 'x', 'y')",
      "INSERT INTO notes(notes, rank) VALUES ('rank', 'bm25(10.0, 1.0)')",
      ...["pgsz', 64", "automerge', 2", "usermerge', 3", "crisismerge', 5", "secure-delete', 1"].map(
        (set) => `INSERT INTO notes(notes, rank) VALUES ('${set})`,
      ),
    ]);
    expect(found(copy, "notes")).toEqual([1, 2]);
    expect(copy.prepare("SELECT count(*) AS n FROM notes_config").get()).toEqual({ n: 7 });
  });

  test("an ordinary table with the name of a shadow table", () => {
    for (const [option, suffix] of [
      ["content='search_content'", "content"],
      ["columnsize=0", "docsize"],
    ] as const) {
      const { copy } = copied([
        `CREATE TABLE search_${suffix}(id INTEGER PRIMARY KEY, title)`,
        `INSERT INTO search_${suffix} VALUES (1, 'apple'), (2, 'pear')`,
        `CREATE VIRTUAL TABLE search USING fts5(title, ${option})`,
        suffix === "content" ? "INSERT INTO search(search) VALUES ('rebuild')" : "INSERT INTO search VALUES ('apple')",
      ]);
      expect(copy.prepare(`SELECT * FROM search_${suffix}`).all()).toHaveLength(2);
    }
  });

  test.each([
    ["CREATE VIRTUAL TABLE f USING fts5(x, content='')", 'The full-text table "f" keeps no content'],
    ["CREATE VIRTUAL TABLE f USING fts5(x, c='')", 'The full-text table "f" keeps no content'],
    ["CREATE VIRTUAL TABLE f USING fts5(x, content='', contentless_delete=1)", 'The full-text table "f" keeps no content'],
    ["CREATE VIRTUAL TABLE f USING fts5(x, locale=1)", 'The full-text table "f" keeps locales'],
    ["CREATE VIRTUAL TABLE f USING fts5('x\ny')", "a line break or another control character"],
    [`CREATE VIRTUAL TABLE f USING fts5(x, tokenize = "unicode61 separators '\n'")`, "a line break or another control character"],
    ['CREATE TABLE "a\nb"(x)', "a line break or another control character"],
    ['CREATE TABLE a("x\ry")', "a line break or another control character"],
    ["CREATE TABLE a(x UNIQUE ON CONFLICT ROLLBACK)", "ROLLBACK"],
    ["CREATE TRIGGER g AFTER INSERT ON p BEGIN SELECT RAISE(ROLLBACK, 'no'); END", "ROLLBACK"],
  ])("%j is refused with a reason", (sql, reason) => {
    expect(refusal(["CREATE TABLE p(x)", sql])).toContain(reason);
  });

  test("an index of deleted rows is refused, and the survey detects an index of changed text", () => {
    const index = ["CREATE VIRTUAL TABLE f USING fts5(title, content=posts, content_rowid=id)", "INSERT INTO f(f) VALUES ('rebuild')"];
    expect(refusal([...POSTS, ...index, "DELETE FROM posts WHERE id = 1"])).toContain('rows that no longer exist in "posts"');
    const source = open([...POSTS, ...index, "UPDATE posts SET title = 'lemon' WHERE id = 1"]);
    const copy = open([dump(source).sql]);
    expect(survey(copy).tables.filter((table, at) => table.hash !== survey(source).tables[at]?.hash)).toMatchObject([{ name: "f" }]);
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
    ["a sequence of deleted rows", ["CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO s VALUES (77)", "DELETE FROM s"]],
  ])("%s", (_, statements) => {
    const { sql, source } = copied(statements);
    if (!hasShell) return;
    expect(throughShell(sql, (database) => expect(survey(database).tables).toEqual(survey(source).tables)).files).toEqual([]);
  });
});
