import { describe, expect, test } from "vitest";
import { piecesOf } from "../../worker/src/tenant-database/import.ts";
import { leadingWords, split, statementsIn } from "../../worker/src/tenant-database/lexer.ts";
import { chunksOf } from "./support.ts";

const TRIGGER = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE 1 WHEN 1 THEN 'END;' END; DELETE FROM b; END";
const SCRIPT = [
  "SELECT ';', '''; --', \"a;\"\"b\", `;`, [;]",
  "SELECT 1 - -2 /* ; ' */ + 3",
  TRIGGER,
  TRIGGER.replace("CREATE", "create temp"),
  'CREATE TABLE trigger_like(begin, "end")',
  "INSERT INTO é VALUES ('-- no comment', x'3b', 1e5, :a, ?1)",
];

describe("statements", () => {
  test("end where SQLite ends them", () => {
    expect(statementsIn(SCRIPT.join("; -- next;\n")).map(({ text }) => text)).toEqual(SCRIPT);
  });

  test.each(SCRIPT)("%s is one, with or without its semicolon and what is around it", (sql) => {
    expect(statementsIn(sql)).toHaveLength(1);
    expect(statementsIn(`/* ; */ ;; ${sql} ; -- ;`).map(({ text }) => text)).toEqual([sql]);
  });

  test.each(["", " \n", "-- only this", "/* never closed", ";;"])("%j holds none", (sql) => {
    expect(statementsIn(sql)).toEqual([]);
  });

  test.each(["'", '"', "`", "["])("a %s that is never closed keeps its statement open", (quote) => {
    expect(split(`SELECT 1; SELECT ${quote}a; SELECT 2;`)).toMatchObject({
      statements: [{ text: "SELECT 1" }],
      rest: ` SELECT ${quote}a; SELECT 2;`,
    });
  });

  test.each([
    ["explain query plan select 1", ["SELECT"]],
    ["EXPLAIN pragma x", ["PRAGMA"]],
    ["/* a */ With x", ["WITH"]],
    ["'a'", [""]],
  ])("%s is told by its first word", (sql, words) => {
    expect(statementsIn(sql).map((statement) => leadingWords(statement, 1))).toEqual([words]);
  });
});

describe("pieces of a dump", () => {
  const dump = `${SCRIPT.join(";\n")};\n`;
  const pieces = async (characters: number, size: number): Promise<string[]> => {
    const found: string[] = [];
    for await (const piece of piecesOf(chunksOf(dump, characters), size)) found.push(piece);
    return found;
  };

  test.each([1, 2, 3, 7, 50, 1_000])("are the same however it was cut: every %i characters", async (characters) => {
    expect(await pieces(characters, 60)).toEqual(await pieces(10_000, 60));
    expect((await pieces(characters, 60)).join("")).toBe(dump);
  });

  test("hold whole statements, and the last one without its semicolon too", async () => {
    const cut = async function* () {
      yield "SELECT 1; SELECT";
      yield " 2";
    };
    const found: string[] = [];
    for await (const piece of piecesOf(cut(), 1)) found.push(piece);
    expect(found).toEqual(["SELECT 1;\n", " SELECT 2"]);
  });
});
