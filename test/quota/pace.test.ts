import { describe, expect, test } from "vitest";
import { nextSlot, pausedUntil } from "../../worker/src/quota/pace.ts";

/** Start times of `count` requests, each made as early as its longest wait allows. */
function slots(count: number, rate: number, now = 0): number[] {
  const starts: number[] = [];
  let free = 0;
  for (let index = 0; index < count; index += 1) {
    const requestedAt = Math.max(now, free - 9_000);
    const slot = nextSlot(free, requestedAt, rate, "interactive");
    if (slot.result === "refused") throw new Error("refused");
    starts.push(slot.startAt);
    free = slot.nextFreeAt;
  }
  return starts;
}

describe("the pace", () => {
  test.each([1, 3, 5, 10, 0.5])("at %d a second, no second has more requests, and no minute more than 60 times as many", (rate) => {
    const starts = slots(400, rate);
    const within = (from: number, span: number): number => starts.filter((start) => start >= from && start < from + span).length;
    for (const start of starts) {
      expect(within(start, 1_000)).toBeLessThanOrEqual(Math.max(1, rate));
      expect(within(start, 60_000)).toBeLessThanOrEqual(60 * rate);
    }
  });

  test.each([1, 3, 7, 100, 300, 500, 501, 999, 1_000])("at %d a second, it is at most 0.3 % slower", (rate) => {
    const starts = slots(2_000, rate);
    const perSecond = 1_999_000 / (starts.at(-1) ?? 0);
    expect(perSecond).toBeGreaterThan(rate * 0.997);
    expect(perSecond).toBeLessThanOrEqual(rate);
  });

  test("sends the first request immediately", () => {
    expect(nextSlot(0, 5_000, 3, "interactive")).toEqual({ result: "granted", startAt: 5_000, nextFreeAt: 5_334 });
  });

  test("is off at a rate of 0", () => {
    expect(nextSlot(99_999, 5_000, 0, "background")).toMatchObject({ result: "granted", startAt: 5_000 });
  });

  test.each([
    ["interactive", 15_000, { result: "granted", startAt: 15_000 }],
    ["interactive", 15_001, { result: "refused", waitMs: 1 }],
    ["background", 7_000, { result: "granted", startAt: 7_000 }],
    ["background", 7_001, { result: "refused", waitMs: 1 }],
  ] as const)("limits the wait of %s work at 5000 for a slot at %i", (priority, free, expected) => {
    expect(nextSlot(free, 5_000, 3, priority)).toMatchObject(expected);
  });

  test("a pause only moves the next slot later", () => {
    expect(pausedUntil(9_000, 5_000, 2)).toBe(9_000);
    expect(pausedUntil(6_000, 5_000, 2)).toBe(7_000);
  });

  test("no header and no clock jump make a pause longer than five minutes", () => {
    expect(pausedUntil(0, 5_000, 86_400)).toBe(305_000);
    expect(nextSlot(305_000, 5_000, 3, "interactive")).toEqual({ result: "refused", waitMs: 290_000 });
    expect(nextSlot(99_000_000, 5_000, 3, "interactive")).toMatchObject({ result: "granted", startAt: 5_000 });
  });
});
