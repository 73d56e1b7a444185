import { describe, expect, test } from "vitest";
import { callsFor, effectivePrice, isConfirmed, provenCost, suggestedPrice } from "../../worker/src/quota/billing.ts";

describe("the price of a batch", () => {
  test.each([
    ["a rise of 1 is one call a request", { batchOf: 1_000, spentBefore: 10, spentAfter: 11, others: 0 }, "per_request"],
    ["a rise of n is one call an ISBN", { batchOf: 1_000, spentBefore: 10, spentAfter: 1_010, others: 0 }, "per_isbn"],
    [
      "a rise above n is one call an ISBN, and somebody else's",
      { batchOf: 1_000, spentBefore: 10, spentAfter: 1_500, others: 0 },
      "per_isbn",
    ],
    [
      "a rise below n cannot be one an ISBN, whoever else spent",
      { batchOf: 1_000, spentBefore: 10, spentAfter: 400, others: 50 },
      "per_request",
    ],
    ["a rise that our other requests explain says nothing", { batchOf: 3, spentBefore: 10, spentAfter: 13, others: 2 }, null],
    ["a rise that our other requests cannot explain does", { batchOf: 3, spentBefore: 10, spentAfter: 14, others: 2 }, "per_isbn"],
    ["a pair is told apart", { batchOf: 2, spentBefore: 0, spentAfter: 2, others: 0 }, "per_isbn"],
    ["a count that did not move says nothing", { batchOf: 5, spentBefore: 10, spentAfter: 10, others: 0 }, null],
    ["a count that fell back says nothing", { batchOf: 5, spentBefore: 10, spentAfter: 1, others: 0 }, null],
  ])("%s", (_, count, expected) => {
    expect(suggestedPrice(count)).toBe(expected);
  });

  test("of a cheap batch is confirmed by the next one, unless the count only lagged behind", () => {
    const first = { date: "2031-05-14", batchOf: 1_000, spentBefore: 100 };
    expect(isConfirmed(first, 102)).toBe(true);
    // Others spent much meanwhile: still less than the first batch would have cost.
    expect(isConfirmed(first, 900)).toBe(true);
    // The first batch appears in the count after all.
    expect(isConfirmed(first, 1_102)).toBe(false);
    expect(isConfirmed(first, 3)).toBe(false);
  });

  test("is as configured, unless it is to be found out", () => {
    const learned = { price: "per_isbn", source: "observed" } as const;
    expect(effectivePrice("per_request", learned)).toEqual({ price: "per_request", source: "configured" });
    expect(effectivePrice("auto", learned)).toEqual(learned);
    expect(effectivePrice("auto", null)).toBeNull();
  });

  test.each([
    ["nothing, where it failed and the count did not move", 100, 100, false, 0],
    ["one call, where it failed and the count moved a little", 100, 103, false, 1],
    ["its size, where it failed and the count rose by as much", 100, 120, false, 20],
    ["one call, where it was delivered", 100, 101, true, 1],
    ["its size, where it was delivered and the count rose by as much", 100, 125, true, 20],
    ["unknown, where it was delivered and the count lags behind", 100, 100, true, null],
    ["unknown, where the count fell", 100, 1, false, null],
  ] as const)("two counts around a batch of 20 prove its cost: %s", (_, spentBefore, spentAfter, delivered, expected) => {
    expect(provenCost({ batchOf: 20, spentBefore, spentAfter, delivered })).toBe(expected);
  });

  test.each([
    [{ calls: 7 }, null, 7],
    [{ calls: 7 }, "per_isbn", 7],
    [{ batchOf: 9 }, "per_request", 1],
    [{ batchOf: 9 }, "per_isbn", 9],
    [{ batchOf: 9 }, null, 9],
  ] as const)("%o costs at %s %i calls", (cost, price, expected) => {
    expect(callsFor(cost, price)).toBe(expected);
  });
});
