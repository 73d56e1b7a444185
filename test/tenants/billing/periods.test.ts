import { DateTime } from "luxon";
import { describe, expect, test } from "vitest";
import { billingPeriod, billingPeriodAt, monthsAfter } from "../../../worker/src/tenants/billing/periods.ts";
import { seeded } from "../../support/tenants/rows.ts";

const at = (text: string): number => Date.parse(text);
const iso = (time: number): string => new Date(time).toISOString().replace(".000Z", "Z");
const starts = (anchor: string, from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => iso(billingPeriod(at(anchor), from + index).startsAt).slice(0, 10));

describe("periods follow the anchor", () => {
  test.each([
    ["2025-01-31T00:00:00Z", ["2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30", "2025-05-31", "2025-06-30"]],
    ["2024-01-31T00:00:00Z", ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31", "2024-06-30"]],
    ["2025-11-30T00:00:00Z", ["2025-11-30", "2025-12-30", "2026-01-30", "2026-02-28", "2026-03-30", "2026-04-30"]],
    ["2027-12-29T00:00:00Z", ["2027-12-29", "2028-01-29", "2028-02-29", "2028-03-29", "2028-04-29", "2028-05-29"]],
    ["2025-10-29T00:00:00Z", ["2025-10-29", "2025-11-29", "2025-12-29", "2026-01-29", "2026-02-28", "2026-03-29"]],
    ["2024-02-29T00:00:00Z", ["2024-02-29", "2024-03-29", "2024-04-29", "2024-05-29", "2024-06-29", "2024-07-29"]],
    ["2025-12-01T00:00:00Z", ["2025-12-01", "2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", "2026-05-01"]],
  ])("of %s", (anchor, expected) => expect(starts(anchor, 0, 6)).toEqual(expected));

  test("across a year boundary too, with negative indexes", () => {
    expect(starts("2025-03-31T00:00:00Z", -4, 6)).toEqual([
      "2024-11-30",
      "2024-12-31",
      "2025-01-31",
      "2025-02-28",
      "2025-03-31",
      "2025-04-30",
    ]);
  });

  test("over four years without losing a day: 29 February occurs once in four", () => {
    const februaries = [12, 24, 36, 48].map((years) => iso(monthsAfter(at("2024-02-29T12:30:00Z"), years)));
    expect(februaries).toEqual(["2025-02-28T12:30:00Z", "2026-02-28T12:30:00Z", "2027-02-28T12:30:00Z", "2028-02-29T12:30:00Z"]);
    expect(iso(monthsAfter(at("2096-02-29T00:00:00Z"), 48))).toBe("2100-02-28T00:00:00Z");
  });

  test("at the time of day of the anchor, to the millisecond", () => {
    expect(billingPeriod(at("2025-01-31T23:59:59.999Z"), 1)).toEqual({
      index: 1,
      startsAt: at("2025-02-28T23:59:59.999Z"),
      endsAt: at("2025-03-31T23:59:59.999Z"),
    });
  });

  test("before 1970, and in the years that Date.UTC would misread", () => {
    expect(starts("1969-10-31T00:00:00Z", 0, 4)).toEqual(["1969-10-31", "1969-11-30", "1969-12-31", "1970-01-31"]);
    expect(starts("0050-01-31T00:00:00Z", 0, 3)).toEqual(["0050-01-31", "0050-02-28", "0050-03-31"]);
    expect(billingPeriodAt(at("0001-01-31T00:00:00Z"), at("2031-02-28T00:00:00Z")).startsAt).toBe(at("2031-02-28T00:00:00Z"));
  });
});

describe("the period that contains a time", () => {
  test("begins with its first millisecond, and excludes the first one of the next", () => {
    const anchor = at("2025-01-31T08:00:00Z");
    const [first, second] = [at("2025-02-28T08:00:00Z"), at("2025-03-31T08:00:00Z")];
    expect([first - 1, first, second - 1, second].map((now) => billingPeriodAt(anchor, now).index)).toEqual([0, 1, 1, 2]);
    expect([anchor - 1, anchor].map((now) => billingPeriodAt(anchor, now).index)).toEqual([-1, 0]);
  });

  test("exists before the anchor too", () => {
    expect(billingPeriodAt(at("2031-05-31T00:00:00Z"), at("2031-02-27T00:00:00Z"))).toEqual({
      index: -4,
      startsAt: at("2031-01-31T00:00:00Z"),
      endsAt: at("2031-02-28T00:00:00Z"),
    });
  });

  test("is the previous one if the month's own begins later", () => {
    expect(billingPeriodAt(at("2025-01-31T00:00:00Z"), at("2025-03-30T23:59:59Z")).index).toBe(1);
    expect(billingPeriodAt(at("2025-01-31T00:00:00Z"), at("2026-01-01T00:00:00Z")).index).toBe(11);
  });
});

test("a thousand anchors and times agree with a date library, which counts from the anchor as well", () => {
  const random = seeded(29);
  const within = (from: string, to: string): number => at(from) + Math.floor(random() * (at(to) - at(from)));
  for (let round = 0; round < 1_000; round += 1) {
    // Every second anchor is on one of the last days of a month.
    const late = DateTime.fromMillis(within("1995-01-01T00:00:00Z", "2055-01-01T00:00:00Z"), { zone: "utc" });
    const anchor = round % 2 === 0 ? late : late.endOf("month").minus({ days: Math.floor(random() * 4) });
    const boundary = anchor.plus({ months: Math.floor(random() * 500) - 100 }).toMillis();
    const now = round % 3 === 0 ? boundary + Math.floor(random() * 3) - 1 : within("1995-01-01T00:00:00Z", "2080-01-01T00:00:00Z");

    let index = Math.floor(DateTime.fromMillis(now, { zone: "utc" }).diff(anchor, "months").months) - 2;
    while (anchor.plus({ months: index + 1 }).toMillis() <= now) index += 1;
    const expected = { index, startsAt: anchor.plus({ months: index }).toMillis(), endsAt: anchor.plus({ months: index + 1 }).toMillis() };

    const found = billingPeriodAt(anchor.toMillis(), now);
    expect({ anchor: anchor.toISO(), now, ...found }).toEqual({ anchor: anchor.toISO(), now, ...expected });
    expect(found.startsAt <= now && now < found.endsAt).toBe(true);
    expect(billingPeriod(anchor.toMillis(), index + 1).startsAt).toBe(found.endsAt);
  }
});
