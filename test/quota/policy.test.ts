import { describe, expect, test } from "vitest";
import { decide, defaultShare, floorAt, floorReaches, untrackedCalls } from "../../worker/src/quota/policy.ts";
import type { Demand } from "../../worker/src/quota/policy.ts";
import type { Settings } from "../../worker/src/quota/types.ts";

const SETTINGS: Settings = { dailyLimit: 15_000, safetyBuffer: 2_000, backgroundFloor: 1_000, ratePerSecond: 3, enforcement: "enforce" };
const MIDNIGHT = Date.parse("2031-05-14T00:00:00Z");
const NOON = Date.parse("2031-05-14T12:00:00Z");

const demand = (calls: number, more: Partial<Demand> = {}): Demand => ({
  calls,
  minCalls: calls,
  caller: "test",
  priority: "interactive",
  share: null,
  ...more,
});
const use = (used: number, reserved = 0, reservedByCaller = 0, usedByCaller = 0, reservedByProjects = reservedByCaller) => ({
  used,
  reserved,
  reservedByCaller,
  reservedByProjects,
  usedByCaller,
});

describe("the floor for background work", () => {
  test.each([
    ["2031-05-14T00:00:00.000Z", 1_000],
    ["2031-05-14T00:00:00.001Z", 1_000],
    ["2031-05-14T06:00:00.000Z", 750],
    ["2031-05-14T12:00:00.000Z", 500],
    ["2031-05-14T12:00:00.001Z", 500],
    ["2031-05-14T23:59:59.999Z", 1],
  ])("at %s it is %i calls, rounded up", (time, expected) => {
    expect(floorAt(1_000, Date.parse(time))).toBe(expected);
  });

  test.each([1, 250, 500, 999])("has shrunk to %i calls exactly at the computed time", (wanted) => {
    const at = floorReaches(wanted, 1_000, NOON);
    expect([floorAt(1_000, at), floorAt(1_000, at - 1)]).toEqual([wanted, wanted + 1]);
  });

  test.each([1_000, 2_000])("is never above %i calls, from midnight on", (wanted) => {
    expect(floorReaches(wanted, 1_000, NOON)).toBe(MIDNIGHT);
  });

  test("without a floor, the wait is 0", () => {
    expect(floorReaches(0, 0, NOON)).toBeLessThanOrEqual(NOON);
  });
});

describe("a decision", () => {
  test.each([
    ["all requested calls, if they fit", demand(13_000), use(0), { result: "granted", calls: 13_000 }],
    ["no calls, if one too many is requested", demand(13_001), use(0), { result: "refused", refusedBy: "daily", available: 13_000 }],
    [
      "no calls that others have reserved",
      demand(2),
      use(12_000, 999),
      { result: "refused", refusedBy: "daily", available: 1, held: true },
    ],
    ["the remaining calls, if the minimum fits", demand(10, { minCalls: 1 }), use(12_997), { result: "granted", calls: 3 }],
    ["no calls below the minimum", demand(10, { minCalls: 4 }), use(12_997), { result: "refused", refusedBy: "daily", available: 3 }],
    ["no calls, if more are used than the limit", demand(1), use(14_000), { result: "refused", refusedBy: "daily", available: 0 }],
    [
      "background work the calls above the floor",
      demand(12_501, { priority: "background" }),
      use(0),
      { result: "refused", refusedBy: "floor", available: 12_500 },
    ],
    ["interactive work the floor too", demand(500), use(12_500), { result: "granted", calls: 500 }],
    [
      "the daily limit as the reason before the floor",
      demand(600, { priority: "background" }),
      use(12_500),
      { result: "refused", refusedBy: "daily", available: 0 },
    ],
    ["a project a tenth of the limit", demand(1_300, { caller: "project:a" }), use(0), { result: "granted", calls: 1_300 }],
    [
      "a project no more than a tenth at a time",
      demand(1, { caller: "project:a" }),
      use(0, 1_300, 1_300),
      { result: "refused", refusedBy: "hold", available: 0, held: true },
    ],
    [
      "all projects together no more than half at a time",
      demand(2, { caller: "project:a" }),
      use(0, 6_499, 0, 0, 6_499),
      { result: "refused", refusedBy: "projects-hold", available: 1, held: true },
    ],
    [
      "other callers the calls that projects may not reserve",
      demand(6_500),
      use(0, 6_500, 0, 0, 6_500),
      { result: "granted", calls: 6_500 },
    ],
    [
      "a spent limit as the reason before a reserved one",
      demand(300, { caller: "project:a", share: 400 }),
      use(12_000, 900, 0, 200),
      { result: "refused", refusedBy: "share", share: { calls_per_day: 400, used: 200, reserved: 0 }, available: 100 },
    ],
    [
      "the floor as the reason, if it would refuse without any reservation too",
      demand(600, { priority: "background" }),
      use(12_000, 900),
      { result: "refused", refusedBy: "floor", available: 0 },
    ],
    [
      "a project as many calls as it may still reserve, if the minimum fits",
      demand(500, { caller: "project:a", minCalls: 1 }),
      use(0, 1_000, 1_000),
      { result: "granted", calls: 300 },
    ],
  ])("gives %s", (_, request, current, expected) => {
    expect(decide(request, current, SETTINGS, NOON)).toEqual(expected);
  });
});

describe("a daily share", () => {
  const of = (share: number, used: number, reserved = 0) => ({ refusedBy: "share", share: { calls_per_day: share, used, reserved } });

  test.each([
    ["gives its last call", demand(1, { share: 10 }), use(500, 0, 0, 9), { result: "granted", calls: 1 }],
    ["gives all its calls in one reservation", demand(10, { share: 10 }), use(500), { result: "granted", calls: 10 }],
    ["gives no calls beyond it", demand(11, { share: 10 }), use(0), { result: "refused", available: 10, ...of(10, 0) }],
    ["counts spent calls", demand(2, { share: 10 }), use(9, 0, 0, 9), { result: "refused", available: 1, ...of(10, 9) }],
    ["counts reserved calls", demand(2, { share: 10 }), use(0, 9, 9), { result: "refused", available: 1, held: true, ...of(10, 0, 9) }],
    ["counts both", demand(1, { share: 10 }), use(6, 4, 4, 6), { result: "refused", available: 0, held: true, ...of(10, 6, 4) }],
    [
      "does not count other callers' spent and reserved calls",
      demand(10, { share: 10 }),
      use(5_000, 900),
      { result: "granted", calls: 10 },
    ],
    ["of 0 gives no calls", demand(1, { share: 0 }), use(0), { result: "refused", available: 0, ...of(0, 0) }],
    [
      "lowered below the spent calls gives no calls",
      demand(1, { share: 3 }),
      use(5, 0, 0, 5),
      { result: "refused", available: 0, ...of(3, 5) },
    ],
    [
      "gives its remaining calls, if the minimum fits",
      demand(9, { share: 10, minCalls: 2 }),
      use(8, 0, 0, 8),
      { result: "granted", calls: 2 },
    ],
    [
      "gives no calls below the minimum",
      demand(9, { share: 10, minCalls: 3 }),
      use(8, 0, 0, 8),
      { result: "refused", available: 2, ...of(10, 8) },
    ],
    [
      "larger than the daily limit does not raise that limit",
      demand(13_001, { share: 99_999 }),
      use(0),
      { result: "refused", refusedBy: "daily", available: 13_000 },
    ],
    [
      "is not the reason, if the daily limit refuses too",
      demand(5, { share: 2 }),
      use(12_999),
      { result: "refused", refusedBy: "daily", available: 1 },
    ],
    [
      "is the reason before the floor, which would suggest a retry today",
      demand(300, { share: 2, priority: "background" }),
      use(12_400),
      { result: "refused", available: 2, ...of(2, 0) },
    ],
    [
      "is the reason after `hold`, if both are only reserved, because a commit or a release helps",
      demand(1, { share: 1_300, caller: "project:a" }),
      use(0, 1_300, 1_300),
      { result: "refused", refusedBy: "hold", available: 0, held: true },
    ],
  ])("%s", (_, request, current, expected) => {
    expect(decide(request, current, SETTINGS, NOON)).toEqual(expected);
  });
});

test.each([
  [13_000, 1_300],
  [13_009, 1_300],
  [3, 1],
  [0, 1],
])("of a limit of %i, a project without a share of its own may spend %i", (limit, share) => {
  expect(defaultShare(limit)).toBe(share);
});

describe("untracked calls", () => {
  test.each([
    ["the calls that the provider counted and no caller spent", 0, { spent: 5_010, base: 0 }, { charged: 8, reserved: 2 }, 5_000],
    ["never fewer than before", 40, { spent: 10, base: 0 }, { charged: 10, reserved: 0 }, 40],
    ["0, if the ledger counted too many", 0, { spent: 5, base: 0 }, { charged: 10, reserved: 3 }, 0],
    ["0 for calls below the base", 0, { spent: 5_000, base: 5_000 }, { charged: 0, reserved: 0 }, 0],
  ])("are %s", (_, was, provider, ours, expected) => {
    expect(untrackedCalls(was, provider, ours)).toBe(expected);
  });
});
