import { expect, it } from "vitest";
import { retryAfterSeconds } from "../../worker/src/lib/retry-after.ts";

const now = Date.UTC(2025, 11, 30, 14, 0, 0, 500);

it.each([
  ["0", 0],
  [" 120 ", 120],
  ["Tue, 30 Dec 2025 14:01:00 GMT", 60],
  ["Tuesday, 30-Dec-25 14:01:00 GMT", 60],
  ["Tue, 30 Dec 2025 13:00:00 GMT", 0],
])("Retry-After %j is %i seconds", (field, seconds) => {
  expect(retryAfterSeconds(field, now)).toBe(seconds);
});

it.each([null, "", "-5", "1.5", "5 minutes", "2025-12-30T14:01:00Z", "Tue, 99 Foo 2025 25:00:00 GMT", "99999999999"])(
  "Retry-After %j is ignored",
  (field) => {
    expect(retryAfterSeconds(field, now)).toBeNull();
  },
);
