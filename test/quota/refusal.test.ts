/** The time for a retry in a refusal's answer. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { refusalProblem } from "../../worker/src/quota/index.ts";
import { quotaStatus } from "../../worker/src/quota/status.ts";

const SETTINGS = { dailyLimit: 15_000, safetyBuffer: 2_000, backgroundFloor: 1_000, ratePerSecond: 3, enforcement: "enforce" } as const;
const AFTERNOON = Date.parse("2031-05-14T14:03:11Z");

test("available_at is never too early, and less than a second too late", () => {
  const numbers = { provider: "isbndb", settings: SETTINGS, charged: 0, untracked: 0, reserved: 13_000, callsPerHour: 0 };
  const milliseconds = fc.integer({ min: 0, max: 999 });
  fc.assert(
    fc.property(milliseconds, fc.integer({ min: 1, max: 120_000 }), fc.boolean(), (ms, waitMs, isOld) => {
      const now = AFTERNOON + ms;
      const status = quotaStatus({ ...numbers, recovered: false, callers: [], upstream: null }, now);
      const refusal = { refusedBy: "daily", callsNeeded: 1, available: 0, held: true, waitMs } as const;
      const { members } = refusalProblem(isOld ? refusal : { ...refusal, decidedAt: now }, status);
      const at = Date.parse(String(members["available_at"]));
      expect(at).toBeGreaterThanOrEqual(now + waitMs);
      // A ledger of the previous release sends no `decidedAt`. The time of its decision is known only to the second.
      expect(at).toBeLessThan(now + waitMs + (isOld ? 2_000 : 1_000));
    }),
  );
});
