/** Full-text tables. A copy finds the same rows, or the dump is refused with a reason. */
import { describe, expect, test } from "vitest";
import { copied, many, refusal } from "../../support/node/copied.ts";
import { dump, open, survey } from "../../support/node/sqlite.ts";

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
    ["CREATE VIRTUAL TABLE f USING fts5(x, content=)", 'The full-text table "f" keeps no content'],
    ["CREATE VIRTUAL TABLE f USING fts5(x, content=, columnsize=0)", 'The full-text table "f" keeps no content'],
    ["CREATE VIRTUAL TABLE f USING fts5(x, content=nowhere, columnsize=0)", "no such table: nowhere"],
    ["CREATE VIRTUAL TABLE f USING fts5(y, content=p, columnsize=0)", "no such column: t.y"],
    ["CREATE VIRTUAL TABLE f USING fts5(x, content='', contentless_delete=1)", 'The full-text table "f" keeps no content'],
    ["CREATE VIRTUAL TABLE f USING fts5(x, locale=1)", 'The full-text table "f" keeps locales'],
    ["CREATE VIRTUAL TABLE f USING fts5('x\ny')", "a line break or another control character"],
    [`CREATE VIRTUAL TABLE f USING fts5(x, tokenize = "unicode61 separators '\n'")`, "a line break or another control character"],
    ['CREATE TABLE "a\nb"(x)', "a line break or another control character"],
    ['CREATE TABLE a("x\ry")', "a line break or another control character"],
    ["CREATE TABLE a(x UNIQUE ON CONFLICT ROLLBACK)", "ROLLBACK"],
    ["CREATE TRIGGER g AFTER INSERT ON p BEGIN SELECT RAISE(ROLLBACK, 'no'); END", "ROLLBACK"],
    [`CREATE TABLE a(x DEFAULT '\n${"long ".repeat(12_000)}')`, "it would have 120051 bytes, and a statement can have 100000"],
  ])("%j is refused with a reason", (sql, reason) => {
    expect(refusal(["CREATE TABLE p(x)", sql])).toContain(reason);
  });

  test("an index that needs the rowids of 100 columns is refused, and kept with a key", () => {
    const wide = (first: string): string[] => [
      `CREATE TABLE wide(${first}, ${Array.from({ length: 99 }, (_, n) => `c${n}`).join(", ")})`,
      "INSERT INTO wide(rowid, c0) VALUES (7, 'apple'), (3, 'pear')",
      "CREATE VIRTUAL TABLE f USING fts5(c0, content=wide)",
      "INSERT INTO f(f) VALUES('rebuild')",
    ];
    expect(refusal(wide("x"))).toContain('needs the rowids of "wide", which a table of 100 columns loses');
    expect(found(copied(wide("x INTEGER PRIMARY KEY")).copy, "f")).toEqual([7]);
  });

  test("a view that only the shell can read is refused, so that no reader runs it", () => {
    const view = "CREATE VIEW v AS SELECT 1 AS id, edit('x', 'id>PWNED;') AS title";
    for (const option of ["", ", columnsize=0"]) {
      const index = `CREATE VIRTUAL TABLE f USING fts5(title, content=v, content_rowid=id${option})`;
      expect(refusal([view, index])).toContain("no such function: edit");
    }
  });

  test("an index without sizes is kept if it covers all rows, and refused otherwise", () => {
    const index = "CREATE VIRTUAL TABLE f USING fts5(title, content=posts, content_rowid=id, columnsize=0)";
    const { copy } = copied([...POSTS, index, "INSERT INTO f(f) VALUES('rebuild')"]);
    expect(found(copy, "f")).toHaveLength(3);
    expect(refusal([...POSTS, index, "INSERT INTO f(rowid, title) VALUES (1, 'apple')"])).toContain('does not match the text of "posts"');
  });

  test("an index of deleted rows or of changed text is refused, and the survey detects it", () => {
    const index = ["CREATE VIRTUAL TABLE f USING fts5(title, content=posts, content_rowid=id)", "INSERT INTO f(f) VALUES ('rebuild')"];
    expect(refusal([...POSTS, ...index, "DELETE FROM posts WHERE id = 1"])).toContain('rows that no longer exist in "posts"');
    const changed = [...POSTS, ...index, "UPDATE posts SET title = 'lemon' WHERE id = 1"];
    expect(refusal(changed)).toContain('does not match the text of "posts". To fix it, run INSERT INTO "f"("f") VALUES(\'rebuild\')');
    const source = open(changed);
    const copy = open([dump(source).sql]);
    expect(survey(copy).tables.filter((table, at) => table.hash !== survey(source).tables[at]?.hash)).toMatchObject([{ name: "f" }]);
  });
});
