import { describe, expect, test } from "vitest";
import { meaningOf, pauseAfter } from "../../worker/src/webhooks/retry.ts";

const SECOND = 1_000;

describe("the meaning of a response", () => {
  test.each([
    [200, 1, "delivered"],
    [204, 5, "delivered"],
    [299, 5, "delivered"],
    [199, 1, "again"],
    [300, 1, "again"],
    [302, 4, "again"],
    [400, 1, "again"],
    [404, 5, "given_up"],
    [409, 1, "again"],
    [410, 1, "gone"],
    [410, 5, "gone"],
    [429, 1, "again"],
    [500, 4, "again"],
    [500, 5, "given_up"],
    [null, 4, "again"],
    [null, 5, "given_up"],
  ] as const)("%s to attempt %s of 5: %s", (status, attempt, meaning) => {
    expect(meaningOf({ status, sent: true }, attempt, 5)).toBe(meaning);
  });

  test("a forbidden address is not retried", () => {
    expect(meaningOf({ status: null, sent: false }, 1, 5)).toBe("given_up");
  });
});

describe("the pause after an attempt", () => {
  test("grows eightfold, by up to a fifth more", () => {
    const after = (chance: number) => [1, 2, 3, 4].map((attempt) => pauseAfter(attempt, { status: 500, retryAfterSeconds: null }, chance));
    expect(after(0)).toEqual([5, 40, 320, 2_560].map((seconds) => seconds * SECOND));
    expect(after(1)).toEqual([6, 48, 384, 3_072].map((seconds) => seconds * SECOND));
  });

  test.each([
    [429, 100, 100],
    [503, 100, 100],
    [503, 2, 5],
    [503, 0, 5],
    [429, 3_600, 3_600],
    [429, 3_601, 3_600],
    [429, 999_999_999, 3_600],
    [500, 100, 5],
    [200, 100, 5],
    [429, null, 5],
  ] as const)("of %s with Retry-After %s is %s s", (status, retryAfterSeconds, seconds) => {
    expect(pauseAfter(1, { status, retryAfterSeconds }, 0)).toBe(seconds * SECOND);
  });
});
