import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { realLiteral } from "../../../worker/src/tenant-database/literals.ts";

const database = new DatabaseSync(":memory:");

const bitsOf = (value: number): bigint => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
};

/** The literal's value in SQLite. */
const read = (literal: string): unknown => Object.values(database.prepare(`SELECT ${literal} AS v`).get() ?? {})[0];

describe("a real as SQL", () => {
  test.each([
    [1, "1.0"],
    [-7, "-7.0"],
    [0, "0.0"],
    [-0, "-0.0"],
    [2 ** 53, "9007199254740992.0"],
    [19.99, "19.99"],
    [-0.125, "-0.125"],
    [0.1234, "1234/10000.0"],
    [-12.3456, "-123456/10000.0"],
    [123456789.012345, "123456789012345/1000000.0"],
    [0.1 + 0.2, "1351079888211149/4503599627370496.0"],
    [2 ** 54, "1*18014398509481984.0"],
    [2 ** -1074, `1${"/4611686018427387904.0".repeat(17)}/1048576.0`],
    [Infinity, "9.0e+999"],
    [-Infinity, "-9.0e+999"],
  ])("%d is %s, which is read back bit by bit", (value, literal) => {
    expect(realLiteral(value)).toBe(literal);
    expect(read(literal)).toBe(value);
  });

  test("never has an exponent or more than three decimals, which some SQLite versions round differently", () => {
    const values = Array.from({ length: 5_000 }, (_, n) => Math.sin(n) * 10 ** ((n % 600) - 300));
    const decimals = values.map(realLiteral).filter((literal) => /e|\.\d{4,}/u.test(literal.replaceAll(/[*/]\d+\.0/gu, "")));
    expect(decimals).toEqual([]);
  });

  test("of any size is read back bit by bit", () => {
    const values = Array.from({ length: 20_000 }, (_, n) => Math.sin(n * 7.77) * 2 ** ((n % 2_120) - 1_090));
    const wrong = values.filter((value) => bitsOf(Number(read(realLiteral(value)))) !== bitsOf(value));
    expect(wrong).toEqual([]);
  });
});
