import { describe, expect, test } from "vitest";
import { dayCurve } from "../../worker/src/dashboard/charts/day.ts";
import { dayName, duration, dateTime, reasonDetail, reasonName, relative } from "../../worker/src/dashboard/format.ts";
import * as outcomes from "../../worker/src/dashboard/outcomes.ts";
import { noticesOf, verdictOf } from "../../worker/src/dashboard/words.ts";
import { EXAMPLE_STATUS } from "../../worker/src/routes/quota/example.ts";
import type { QuotaStatus } from "../../worker/src/quota/index.ts";

const NOW = Date.parse("2025-12-30T14:03:11Z");
const { callers: _, ...REST } = EXAMPLE_STATUS;
const CALM: QuotaStatus = { ...REST, callers: [], forecast: { calls_per_hour: 100, exhausted_at: null } };

const verdict = (change: Partial<QuotaStatus>) => verdictOf({ ...CALM, ...change }, NOW);
const titles = (change: Partial<QuotaStatus>) => noticesOf({ ...CALM, ...change }, NOW).map(({ level, title }) => `${level}: ${title}`);

const USED_UP = { used: 13_000, remaining: 0, safety_remaining: 0, percentage_used: 100, background: { floor: 415, remaining: 0 } };

describe("the verdict", () => {
  test.each<[string, Partial<QuotaStatus>, object]>([
    [
      "a quiet day",
      {},
      {
        level: "good",
        title: "Today's quota will last",
        detail: "At 100 calls an hour, about 3,549 will be left at 00:00 UTC, in 9 h 56 min.",
      },
    ],
    [
      "an hour without a call",
      { forecast: { calls_per_hour: 0, exhausted_at: null } },
      { level: "good", detail: "No calls in the last hour. 4,544 of 13,000 calls are left." },
    ],
    [
      "a pace that is too high",
      { forecast: { calls_per_hour: 808, exhausted_at: "2025-12-30T19:40:00Z" } },
      {
        level: "warn",
        title: "Quota runs out at 19:40 UTC",
        detail: "At 808 calls an hour, the remaining 4,544 run out 4 h 20 min before the reset.",
      },
    ],
    ["exhaustion within an hour", { forecast: { calls_per_hour: 5_000, exhausted_at: "2025-12-30T14:58:00Z" } }, { level: "bad" }],
    [
      "no remaining calls",
      USED_UP,
      { level: "bad", title: "Today's calls are used up", detail: "No call is granted until 00:00 UTC, in 9 h 56 min." },
    ],
    [
      "usage above the limit, not enforced",
      { ...USED_UP, used: 14_950, enforcement: "off" },
      { level: "bad", title: "Today's calls are used up, calls continue" },
    ],
    ["reserved remaining calls", { remaining: 0, reserved: 4_544 }, { level: "warn", title: "All remaining calls are reserved" }],
    ["an unavailable ledger", { source: "snapshot", can_make_calls: false }, { level: "bad", title: "Calls are paused" }],
    ["an unavailable ledger, not enforced", { source: "snapshot", enforcement: "off" }, { title: "Today's quota will last" }],
    [
      "yesterday's snapshot",
      { source: "snapshot", date: "2025-12-29", can_make_calls: false },
      { level: "warn", title: "Remaining quota is unknown" },
    ],
  ])("of %s", (_name, change, expected) => {
    expect(verdict(change)).toMatchObject(expected);
  });
});

describe("the notices", () => {
  test.each<[string, Partial<QuotaStatus>, string[]]>([
    ["a quiet day", {}, []],
    ["enforcement off", { enforcement: "off" }, ["bad: Enforcement is off, no call is refused"]],
    ["observing", { enforcement: "observe" }, ["warn: Observe mode, no call is refused"]],
    ["a snapshot", { source: "snapshot", age_seconds: 40 }, ["bad: The ledger does not respond, this snapshot is 40 s old"]],
    ["untracked calls", { callers: [{ caller: "untracked", used: 56 }] }, ["warn: 56 calls made outside this service"]],
    ["one untracked call", { callers: [{ caller: "untracked", used: 1 }] }, ["warn: 1 call made outside this service"]],
    ["79%", { percentage_used: 79 }, []],
    ["80%", { percentage_used: 80 }, ["warn: 80% of today's calls are used"]],
    ["100%", USED_UP, []],
    ["usage above the quota", { ...USED_UP, used: 15_001 }, ["bad: Usage exceeds the provider's quota"]],
    ["the floor reached", { remaining: 400, background: { floor: 415, remaining: 0 } }, ["info: Background work waits"]],
    ["an empty store", { recovered: true }, ["info: Ledger storage was empty"]],
  ])("of %s", (_name, change, expected) => {
    expect(titles(change)).toEqual(expected);
  });
});

describe("times", () => {
  test("durations", () => {
    expect([0, 59_499, 60_000, 3_599_999, 3_600_000, 12_000_000, 47 * 3_600_000, 48 * 3_600_000].map(duration)).toEqual([
      "0 s",
      "59 s",
      "1 min",
      "59 min",
      "1 h",
      "3 h 20 min",
      "47 h",
      "2 days",
    ]);
  });

  test("in UTC and relative to now", () => {
    const ago = (ms: number): string => `${dateTime(NOW - ms, NOW)}, ${relative(NOW - ms, NOW)}`;
    expect([0, 5 * 60_000, 7 * 3_600_000 + 60_000, 2 * 86_400_000, 400 * 86_400_000, -3_600_000].map(ago)).toEqual([
      "14:03 UTC, just now",
      "13:58 UTC, 5 min ago",
      "07:02 UTC, 7 h ago",
      "28 Dec, 14:03 UTC, 2 days ago",
      "25 Nov 2024, 14:03 UTC, 400 days ago",
      "15:03 UTC, in 1 h",
    ]);
    expect(dayName("2025-01-05", NOW)).toBe("5 Jan");
  });

  test("reasons for suspensions", () => {
    expect(["quota:db_queries_per_day", "abuse:ERROR_SPIKE", "admin", "other"].map(reasonName)).toEqual([
      "Over its cap: database queries",
      "Abuse: error spike",
      "Suspended manually",
      "other",
    ]);
  });
});

test("the texts of results contain no names of the code", () => {
  const { maskedUrl: _masked, ...tables } = outcomes;
  const texts = Object.values(tables).flatMap((table) => Object.values(table));
  expect(texts.length).toBeGreaterThan(20);
  expect(texts.filter((text) => /[a-z][A-Z]|_/u.test(text))).toEqual([]);
});

describe("the daily curve", () => {
  const at = (time: string, change = {}) =>
    dayCurve(
      {
        hours: [
          { hour: 0, used: 10 },
          { hour: 2, used: 5 },
        ],
        used: 15,
        limit: 100,
        callsPerHour: 0,
        backgroundFloor: 20,
        ...change,
      },
      Date.parse(time),
    );

  test("adds up hours and stays flat in hours without calls", () => {
    expect(at("2025-12-30T03:30:00Z").spent).toEqual([
      { hour: 0, calls: 0 },
      { hour: 1, calls: 10 },
      { hour: 2, calls: 10 },
      { hour: 3, calls: 15 },
      { hour: 3.5, calls: 15 },
    ]);
    expect(at("2025-12-30T00:00:00Z").spent).toEqual([{ hour: 0, calls: 0 }]);
  });

  test("continues to the limit or to midnight", () => {
    expect(at("2025-12-30T12:00:00Z", { callsPerHour: 17 })).toMatchObject({
      exhausts: true,
      forecast: [
        { hour: 12, calls: 15 },
        { hour: 17, calls: 100 },
      ],
    });
    expect(at("2025-12-30T12:00:00Z", { callsPerHour: 1 })).toMatchObject({
      exhausts: false,
      forecast: [
        { hour: 12, calls: 15 },
        { hour: 24, calls: 27 },
      ],
    });
    expect(at("2025-12-30T12:00:00Z", { used: 120, callsPerHour: 1 })).toMatchObject({
      exhausts: false,
      forecast: [{ hour: 12 }, { hour: 24, calls: 132 }],
    });
    expect(at("2025-12-30T12:00:00Z").floor).toEqual([
      { hour: 0, calls: 80 },
      { hour: 24, calls: 100 },
    ]);
  });
});

test("groups digits in our own texts and leaves the words of a person unchanged", () => {
  expect(reasonDetail("quota:storage_uploads_per_day", "1010 of 1000")).toBe("1,010 of 1,000");
  expect(reasonDetail("admin", "Invoice 4711 is overdue")).toBe("Invoice 4711 is overdue");
});
