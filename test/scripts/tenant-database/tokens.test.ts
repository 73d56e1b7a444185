/** Compares the tokens with a real SQLite, whose error messages name the first unexpected token. */
import { DatabaseSync } from "node:sqlite";
import { array, assert, constantFrom, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { refusalOf, statementsIn } from "../../../worker/src/tenant-database/lexer.ts";
import { tokensOf } from "../../../worker/src/tenant-database/tokens.ts";
import type { Token } from "../../../worker/src/tenant-database/tokens.ts";
import { SOAK } from "../../support/node/soak.ts";

const RUNS = SOAK ? 200_000 : 3_000;
const database = new DatabaseSync(":memory:");

/** The first token of a text according to SQLite's error message. No statement begins with any of these tokens. */
function firstBySqlite(sql: string): { readonly text: string; readonly isIllegal: boolean } | string {
  try {
    database.prepare(sql);
    return "no error";
  } catch (error) {
    const message = error instanceof Error ? error.message : "";
    const near = /^near "([\s\S]*)": syntax error$/u.exec(message)?.[1];
    const illegal = /^unrecognized token: "([\s\S]*)"$/u.exec(message)?.[1];
    if (near === undefined && illegal === undefined) return message;
    return { text: near ?? illegal ?? "", isIllegal: illegal !== undefined };
  }
}

const CHARACTERS = "'\"`[]()#$@:?;-/*.,=<>|&!~^\\{}+% \t\n\v\f\r\u0001\u007F";
const LONGER = "-- /* */ :: -> ->> '' \"\" `` x' X'0 0x 1e5 1. .5 1_000 a _b é 😀 \uFEFF \u2028 q1 zz $a #b( :c @d ?1 0 9 e E+1";
const PIECES = [...CHARACTERS.split(""), ...LONGER.split(" ")];
const text = array(constantFrom(...PIECES), { maxLength: 14 }).map((pieces) => pieces.join(""));

describe("tokens", () => {
  test("equal SQLite's tokens", () => {
    assert(
      property(text, (sql) => {
        for (const { text: found, start, kind } of tokensOf(sql)) {
          // SQLite skips an empty statement, and reports the token after its semicolon.
          if (kind === "semicolon") continue;
          expect({ sql, of: firstBySqlite(sql.slice(start)) }).toEqual({ sql, of: { text: found, isIllegal: kind === "illegal" } });
        }
      }),
      { numRuns: RUNS, seed: 7, endOnFailure: false },
    );
  });

  test("omit only blanks and comments", () => {
    assert(
      property(text, (sql) => {
        let end = 0;
        const gaps: string[] = [];
        const tokens: Token[] = [...tokensOf(sql)];
        for (const token of tokens) {
          gaps.push(sql.slice(end, token.start));
          end = token.start + token.text.length;
        }
        if (tokens.at(-1)?.kind !== "illegal") gaps.push(sql.slice(end));
        // SQLite ignores them, and reports the word after them. An unclosed comment also hides that word.
        for (const gap of gaps) {
          expect({ gap, of: firstBySqlite(`${gap}\nhere`) }).toEqual({
            gap,
            of: hidesAll(gap) ? "no error" : { text: "here", isIllegal: false },
          });
        }
      }),
      { numRuns: RUNS, seed: 8 },
    );
  });
});

/** Whether the text ends in an unclosed comment. */
const hidesAll = (gap: string): boolean => [...tokensOf(`${gap}\nhere`)].length === 0;

test("an accepted statement has the same end as in SQLite", () => {
  const words = constantFrom(
    "SELECT",
    "1",
    "AS",
    "a",
    "'b'",
    '"c"',
    "[d]",
    "`e`",
    ",",
    "(",
    ")",
    ";",
    "--x\n",
    "/*y*/",
    "$f",
    ":g(h)",
    "#i(')",
    "'",
    "FROM",
    "x'00'",
    "CREATE",
    "TRIGGER",
    "BEGIN",
    "END",
    "TABLE",
  );
  assert(
    property(array(words, { maxLength: 12 }), (parts) => {
      const statements = statementsIn(parts.join(" "));
      const [first] = statements;
      if (first === undefined || statements.length > 1 || refusalOf(first) !== null) return;
      // SQLite compiles the complete text.
      let whole: string;
      try {
        whole = database.prepare(`${first.text}\n`).sourceSQL;
      } catch {
        return;
      }
      expect(whole.trim()).toBe(first.text);
    }),
    { numRuns: RUNS, seed: 9 },
  );
});

describe("tokens are read in linear time:", () => {
  const MANY = 200_000;
  test.each([
    "[",
    "'",
    '"',
    "`",
    "/*",
    "--",
    "#a(",
    "$a(",
    ":::",
    "x'",
    "1e",
    "a(",
    "`\"['",
    "''",
    ";",
    "CREATE TRIGGER ;",
    "create trigger;;;",
    "((((",
    "?",
  ])("%s, repeated", (piece) => {
    const began = performance.now();
    statementsIn(piece.repeat(Math.ceil(MANY / piece.length)));
    expect(performance.now() - began).toBeLessThan(3_000);
  });
});
