import { describe, expect, it } from "vitest";
import { type Exchange, outcomeOf } from "../../../worker/src/providers/isbndb/outcome.ts";
import type { RateLimits } from "../../../worker/src/providers/isbndb/ratelimit.ts";

const answered = (
  status: number,
  message: string | null = null,
  more: Partial<Extract<Exchange, { kind: "answered" }>> = {},
): Exchange => ({
  kind: "answered",
  status,
  retryAfterSeconds: null,
  message,
  readable: status < 300,
  limits: { daily: null, rate: null },
  ...more,
});
const dailyLeft = (left: number): { limits: RateLimits } => ({
  limits: { daily: { left, limit: 15_000, resetSeconds: 3600 }, rate: { left: 2, resetSeconds: 7 } },
});

describe("a response means", () => {
  it.each([
    [200, null, "ok", "no"],
    [201, null, "ok", "no"],
    [302, null, "provider_failed", "no"],
    [304, null, "provider_failed", "no"],
    [400, null, "request_refused", "no"],
    [401, "Full authentication is required to access this resource", "key_refused", "no"],
    [403, null, "plan_refused", "no"],
    [403, "Forbidden", "plan_refused", "no"],
    [403, "Your plan does not include this host", "plan_refused", "no"],
    [403, "Daily feeds are not part of your plan", "plan_refused", "no"],
    [403, "Limit of ISBNs per request exceeded", "plan_refused", "no"],
    [403, "daily hits reached", "day_over", "after_reset"],
    [403, "You have reached your daily limit.", "day_over", "after_reset"],
    [403, "Quota exceeded", "day_over", "after_reset"],
    [404, "Not Found", "not_found", "no"],
    [405, null, "provider_failed", "no"],
    [413, null, "request_refused", "no"],
    [414, null, "request_refused", "no"],
    [415, null, "request_refused", "no"],
    [422, null, "request_refused", "no"],
    [429, "Per minute quota exceeded, please try again later", "wait", "later"],
    [429, "1 request per second allowed", "wait", "later"],
    [429, "Rate exceeded", "wait", "later"],
    [429, "Daily quota exceeded, please try again later", "day_over", "after_reset"],
    [429, "Limit Exceeded", "wait", "later"],
    [429, null, "wait", "later"],
    [500, null, "provider_failed", "later"],
    [503, null, "provider_failed", "later"],
    [504, null, "provider_failed", "later"],
    [599, null, "provider_failed", "later"],
  ])("%i %j: %s, retry %s", (status, message, meaning, retry) => {
    expect(outcomeOf(answered(status, message))).toMatchObject({ meaning, sent: "yes", retry, retryAfterSeconds: null });
  });

  it("unreadable if a 2xx cannot be parsed, and is charged", () => {
    expect(outcomeOf(answered(200, null, { readable: false }))).toEqual({
      meaning: "unreadable",
      sent: "yes",
      retry: "later",
      retryAfterSeconds: null,
      detail: "the provider responded with 200, but the body was cut off or has an undocumented shape",
    });
  });
});

describe("a 429 that names no limit, or both", () => {
  it.each([
    ["Limit Exceeded", 0, "day_over"],
    ["Limit Exceeded", 1, "wait"],
    [null, 0, "day_over"],
    ["Daily quota of 5000 or rate of 1 exceeded", 0, "day_over"],
    ["Daily quota of 5000 or rate of 1 exceeded", 40, "wait"],
    ["Per minute quota exceeded", 0, "wait"],
    ["Daily quota exceeded", 3, "day_over"],
  ])("%j with %i calls left today is %s", (message, left, meaning) => {
    expect(outcomeOf(answered(429, message, dailyLeft(left))).meaning).toBe(meaning);
  });
});

describe("the pause", () => {
  it.each([
    ["Retry-After of a 503", answered(503, null, { retryAfterSeconds: 30 }), 30],
    ["Retry-After of a 429", answered(429, "Rate exceeded", { ...dailyLeft(5), retryAfterSeconds: 2 }), 2],
    ["the rate's reset, for a pace limit", answered(429, "Rate exceeded", dailyLeft(5)), 7],
    ["the daily reset, for the daily limit", answered(429, "Daily quota exceeded", dailyLeft(0)), 3600],
    ["none, for a 503 without Retry-After", answered(503, null, dailyLeft(5)), null],
    ["none, if waiting changes nothing", answered(404, null, { ...dailyLeft(5), retryAfterSeconds: 30 }), null],
    ["none, for a redirect", answered(302, null, { retryAfterSeconds: 30 }), null],
  ])("is set by %s", (_, exchange, seconds) => {
    expect(outcomeOf(exchange).retryAfterSeconds).toBe(seconds);
  });
});

describe("without a response", () => {
  it.each(["timed_out", "connection_lost"] as const)("%s may have been counted", (reason) => {
    expect(outcomeOf({ kind: "no_answer", reason })).toMatchObject({
      meaning: reason,
      sent: "maybe",
      retry: "later",
      retryAfterSeconds: null,
    });
  });

  it.each([
    ["past_deadline", "later"],
    ["text_too_long", "no"],
    ["text_unusable", "no"],
  ] as const)("%s was not sent, retry %s", (reason, retry) => {
    expect(outcomeOf({ kind: "never_sent", reason })).toMatchObject({ meaning: "never_sent", sent: "no", retry, retryAfterSeconds: null });
  });
});

it("a detail quotes the provider", () => {
  expect(outcomeOf(answered(404, "Not Found")).detail).toBe("the provider responded with 404: Not Found");
  expect(outcomeOf(answered(500)).detail).toBe("the provider responded with 500");
});
