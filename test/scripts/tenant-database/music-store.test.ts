/** An ordinary database is dumped and loaded, and the copy is compared with it. */
import type { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { copied } from "../../support/node/copied.ts";
import { MUSIC_STORE } from "../../support/node/music-store.ts";
import { hasShell, throughShell } from "../../support/node/sqlite-shell.ts";
import { content, dump, survey } from "../../support/node/sqlite.ts";

const { source, copy, sql } = copied(MUSIC_STORE);

const QUESTIONS = [
  'SELECT * FROM "Sales by country"',
  "SELECT Name, sum(Quantity) AS sold FROM InvoiceLine JOIN Track USING (TrackId) GROUP BY TrackId ORDER BY sold DESC, TrackId LIMIT 20",
  `WITH RECURSIVE chain(id, depth) AS (SELECT EmployeeId, 0 FROM Employee WHERE ReportsTo IS NULL
   UNION ALL SELECT EmployeeId, depth + 1 FROM Employee JOIN chain ON ReportsTo = id) SELECT * FROM chain ORDER BY id`,
  "SELECT rowid FROM TrackSearch('agua NOT live') ORDER BY rank, rowid",
  "SELECT sum(Seconds) AS seconds, max(Bytes) = 9007199254740993 AS exact FROM Track",
  "SELECT seq FROM sqlite_sequence WHERE name = 'Genre'",
];
const answers = (database: DatabaseSync): unknown[] => QUESTIONS.map((question) => database.prepare(question).all());

describe("a music store with 11 tables", () => {
  test("has the same rows, and answers in the same way", () => {
    const counts = survey(source).tables.map(({ name, rows }) => [name, rows]);
    expect(Object.fromEntries(counts)).toMatchObject({
      Artist: 40,
      Album: 60,
      Track: 350,
      PlaylistTrack: 200,
      Employee: 8,
      InvoiceLine: 400,
    });
    expect(answers(copy)).toEqual(answers(source));
    expect(answers(copy).every((rows) => Array.isArray(rows) && rows.length > 0)).toBe(true);
    expect(copy.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    expect(copy.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
    expect(dump(copy).sql).toBe(sql);
  });

  test("has triggers that did not run while its rows were loaded, and run afterwards", () => {
    const { copy: used } = copied(MUSIC_STORE);
    used.exec("INSERT INTO InvoiceLine VALUES (401, 1, 3, 5, 2)");
    const total = "SELECT Total AS total FROM Invoice WHERE InvoiceId = 1";
    expect(Number(used.prepare(total).get()?.["total"])).toBeCloseTo(Number(source.prepare(total).get()?.["total"]) + 10);
  });

  test.each(hasShell ? ["sqlite3"] : [])("is loaded by the %s shell", () => {
    const loaded = (database: DatabaseSync): void => {
      expect(survey(database)).toEqual(survey(source));
      expect(content(database)).toEqual(content(source));
      expect(answers(database)).toEqual(answers(source));
    };
    for (const options of [["-safe", "-bail"], []]) {
      expect(throughShell(sql, loaded, ...options)).toEqual({ status: 0, complaints: "", files: [] });
    }
  });
});
