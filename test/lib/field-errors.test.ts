/** Errors of fields are plain sentences with the field, the value and the accepted values. They have no text of the validation library. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { fieldErrors, sentenceOf, suggestion } from "../../worker/src/lib/field-errors.ts";

function sentences(schema: z.ZodType, given: unknown): string[] {
  const { error } = schema.safeParse(given);
  return fieldErrors(error?.issues ?? [], given, "body").map(sentenceOf);
}

const BODY = z.strictObject({
  calls: z.int().min(1).max(1_000),
  ttl_seconds: z.number().max(300).optional(),
  id: z.string().min(1).max(8).optional(),
  priority: z.enum(["interactive", "background"]).optional(),
  urls: z.array(z.url()).min(1).max(2).optional(),
  at: z.iso.datetime().optional(),
  note: z.union([z.string(), z.null()]).optional(),
  deep: z.strictObject({ inner: z.boolean() }).optional(),
});

describe("a field error", () => {
  it.each([
    [{}, "`calls` is required."],
    [{ calls: 0 }, "`calls` must be at least 1 (got 0)."],
    [{ calls: 1_001 }, "`calls` must be at most 1000 (got 1001)."],
    [{ calls: 1.5 }, "`calls` must be a whole number (got 1.5)."],
    [{ calls: "1" }, '`calls` must be a number (got "1").'],
    [{ calls: 1, ttl: 30 }, "`ttl` is not a known field (got 30). Did you mean `ttl_seconds`?"],
    [{ calls: 1, TTLSeconds: 30 }, "`TTLSeconds` is not a known field (got 30). Did you mean `ttl_seconds`?"],
    [{ calls: 1, xyz: 30 }, "`xyz` is not a known field (got 30)."],
    [{ calls: 1, id: "" }, '`id` must not be empty (got "").'],
    [{ calls: 1, id: "123456789" }, '`id` must have at most 8 characters (got "123456789").'],
    [
      { calls: 1, priority: "backgrund" },
      '`priority` must be one of interactive, background (got "backgrund"). Did you mean `background`?',
    ],
    [{ calls: 1, priority: 7 }, "`priority` must be one of interactive, background (got 7)."],
    [{ calls: 1, urls: [] }, "`urls` must have at least one item (got an array of 0)."],
    [{ calls: 1, urls: ["x"] }, '`urls.0` must be a URL (got "x").'],
    [{ calls: 1, at: "noon" }, '`at` must be a time in ISO 8601, such as 2025-12-30T14:03:11Z (got "noon").'],
    [{ calls: 1, note: 5 }, "`note` must be a string or null (got 5)."],
    [{ calls: 1, deep: { inner: 1 } }, "`deep.inner` must be true or false (got 1)."],
    [{ calls: 1, deep: { inner: true, iner: 1 } }, "`deep.iner` is not a known field (got 1). Did you mean `inner`?"],
    ["text", "`body` must be an object."],
  ])("of %j says: %s", (given, expected) => {
    expect(sentences(BODY, given)).toEqual([expected]);
  });

  it("is one for each unknown field", () => {
    expect(sentences(BODY, { calls: 1, one: 1, two: 2 })).toEqual([
      "`one` is not a known field (got 1).",
      "`two` is not a known field (got 2).",
    ]);
  });

  it("carries the value itself, unless it is large", () => {
    const value = (given: unknown): unknown =>
      fieldErrors(BODY.safeParse({ calls: given }).error?.issues ?? [], { calls: given }, "body")[0]?.value;
    expect(value(0)).toBe(0);
    expect(value(null)).toBe(null);
    expect(value("0")).toBe("0");
    expect(value([1, "a"])).toEqual([1, "a"]);
    expect(value({ a: 1 })).toEqual({ a: 1 });
    expect(value({ a: { b: 1 } })).toBeUndefined();
    expect(value("x".repeat(1_000))).toHaveLength(201);
  });

  it("is a sentence without text of the validation library, for any body", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(BODY.shape), "call", "other"), fc.jsonValue()), (given) => {
        for (const sentence of sentences(BODY, given)) {
          expect(sentence).toMatch(/^(?:`[\w.-]+`|".*") (?:must|is) .*[.?]$/su);
          expect(sentence.replaceAll(/\(got .*\)/gsu, "")).not.toMatch(/expected|received|invalid|too (?:big|small)|undefined|\[object/iu);
        }
      }),
    );
  });
});

describe("a suggestion", () => {
  const known = ["limit", "cursor", "status", "project_id", "ttl_seconds"];

  it.each([
    ["limt", "limit"],
    ["Limit", "limit"],
    ["projectId", "project_id"],
    ["project", "project_id"],
    ["state", "status"],
    ["ttl", "ttl_seconds"],
  ])("for %s is %s", (given, name) => {
    expect(suggestion(given, known)).toBe(`Did you mean \`${name}\`?`);
  });

  it.each(["", "x", "frobnicate", "zzz"])("is none for %j", (given) => {
    expect(suggestion(given, known)).toBe(null);
  });
});
