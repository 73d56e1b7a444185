import { describe, expect, test } from "vitest";
import { leadingWords, statementsIn } from "../../worker/src/tenant-database/lexer.ts";

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
  test("end at the same position as in SQLite", () => {
    expect(statementsIn(SCRIPT.join("; -- next;\n")).map(({ text }) => text)).toEqual(SCRIPT);
  });

  test.each(SCRIPT)("%s is one statement, also with a semicolon and comments around it", (sql) => {
    expect(statementsIn(sql)).toHaveLength(1);
    expect(statementsIn(`/* ; */ ;; ${sql} ; -- ;`).map(({ text }) => text)).toEqual([sql]);
  });

  test.each(["", " \n", "-- only this", "/* never closed", ";;"])("%j contains no statement", (sql) => {
    expect(statementsIn(sql)).toEqual([]);
  });

  test.each([
    ["explain query plan select 1", ["SELECT"]],
    ["EXPLAIN pragma x", ["PRAGMA"]],
    ["/* a */ With x", ["WITH"]],
    ["'a'", [""]],
  ])("%s is identified by its first word", (sql, words) => {
    expect(statementsIn(sql).map((statement) => leadingWords(statement, 1))).toEqual([words]);
  });
});
