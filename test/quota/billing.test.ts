import { describe, expect, test } from "vitest";
import { callsFor, effectivePrice, isConfirmed, provenCost, suggestedPrice } from "../../worker/src/quota/billing.ts";

describe("the price of a batch", () => {
  test.each([
    ["a rise of 1 means one call per request", { batchOf: 1_000, spentBefore: 10, spentAfter: 11, others: 0 }, "per_request"],
    ["a rise of n means one call per ISBN", { batchOf: 1_000, spentBefore: 10, spentAfter: 1_010, others: 0 }, "per_isbn"],
    [
      "a rise above n means one call per ISBN, plus untracked calls",
      { batchOf: 1_000, spentBefore: 10, spentAfter: 1_500, others: 0 },
      "per_isbn",
    ],
    [
      "a rise below n excludes one call per ISBN, for any other usage",
      { batchOf: 1_000, spentBefore: 10, spentAfter: 400, others: 50 },
      "per_request",
    ],
    ["a rise that other reservations can explain proves nothing", { batchOf: 3, spentBefore: 10, spentAfter: 13, others: 2 }, null],
    [
      "a rise that other reservations cannot explain proves one call per ISBN",
      { batchOf: 3, spentBefore: 10, spentAfter: 14, others: 2 },
      "per_isbn",
    ],
    ["a batch of 2 can prove it too", { batchOf: 2, spentBefore: 0, spentAfter: 2, others: 0 }, "per_isbn"],
    ["an unchanged count proves nothing", { batchOf: 5, spentBefore: 10, spentAfter: 10, others: 0 }, null],
    ["a lower count proves nothing", { batchOf: 5, spentBefore: 10, spentAfter: 1, others: 0 }, null],
  ])("%s", (_, count, expected) => {
    expect(suggestedPrice(count)).toBe(expected);
  });

  test("of a cheap batch is confirmed by the next batch, unless the count only lagged behind", () => {
    const first = { date: "2031-05-14", batchOf: 1_000, spentBefore: 100 };
    expect(isConfirmed(first, 102)).toBe(true);
    // Other callers used calls since then, but fewer than the first batch would have cost at one call per ISBN.
    expect(isConfirmed(first, 900)).toBe(true);
    // The provider's count now includes the first batch, at one call per ISBN.
    expect(isConfirmed(first, 1_102)).toBe(false);
    expect(isConfirmed(first, 3)).toBe(false);
  });

  test("is the configured one, or with `auto` the learned one", () => {
    const learned = { price: "per_isbn", source: "observed" } as const;
    expect(effectivePrice("per_request", learned)).toEqual({ price: "per_request", source: "configured" });
    expect(effectivePrice("auto", learned)).toEqual(learned);
    expect(effectivePrice("auto", null)).toBeNull();
  });

  test.each([
    ["0, if it failed and the count did not change", 100, 100, false, 0],
    ["one call, if it failed and the count rose by less than its size", 100, 103, false, 1],
    ["its size, if it failed and the count rose by at least its size", 100, 120, false, 20],
    ["one call, if it was delivered and the count rose by 1", 100, 101, true, 1],
    ["its size, if it was delivered and the count rose by at least its size", 100, 125, true, 20],
    ["unknown, if it was delivered and the count lags behind", 100, 100, true, null],
    ["unknown, if the count fell", 100, 1, false, null],
  ] as const)("two counts around a batch of 20 prove its cost: %s", (_, spentBefore, spentAfter, delivered, expected) => {
    expect(provenCost({ batchOf: 20, spentBefore, spentAfter, delivered })).toBe(expected);
  });

  test.each([
    [{ calls: 7 }, null, 7],
    [{ calls: 7 }, "per_isbn", 7],
    [{ batchOf: 9 }, "per_request", 1],
    [{ batchOf: 9 }, "per_isbn", 9],
    [{ batchOf: 9 }, null, 9],
  ] as const)("%o at the price %s costs %i calls", (cost, price, expected) => {
    expect(callsFor(cost, price)).toBe(expected);
  });
});
