import { env } from "cloudflare:workers";
import { createExecutionContext } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import worker from "../../worker/src/index.ts";
import {
  ADMIN_TOKEN,
  concurrently,
  freshStart,
  isbnNumber,
  isbns,
  post,
  put,
  quotaStatus,
  setClock,
  settings,
  simulator,
} from "../support/worker.ts";

beforeEach(async () => freshStart());

const one = async (n = 1) => post("/api/enrich/batch-direct", { isbns: [isbnNumber(n)] });
const fault = async (kind: string, more: object = {}) => simulator.control("POST", "/faults", { kind, path: "/books", ...more });

describe("each answer of the provider is charged and reported correctly", () => {
  test.each([
    ["status", { status: 401, body: { message: "Full authentication is required" } }, { outcome: "key_refused", retry: "no" }],
    ["wrong_plan", {}, { outcome: "plan_refused", retry: "no" }],
    ["status", { status: 404, body: { errorMessage: "Not Found" } }, { outcome: "not_found", retry: "no" }],
    ["status", { status: 500 }, { outcome: "provider_failed", retry: "later" }],
    ["too_large", {}, { outcome: "provider_failed", retry: "later" }],
    ["cut_off_json", {}, { outcome: "unreadable", retry: "later" }],
    ["malformed_json", {}, { outcome: "unreadable", retry: "later" }],
    ["reset_connection", {}, { outcome: "unreadable", retry: "later" }],
  ])("%s %o", async (kind, more, expected) => {
    await fault(kind, more);
    const { status, body } = await one();
    expect(status).toBe(502);
    expect(body).toMatchObject({ code: "upstream_error", calls_charged: 1, ...expected });
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0, callers: [{ caller: "enrich.batch", used: 1 }] });
    expect(await simulator.state()).toMatchObject({ spent: 1 });
  });

  test("503 keeps the provider's Retry-After", async () => {
    await fault("status", { status: 503, headers: { "retry-after": "7" } });
    const { status, headers, body } = await one();
    expect({ status, wait: headers.get("retry-after"), body }).toMatchObject({ status: 502, wait: "7", body: { calls_charged: 1 } });
  });

  test("a time-out after billing is charged, because the provider counted it", async () => {
    await fault("hang_after_billing", { hang_ms: 5_000 });
    const request = new Request("http://coordinator.test/api/enrich/batch-direct", {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify({ isbns: [isbnNumber(1)] }),
    });
    const response = await worker.fetch(request, { ...env, ISBNDB_TIMEOUT_SECONDS: "1" }, createExecutionContext());
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ outcome: "timed_out", calls_charged: 1 });
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
    expect(await simulator.state()).toMatchObject({ spent: 1 });
  });

  test("missing headers only leave the provider's count unknown", async () => {
    await fault("missing_headers");
    expect((await one()).status).toBe(200);
    expect(await quotaStatus()).toMatchObject({ used: 1, upstream: { spent: 0, untracked: 0 } });
  });
});

describe("the pace", () => {
  test("a pace refusal by the provider is reported, charged, and delays the next requests", async () => {
    await settings({ rate_per_second: 3 });
    await fault("minute_quota", { headers: { "retry-after": "30" } });
    const first = await one(1);
    expect(first).toMatchObject({ status: 429, body: { code: "pace_exceeded", calls_charged: 1 } });
    expect(first.headers.get("retry-after")).toBe("30");
    const second = await one(2);
    expect(second).toMatchObject({ status: 429, body: { code: "pace_exceeded", calls_charged: 0 } });
    expect(Number(second.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await simulator.state()).toMatchObject({ requests: 2 });
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0, can_make_calls: true });
  });

  test("reservations start one by one, and waits beyond 10 s are refused", async () => {
    await settings({ rate_per_second: 3 });
    const answers = await concurrently(40, 1, async () => post("/api/quota/reservations", { calls: 5 }));
    const granted = answers.filter(({ status }) => status === 201);
    const starts = granted.map(({ body }) => Date.parse(String(body["start_at"])));
    // One caller takes the next turns, and books every second turn after them. The others are spare.
    expect(starts.map((start) => (start - (starts[0] ?? 0)) / 334)).toEqual([
      0,
      1,
      ...Array.from({ length: 14 }, (_, index) => 2 * index + 2),
    ]);
    for (const { status, body, headers } of answers.slice(granted.length)) {
      expect({ status, body }).toMatchObject({ status: 429, body: { code: "pace_exceeded", "violated-policies": ["pace"] } });
      expect(headers.get("retry-after")).toBe("1");
    }
    expect(await quotaStatus()).toMatchObject({ reserved: 16 * 5 });
  });

  test("a refusal by the pace includes the quota", async () => {
    await settings({ rate_per_second: 0.05 });
    await post("/api/quota/reservations", { calls: 1 });
    const { headers, body } = await post("/api/quota/reservations", { calls: 1 });
    expect(body).toMatchObject({ code: "pace_exceeded", quota: { reserved: 1, remaining: 12_999 } });
    expect(headers.get("ratelimit")).toContain("r=12999");
  });

  test("a new rate applies immediately, despite slots booked at the old rate", async () => {
    await settings({ rate_per_second: 0.01 });
    await post("/api/quota/reservations", { calls: 1 });
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(429);
    await settings({ rate_per_second: 3 });
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(201);
  });

  test.each([1e-300, 0.009, 1_001, -1])("a rate of %d is refused", async (rate_per_second) => {
    expect(await put("/api/quota/settings", { rate_per_second })).toMatchObject({
      status: 400,
      body: { errors: [{ path: "rate_per_second" }] },
    });
  });

  test("background work books at most 2 s ahead", async () => {
    await settings({ rate_per_second: 3 });
    const answers = await concurrently(10, 1, async () => post("/api/quota/reservations", { calls: 1, priority: "background" }));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(4);
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(201);
  });
});

describe("an exhausted day", () => {
  test.each([
    ["daily_quota", "2026"],
    ["daily_403", "2025"],
  ])("%s from the provider closes the day for all callers immediately", async (kind, dialect) => {
    await simulator.control("PUT", "/settings", { dialect });
    await fault(kind);
    const { status, body } = await one(1);
    expect({ status, body }).toMatchObject({
      status: 429,
      body: { code: "quota_exhausted", calls_charged: 1, quota: { remaining: 0, can_make_calls: false } },
    });
    const { requests } = await simulator.state();
    const others = await concurrently(20, 8, async (index) => one(index + 2));
    expect(others.map((answer) => answer.status)).toEqual(Array.from({ length: 20 }, () => 429));
    expect(await simulator.state()).toMatchObject({ requests });
    await setClock("2031-05-15T00:05:00Z");
    expect((await one(99)).status).toBe(200);
  });

  test("a refusal right after midnight only delays, because it may be about yesterday", async () => {
    await setClock("2031-05-15T00:00:30Z");
    await settings({ rate_per_second: 3 });
    await fault("daily_quota");
    expect((await one(1)).status).toBe(429);
    expect(await quotaStatus()).toMatchObject({ used: 1, remaining: 12_999, can_make_calls: true });
    const { body, headers } = await one(2);
    expect(body).toMatchObject({ code: "pace_exceeded", calls_charged: 0 });
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(60);
    await setClock("2031-05-15T00:02:01Z");
    expect((await one(3)).status).toBe(200);
  });
});

test("a daily refusal without a count also closes the day", async () => {
  await fault("status", { status: 429, body: { message: "Daily quota exceeded, please try again later" } });
  expect((await one(1)).status).toBe(429);
  expect(await quotaStatus()).toMatchObject({ remaining: 0, used: 13_000, upstream: { untracked: 12_999 } });
});

describe("untracked spending", () => {
  test("appears as untracked, is part of used, and is known from the next answer", async () => {
    await simulator.control("POST", "/spend", { calls: 5_000 });
    await one();
    expect(await quotaStatus()).toMatchObject({
      used: 5_001,
      remaining: 7_999,
      callers: [
        { caller: "untracked", used: 5_000 },
        { caller: "enrich.batch", used: 1 },
      ],
      upstream: { limit: 15_000, spent: 5_001, untracked: 5_000 },
    });
  });

  test("excludes our own calls in flight", async () => {
    await simulator.control("PUT", "/settings", { latency_ms: 50 });
    await concurrently(60, 20, async (index) => one(index));
    expect(await quotaStatus()).toMatchObject({ used: 60, upstream: { spent: 60, untracked: 0 } });
  });

  test("starts again at an operator's reset, and the provider's next header does not undo the reset", async () => {
    await simulator.control("POST", "/spend", { calls: 5_000 });
    await one(1);
    await post("/api/quota/reset");
    expect(await quotaStatus()).toMatchObject({ used: 0, callers: [] });
    await one(2);
    expect(await quotaStatus()).toMatchObject({ used: 1, upstream: { spent: 5_002, untracked: 0 } });
    await simulator.control("POST", "/spend", { calls: 70 });
    await one(3);
    expect(await quotaStatus()).toMatchObject({ used: 72, upstream: { untracked: 70 } });
  });

  test("before a reset stays reset, even if it was not read before", async () => {
    await one(1);
    await simulator.control("POST", "/spend", { calls: 3_000 });
    await post("/api/quota/reset");
    await one(2);
    expect(await quotaStatus()).toMatchObject({ used: 1, upstream: { untracked: 0 } });
  });

  test("is counted after an operator corrected calls that were never sent", async () => {
    await post("/api/quota/reservations", { calls: 5_000, id: "never-sent" });
    await post("/api/quota/reservations/never-sent/commit");
    await one(1);
    await put("/api/quota/usage", { used: 1 });
    await simulator.control("POST", "/spend", { calls: 4_000 });
    await one(2);
    expect(await quotaStatus()).toMatchObject({ used: 4_002, upstream: { spent: 4_002, untracked: 4_000 } });
  });

  test.each([0, 100, 5_001, 9_000])("after an operator set %i, today's count continues from there", async (used) => {
    await simulator.control("POST", "/spend", { calls: 5_000 });
    await one(1);
    await put("/api/quota/usage", { used });
    expect(await quotaStatus()).toMatchObject({ used });
    await one(2);
    expect(await quotaStatus()).toMatchObject({ used: used + 1 });
  });

  test("is unknown until the provider's own reset", async () => {
    await simulator.control("POST", "/spend", { calls: 5_000 });
    await setClock("2031-05-15T00:01:50Z");
    await simulator.control("POST", "/spend", { calls: 4_000 });
    await one(1);
    expect(await quotaStatus()).toMatchObject({ used: 1, upstream: null });
    await setClock("2031-05-15T00:02:10Z");
    await one(2);
    expect(await quotaStatus()).toMatchObject({ used: 4_002, upstream: { untracked: 4_000 } });
  });

  test("keeps calls sent within the limit while others spend", async () => {
    await settings({ daily_limit: 100, safety_buffer: 20 });
    await simulator.control("POST", "/spend", { calls: 50 });
    await concurrently(60, 8, async (index) => one(index));
    const { spent } = await simulator.state();
    expect(spent).toBeLessThanOrEqual(80 + 8);
    expect(await quotaStatus()).toMatchObject({ remaining: 0, used: spent, reserved: 0 });
  });
});

test("an ISBN twice in flight is two calls, both counted", async () => {
  await Promise.all([post("/api/enrich/batch-direct", { isbns: isbns(1, 1) }), post("/api/enrich/batch-direct", { isbns: isbns(1, 1) })]);
  const { spent } = await simulator.state();
  expect(await quotaStatus()).toMatchObject({ used: spent });
});
