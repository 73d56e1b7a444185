import { expect, it } from "vitest";
import type { QuotaStatus } from "../../../scripts/harvest/answers.ts";
import { planFor, planLines } from "../../../scripts/harvest/plan.ts";

const quota = (remaining: number, safety_limit: number) => ({ remaining, safety_limit }) as QuotaStatus;
const authors = (count: number, editions: number | null = null) => Array.from({ length: count }, () => ({ editions }));

it.each([
  [0, 500, 500, 0, 0],
  [500, 500, 500, 1, 1],
  [501, 500, 500, 2, 2],
  [2_000, 500, 500, 4, 4],
  [2_000, 0, 500, 5, 4],
  [2_000, 1, 500, 5, 4],
  [10, 0, 0, null, null],
])("%i calls with %i left of %i per day take %j days from today, or %j full days", (calls, left, perDay, days, full_days) => {
  const plan = { authors: calls, calls, left_today: left, calls_per_day: perDay, days, full_days };
  expect(planFor(authors(calls), null, quota(left, perDay))).toEqual(plan);
});

it.each([
  [null, null, 1],
  [0, null, 1],
  [1_000, null, 1],
  [1_001, null, 2],
  [99_999, null, 10],
  [99_999, 3, 3],
])("an author with %j editions and --max-pages %j takes %i calls", (editions, maxPages, calls) => {
  expect(planFor(authors(1, editions), maxPages, null)).toMatchObject({ calls, days: null });
});

it("names unknown values", () => {
  expect(planLines(planFor(authors(2), null, null)).join("\n")).toContain("Days needed    unknown (status unavailable)");
  expect(planLines(planFor(authors(2), null, quota(0, 0))).join("\n")).toContain("never (the daily limit is 0)");
});
