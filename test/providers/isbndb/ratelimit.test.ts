import { describe, expect, it } from "vitest";
import { readRateLimits } from "../../../worker/src/providers/isbndb/ratelimit.ts";

const read = (ratelimit: string, policy = "") => readRateLimits(new Headers({ ratelimit, "ratelimit-policy": policy }));

describe("the ratelimit headers", () => {
  it("report both limits", () => {
    expect(read('"rate";r=179;t=60, "daily";r=14880;t=36000', '"rate";q=180;w=60, "daily";q=15000;w=86400')).toEqual({
      daily: { left: 14_880, limit: 15_000, resetSeconds: 36_000 },
      rate: { left: 179, resetSeconds: 60 },
    });
  });

  it("may be on several lines", () => {
    const headers = new Headers();
    headers.append("ratelimit", '"rate";r=0;t=3');
    headers.append("ratelimit", '"daily";r=0;t=36000');
    expect(readRateLimits(headers)).toEqual({
      daily: { left: 0, limit: null, resetSeconds: 36_000 },
      rate: { left: 0, resetSeconds: 3 },
    });
  });

  it("may write the names as tokens and add unknown ones", () => {
    expect(read('daily;r=7;t=5;pk=:cHVi:, ("hourly" "x");r=2')).toEqual({ daily: { left: 7, limit: null, resetSeconds: 5 }, rate: null });
  });

  it("leave the rest unknown if only the count is given", () => {
    expect(read('"daily";r=9', '"rate";q=180;w=60')).toEqual({ daily: { left: 9, limit: null, resetSeconds: null }, rate: null });
  });

  it("lose only the limit with a malformed policy", () => {
    expect(read('"daily";r=9;t=8', '"daily";q=;;')).toEqual({ daily: { left: 9, limit: null, resetSeconds: 8 }, rate: null });
  });

  it.each([
    "",
    '"daily"',
    '"daily";r',
    '"daily";r=',
    '"daily";r=many',
    '"daily";r="9"',
    '"daily";r=-1',
    '"daily";r=1.5',
    '"daily";r=9,',
    '"daily;r=9',
    "limit=15000, remaining=9, reset=60",
    "9",
    "???",
  ])("never accept %j as a count", (field) => {
    expect(read(field, '"daily";q=15000;w=86400')).toEqual({ daily: null, rate: null });
  });

  it("report nothing if they are missing", () => {
    expect(readRateLimits(new Headers())).toEqual({ daily: null, rate: null });
  });
});
