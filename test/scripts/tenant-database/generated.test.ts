/** Every generated database is dumped and loaded without a change, or refused with a reason. The dump runs no command in the sqlite3 shell. */
import { assert, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { expectDumpable } from "../../../worker/src/tenant-database/dump.ts";
import { Undumpable } from "../../../worker/src/tenant-database/undumpable.ts";
import { generatedDatabase } from "../../support/node/generated-database.ts";
import { hasShell, throughShell } from "../../support/node/sqlite-shell.ts";
import { content, dump, open, openWhatMayBe, readerOf, survey } from "../../support/node/sqlite.ts";
import { SOAK } from "../../support/node/soak.ts";

const RUNS = SOAK ? 4_000 : 200;
/** The shell checks one of this many runs, because its start is slow. */
const SHELL_EVERY = SOAK ? 5 : 20;
const LINE = /^(PRAGMA|BEGIN|INSERT|CREATE|UPDATE|DELETE|DROP|COMMIT)\b.*;$/u;

/** The dump, or the reason for a refusal. */
function dumpOf(database: ReturnType<typeof open>, maxBytes: number): string | Undumpable {
  try {
    expectDumpable(readerOf(database), "full");
    return dump(database, maxBytes).sql;
  } catch (error) {
    if (error instanceof Undumpable) return error;
    throw error;
  }
}

describe("a generated database", () => {
  test(
    "is dumped in parts of any size and loaded without a change, or refused with a reason",
    { timeout: SOAK ? 3_600_000 : 120_000 },
    () => {
      let runs = 0;
      const reasons: string[] = [];
      assert(
        property(generatedDatabase, integer({ min: 1, max: 200_000 }), (statements, maxBytes) => {
          const source = openWhatMayBe(statements);
          const sql = dumpOf(source, maxBytes);
          runs += 1;
          if (typeof sql !== "string") {
            reasons.push(sql.message);
            return;
          }
          const lines = sql.split("\n");
          expect(lines.pop()).toBe("");
          expect(lines.filter((line) => !LINE.test(line) || /[\p{Cc}\u2028\u2029]/u.test(line))).toEqual([]);
          const loaded = open([sql]);
          const found = survey(source);
          expect(survey(loaded, maxBytes)).toEqual(found);
          expect(content(loaded)).toEqual(content(source));
          expect(dump(loaded).sql).toBe(sql);
          if (!hasShell || runs % SHELL_EVERY !== 0) return;
          const { files } = throughShell(sql, () => undefined);
          expect(files).toEqual([]);
        }),
        { numRuns: RUNS, seed: 41 },
      );
      expect(reasons.filter((reason) => !/\w+ .*\./u.test(reason))).toEqual([]);
      expect(reasons.length).toBeLessThan(runs / 2);
    },
  );
});

describe.each(hasShell ? ["sqlite3"] : [])("the %s shell, without -safe,", () => {
  const POISON = [
    ["CREATE TABLE victim(x)", `CREATE VIEW report AS SELECT\ngo\n.shell "id>PWNED"\nFROM victim AS go`],
    ["CREATE TABLE t(x)", `INSERT INTO t VALUES ('\ngo\n.shell "id>PWNED"\n')`],
    ["CREATE TABLE t(x)", `INSERT INTO t VALUES ('\r.shell "id>PWNED"\r')`],
    ["CREATE TABLE t(x DEFAULT '\n/\n.shell \"id>PWNED\"\n', y)", "INSERT INTO t(y) VALUES (1)"],
    ["CREATE TABLE t(x /* '\n.shell \"id>PWNED\"\n */, y -- '\n)", "INSERT INTO t VALUES (1, 2)"],
    ["CREATE TABLE t(x)", `CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT\ngo\n.shell "id>PWNED"\nFROM t AS go; END`],
    ["CREATE TABLE t(x)", `CREATE INDEX i ON t(x || '\ngo\n.shell "id>PWNED"\n')`],
  ];

  test.each(POISON)("only loads %j, %j", (...statements) => {
    const source = open(statements);
    for (const options of [[], ["-safe", "-bail"]]) {
      const run = throughShell(
        dump(source).sql,
        (database) => {
          expect(survey(database).tables).toEqual(survey(source).tables);
          expect(content(database)).toEqual(content(source));
        },
        ...options,
      );
      expect(run).toEqual({ status: 0, complaints: "", files: [] });
    }
  });
});

test.each(["#b('", "$b('", "@b('", ":b('", '#b("', "$a::b('", "#b([", "#b(`"])(
  "a token that a reader could mistake for a quote is refused: %s",
  (token) => {
    const source = open([
      "CREATE VIRTUAL TABLE ft USING fts5(a)",
      `CREATE VIRTUAL TABLE r USING rtree(id ${token}), a, b)`,
      `INSERT INTO ft(rowid, a) VALUES (1, '\ngo\n.shell "id>PWNED2"\n')`,
      `CREATE VIEW v AS SELECT 1 AS ['"\`]`,
    ]);
    expect(() => dump(source)).toThrow(/has no SQL that every reader understands in the same way/u);
  },
);
