import { describe, expect, test } from "vitest";
import { parseIsbn, sortIsbns } from "../../worker/src/library/isbn.ts";

const FORM = "must have 10 or 13 digits (the last of 10 may be X), with or without hyphens and spaces";
const WRONG_10 = "has a wrong check digit for an ISBN-10";
const WRONG_13 = "has a wrong check digit for an ISBN-13";
const PREFIX = "must begin with 978 or 979, as every ISBN-13 does";

describe("an ISBN is accepted", () => {
  test.each([
    ["in normalized form", "9780141439518", "9780141439518"],
    ["with hyphens", "978-0-14-143951-8", "9780141439518"],
    ["with spaces, also around it", "  978 0 14 143951 8\n", "9780141439518"],
    ["with the hyphens and spaces of typesetters", "978\u20110\u201314\u00A0143951\u00AD\u20148", "9780141439518"],
    ["with ten digits", "0141439513", "9780141439518"],
    ["with ten digits and hyphens", "0-14-143951-3", "9780141439518"],
    ["with an X as its check digit", "080442957X", "9780804429573"],
    ["with a small x", "0-8044-2957-x", "9780804429573"],
    ["with ten zeros", "0000000000", "9780000000002"],
    ["in the 979 range", "979-10-90636-07-1", "9791090636071"],
  ])("%s: %j", (_, text, isbn13) => {
    expect(parseIsbn(text)).toEqual({ isbn13 });
  });
});

describe("an ISBN is refused with the reason", () => {
  test.each([
    ["", FORM],
    ["   ", FORM],
    ["-", FORM],
    ["978014143951", FORM],
    ["97801414395181", FORM],
    ["014143951", FORM],
    ["X141439513", FORM],
    ["978014143951X", FORM],
    ["ISBN 9780141439518", FORM],
    ["９７８０１４１４３９５１８", FORM],
    ["9780141439518,9780141439518", FORM],
    ["0141439510", WRONG_10],
    ["014143951X", WRONG_10],
    ["0414139513", WRONG_10],
    ["9780141439519", WRONG_13],
    ["9780141493518", WRONG_13],
    ["9770141439511", PREFIX],
    ["0000000000000", PREFIX],
  ])("%j: %s", (text, reason) => {
    expect(parseIsbn(text)).toEqual({ reason });
  });

  test("every wrong digit in every place of an ISBN of either length is detected", () => {
    for (const right of ["9780141439518", "0141439513"]) {
      const wrong = Array.from(right).flatMap((digit, place) =>
        Array.from("0123456789")
          .filter((other) => other !== digit)
          .map((other) => `${right.slice(0, place)}${other}${right.slice(place + 1)}`),
      );
      expect(wrong.filter((text) => "isbn13" in parseIsbn(text))).toEqual([]);
    }
  });
});

describe("a list is sorted", () => {
  test("into valid ISBN-13s, each once in the given order, and the others unchanged", () => {
    expect(sortIsbns(["080442957X", "nonsense", "978-0-14-143951-8", "9780804429573", "0141439513", "nonsense", "9780141439519"])).toEqual({
      given: 7,
      valid: ["9780804429573", "9780141439518"],
      invalid: [
        { isbn: "nonsense", reason: FORM },
        { isbn: "nonsense", reason: FORM },
        { isbn: "9780141439519", reason: WRONG_13 },
      ],
    });
  });

  test("and an empty list gives nothing", () => {
    expect(sortIsbns([])).toEqual({ given: 0, valid: [], invalid: [] });
  });
});
