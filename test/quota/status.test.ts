import { describe, expect, test } from "vitest";
import { publicStatus, quotaStatus, statusOfCaller } from "../../worker/src/quota/status.ts";
import type { LedgerNumbers } from "../../worker/src/quota/status.ts";

const NOW = Date.parse("2025-12-30T14:03:11.250Z");

const NUMBERS: LedgerNumbers = {
  provider: "isbndb",
  settings: { dailyLimit: 15_000, safetyBuffer: 2_000, backgroundFloor: 1_000, ratePerSecond: 3, enforcement: "enforce" },
  charged: 8_400,
  untracked: 56,
  reserved: 0,
  callsPerHour: 612,
  recovered: false,
  callers: [
    { caller: "cron.harvest", used: 1_400 },
    { caller: "enrich.batch", used: 7_000 },
  ],
  upstream: {
    limit: 15_000,
    spent: 8_456,
    untracked: 56,
    bulk_billing: "per_request",
    bulk_billing_source: "observed",
    observed_at: "2025-12-30T14:03:09Z",
  },
};

describe("the status", () => {
  test("reads exactly as promised", () => {
    expect(quotaStatus(NUMBERS, NOW)).toEqual({
      provider: "isbndb",
      date: "2025-12-30",
      daily_limit: 15_000,
      safety_limit: 13_000,
      used: 8_456,
      reserved: 0,
      remaining: 4_544,
      percentage_used: 65,
      reset_at: "2025-12-31T00:00:00Z",
      can_make_calls: true,
      safety_remaining: 4_544,
      enforcement: "enforce",
      source: "ledger",
      as_of: "2025-12-30T14:03:11Z",
      callers: [
        { caller: "enrich.batch", used: 7_000 },
        { caller: "cron.harvest", used: 1_400 },
        { caller: "untracked", used: 56 },
      ],
      forecast: { calls_per_hour: 612, exhausted_at: "2025-12-30T21:28:00Z" },
      background: { floor: 415, remaining: 4_129 },
      upstream: NUMBERS.upstream,
    });
  });

  test.each([
    ["nothing left", { charged: 13_000, untracked: 0 }, { remaining: 0, can_make_calls: false, percentage_used: 100, safety_remaining: 0 }],
    ["more used than the limit", { charged: 14_000, untracked: 0 }, { remaining: 0, safety_remaining: 0, percentage_used: 107 }],
    ["all of the rest reserved", { charged: 0, untracked: 0, reserved: 13_000 }, { used: 0, remaining: 0, can_make_calls: false }],
    ["99.99%", { charged: 12_999, untracked: 0 }, { percentage_used: 99, remaining: 1, can_make_calls: true }],
  ])("with %s", (_, change, expected) => {
    expect(quotaStatus({ ...NUMBERS, ...change }, NOW)).toMatchObject(expected);
  });

  test("forecasts exhaustion only if the rate reaches the limit today", () => {
    expect(quotaStatus({ ...NUMBERS, callsPerHour: 0 }, NOW).forecast.exhausted_at).toBeNull();
    expect(quotaStatus({ ...NUMBERS, callsPerHour: 400 }, NOW).forecast.exhausted_at).toBeNull();
    expect(quotaStatus({ ...NUMBERS, charged: 13_000 }, NOW).forecast.exhausted_at).toBe("2025-12-30T14:03:00Z");
  });

  test("shows the public no callers", () => {
    const callers = [
      { caller: "project:a", used: 5 },
      { caller: "enrich.batch", used: 6 },
      { caller: "project:b", used: 4 },
    ];
    const visible = publicStatus(quotaStatus({ ...NUMBERS, charged: 15, untracked: 0, callers }, NOW));
    expect(visible.callers).toEqual([]);
  });

  const withProjects = quotaStatus(
    {
      ...NUMBERS,
      charged: 18,
      untracked: 0,
      callers: [
        { caller: "project:a", used: 5 },
        { caller: "enrich.batch", used: 6 },
        { caller: "project:b", used: 4 },
        { caller: "project:ab", used: 3 },
      ],
    },
    NOW,
  );

  test("shows a project only its own line", () => {
    expect(publicStatus(withProjects, "project:a")).toEqual({ ...withProjects, callers: [{ caller: "project:a", used: 5 }] });
    expect(publicStatus(withProjects, "project:quiet").callers).toEqual([]);
  });

  test("of one caller has only its line, 0 without usage, and the same totals", () => {
    expect(statusOfCaller(withProjects, "project:b")).toEqual({ ...withProjects, callers: [{ caller: "project:b", used: 4 }] });
    expect(statusOfCaller(withProjects, "project:quiet")).toEqual({ ...withProjects, callers: [{ caller: "project:quiet", used: 0 }] });
  });
});
