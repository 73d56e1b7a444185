import { describe, expect, test } from "vitest";
import { chargedPeriods, isTodays } from "../../worker/src/quota/period.ts";
import { endOfDay, dayOf } from "../../worker/src/lib/time.ts";
import { hourOf, isoSeconds } from "../../worker/src/lib/time.ts";

const at = (time: string): number => Date.parse(time);

describe("the period", () => {
  test.each([
    ["2031-05-14T00:00:00.000Z", "2031-05-14", "2031-05-15T00:00:00Z", 0],
    ["2031-05-14T23:59:59.999Z", "2031-05-14", "2031-05-15T00:00:00Z", 23],
    ["2028-02-28T23:59:59.999Z", "2028-02-28", "2028-02-29T00:00:00Z", 23],
    ["2031-12-31T12:34:56.789Z", "2031-12-31", "2032-01-01T00:00:00Z", 12],
  ])("of %s is the UTC day", (time, date, reset, hour) => {
    expect(dayOf(at(time))).toBe(date);
    expect(isoSeconds(endOfDay(at(time)))).toBe(reset);
    expect(hourOf(at(time))).toBe(hour);
  });
});

describe("a reservation is charged", () => {
  const opened = at("2031-05-14T23:59:00Z");
  const BOTH = ["2031-05-14", "2031-05-15"];

  test.each([
    ["in its day, before midnight", "2031-05-14T23:59:59Z", null, ["2031-05-14"]],
    ["in its day, for any time of sending", "2031-05-14T23:59:59Z", ["2031-05-14T23:59:30Z", "2031-05-14T23:59:31Z"], ["2031-05-14"]],
    ["in both days, if the time of sending is unknown", "2031-05-15T00:00:30Z", null, BOTH],
    [
      "in the old day, if its request ended well before midnight",
      "2031-05-15T00:00:30Z",
      ["2031-05-14T23:59:54Z", "2031-05-14T23:59:54Z"],
      ["2031-05-14"],
    ],
    [
      "in the new day, if sent well after midnight",
      "2031-05-15T00:00:30Z",
      ["2031-05-15T00:00:06Z", "2031-05-15T00:00:09Z"],
      ["2031-05-15"],
    ],
    ["in both days within 5 s before midnight", "2031-05-15T00:00:30Z", ["2031-05-14T23:59:55Z", "2031-05-14T23:59:55Z"], BOTH],
    ["in both days less than 5 s after midnight", "2031-05-15T00:00:30Z", ["2031-05-15T00:00:04Z", "2031-05-15T00:00:04Z"], BOTH],
    ["in both days, if it was in flight at midnight", "2031-05-15T00:00:30Z", ["2031-05-14T23:59:40Z", "2031-05-15T00:00:20Z"], BOTH],
  ] as const)("%s", (_, ended, underWay, expected) => {
    const when = underWay === null ? null : { from: at(underWay[0]), to: at(underWay[1]) };
    expect(chargedPeriods(opened, at(ended), when)).toEqual(expected);
  });

  test("in both days, if a clock stepped back over midnight", () => {
    expect(chargedPeriods(at("2031-05-15T00:00:01Z"), at("2031-05-14T23:59:59Z"), null).toSorted()).toEqual(BOTH);
  });
});

describe("a count is today's", () => {
  const now = at("2031-05-14T12:00:00Z");
  test.each([
    ["requested and answered today", "2031-05-14T11:59:59Z", "2031-05-14T12:00:00Z", true],
    ["requested two minutes after midnight", "2031-05-14T00:02:00Z", "2031-05-14T00:02:01Z", true],
    ["requested within the provider's reset lag", "2031-05-14T00:01:59Z", "2031-05-14T00:02:01Z", false],
    ["requested yesterday", "2031-05-13T23:59:59Z", "2031-05-14T00:00:01Z", false],
    ["of another day", "2031-05-13T12:00:00Z", "2031-05-13T12:00:01Z", false],
  ])("%s: %s to %s is %s", (_, requested, received, expected) => {
    expect(isTodays({ requestedAt: at(requested), receivedAt: at(received) }, now)).toBe(expected);
  });
});
