import { describe, expect, test } from "vitest";
import { chargedWindows, hourOf, isoSeconds, resetAt, windowOf } from "../../worker/src/quota/window.ts";

const at = (time: string): number => Date.parse(time);

describe("the window", () => {
  test.each([
    ["2031-05-14T00:00:00.000Z", "2031-05-14", "2031-05-15T00:00:00Z", 0],
    ["2031-05-14T23:59:59.999Z", "2031-05-14", "2031-05-15T00:00:00Z", 23],
    ["2028-02-28T23:59:59.999Z", "2028-02-28", "2028-02-29T00:00:00Z", 23],
    ["2031-12-31T12:34:56.789Z", "2031-12-31", "2032-01-01T00:00:00Z", 12],
  ])("of %s is the UTC day", (time, date, reset, hour) => {
    expect(windowOf(at(time))).toBe(date);
    expect(isoSeconds(resetAt(at(time)))).toBe(reset);
    expect(hourOf(at(time))).toBe(hour);
  });
});

describe("a reservation is charged", () => {
  const opened = at("2031-05-14T23:59:00Z");

  test.each([
    ["in its day, while the day lasts", "2031-05-14T23:59:59Z", undefined, ["2031-05-14"]],
    ["in its day, whatever it says of sending", "2031-05-14T23:59:59Z", "2031-05-14T23:59:30Z", ["2031-05-14"]],
    ["in both days, if nobody says when it was sent", "2031-05-15T00:00:30Z", undefined, ["2031-05-14", "2031-05-15"]],
    ["in the old day, if sent well before midnight", "2031-05-15T00:00:30Z", "2031-05-14T23:59:54Z", ["2031-05-14"]],
    ["in the new day, if sent well after midnight", "2031-05-15T00:00:30Z", "2031-05-15T00:00:06Z", ["2031-05-15"]],
    ["in both days within 5 s before midnight", "2031-05-15T00:00:30Z", "2031-05-14T23:59:55Z", ["2031-05-14", "2031-05-15"]],
    ["in both days within 5 s after midnight", "2031-05-15T00:00:30Z", "2031-05-15T00:00:05Z", ["2031-05-14", "2031-05-15"]],
  ])("%s", (_, ended, sent, expected) => {
    expect(chargedWindows(opened, at(ended), sent === undefined ? undefined : at(sent))).toEqual(expected);
  });
});
