import { describe, expect, test } from "vitest";
import { CAP_TYPES } from "../../../worker/src/store/limits/meters.ts";
import { CAPS, MAX_CAP, withDefaults } from "../../../worker/src/tenants/limits/caps.ts";
import { capState, isExceeded, percentOf, thresholdsReached } from "../../../worker/src/tenants/limits/thresholds.ts";

const COUNTER = "function_invocations_per_day";
const GAUGE = "realtime_connections";

describe("usage compared with a cap", () => {
  test.each([
    [0, 0, [], "ok", "ok"],
    [79, 79, [], "ok", "ok"],
    [80, 80, [80], "warning", "warning"],
    [89, 89, [80], "warning", "warning"],
    [90, 90, [80, 90], "warning", "warning"],
    [99, 99, [80, 90], "warning", "warning"],
    [100, 100, [80, 90], "exceeded", "warning"],
    [101, 101, [80, 90], "exceeded", "exceeded"],
    [150, 150, [80, 90], "exceeded", "exceeded"],
  ])("%i of 100 is %i %%, has reached %j, and is %s for a counter, %s for a gauge", (used, percent, reached, counter, gauge) => {
    const usage = { used, cap: 100 };
    expect(percentOf(usage)).toBe(percent);
    expect(thresholdsReached(usage)).toEqual(reached);
    expect(capState(COUNTER, usage)).toBe(counter);
    expect(capState(GAUGE, usage)).toBe(gauge);
  });

  test("every counter is exceeded at its cap, the gauge only above it", () => {
    const over = (used: number) => CAP_TYPES.filter((type) => isExceeded(type, { used, cap: 7 }));
    expect(over(6)).toEqual([]);
    expect(over(7)).toEqual(CAP_TYPES.filter((type) => type !== GAUGE));
    expect(over(8)).toEqual(CAP_TYPES);
  });

  test.each([
    [0, "ok", false],
    [1, "exceeded", true],
  ])("of a cap of 0, %i used is %s: it has no warnings, and any use suspends", (used, state, exceeded) => {
    const usage = { used, cap: 0 };
    for (const type of CAP_TYPES) {
      expect({ state: capState(type, usage), exceeded: isExceeded(type, usage) }).toEqual({ state, exceeded });
    }
    expect(thresholdsReached(usage)).toEqual([]);
    expect(percentOf(usage)).toBeNull();
  });

  test.each([
    ["unlimited", { used: 1e12, cap: null }, "unlimited"],
    ["unlimited and unknown", { used: null, cap: null }, "unlimited"],
    ["unknown", { used: null, cap: 10 }, "unknown"],
    ["unknown usage of a cap of 0", { used: null, cap: 0 }, "unknown"],
  ] as const)("%s neither warns nor suspends", (_, usage, state) => {
    for (const type of CAP_TYPES) {
      expect(capState(type, usage)).toBe(state);
      expect(isExceeded(type, usage)).toBe(false);
    }
    expect(thresholdsReached(usage)).toEqual([]);
    expect(percentOf(usage)).toBeNull();
  });

  test("small caps warn at the exact percentage, not at a rounded one", () => {
    expect([0, 1, 2, 3].map((used) => thresholdsReached({ used, cap: 3 }))).toEqual([[], [], [], [80, 90]]);
    expect([8, 9].map((used) => thresholdsReached({ used, cap: 10 }))).toEqual([[80], [80, 90]]);
    expect(thresholdsReached({ used: 799, cap: 999 })).toEqual([]);
    expect(thresholdsReached({ used: 800, cap: 999 })).toEqual([80]);
  });
});

describe("with the largest caps, a difference of one still matters", () => {
  test.each([MAX_CAP, MAX_CAP - 1, MAX_CAP - 3, 999_999_999_989])("%i", (cap) => {
    for (const threshold of [80, 90] as const) {
      const first = Number((BigInt(cap) * BigInt(threshold) + 99n) / 100n);
      expect(thresholdsReached({ used: first, cap })).toContain(threshold);
      expect(thresholdsReached({ used: first - 1, cap })).not.toContain(threshold);
    }
    expect([cap - 1, cap].map((used) => isExceeded(COUNTER, { used, cap }))).toEqual([false, true]);
    expect([cap, cap + 1].map((used) => isExceeded(GAUGE, { used, cap }))).toEqual([false, true]);
    expect([cap - 1, cap, cap + 1].map((used) => percentOf({ used, cap }))).toEqual([99, 100, 100]);
    expect(Number.isSafeInteger(cap * 100)).toBe(true);
  });
});

test("a project has every cap: omitted ones have their default, and null and 0 are values", () => {
  expect(withDefaults({})).toEqual({
    db_queries_per_day: 10_000,
    realtime_connections: 100,
    storage_uploads_per_day: 1_000,
    function_invocations_per_day: 5_000,
  });
  expect(withDefaults({ db_queries_per_day: null, realtime_connections: 0, storage_uploads_per_day: undefined })).toEqual({
    db_queries_per_day: null,
    realtime_connections: 0,
    storage_uploads_per_day: 1_000,
    function_invocations_per_day: 5_000,
  });
  expect(CAP_TYPES.filter((type) => CAPS[type].kind === "gauge")).toEqual([GAUGE]);
});
