import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { concurrently, emptyLedger, freshLedger, isbnNumber, isbns, ledger } from "../support/worker.ts";
import { post, put, quotaStatus, setClock, settings, simulator } from "../support/worker.ts";

beforeEach(async () => freshLedger());

/** `npm run test:soak` reserves more. */
const CALLS = env.TEST_SOAK === "true" ? 500 : 150;

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

describe("zero overshoot", () => {
  test(`${3 * CALLS} reservations of one call by 64 clients against a limit of ${CALLS} give exactly ${CALLS} grants`, async () => {
    await settings({ daily_limit: CALLS, safety_buffer: 0 });
    const answers = await concurrently(3 * CALLS, 64, async () => post("/api/quota/reservations", { calls: 1, caller: "storm" }));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(CALLS);
    expect(answers.filter(({ status, body }) => status === 429 && body["code"] === "quota_exhausted")).toHaveLength(2 * CALLS);
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: CALLS, remaining: 0 });
  });

  test("the same with evictions of the ledger at random times", async () => {
    await settings({ daily_limit: CALLS, safety_buffer: 0 });
    let evictions = 0;
    // Requests wait at the gate while the ledger is evicted. Requests in flight finish first.
    let gate = Promise.resolve();
    const evict = async (): Promise<void> => {
      // Rejects if the ledger is not running, because there is nothing to evict.
      const evicted = await evictDurableObject(ledger()).then(
        () => true,
        () => false,
      );
      if (evicted) evictions += 1;
    };
    const answers = await concurrently(3 * CALLS, 64, async (index) => {
      if (index % 50 === 25 || Math.random() < 0.01) gate = gate.then(evict);
      await gate;
      const id = `storm-${index}`;
      const answer = await post("/api/quota/reservations", { calls: 1, caller: "storm", id });
      if (answer.status === 201) await post(`/api/quota/reservations/${id}/commit`);
      return answer;
    });
    expect(evictions).toBeGreaterThan(3);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(CALLS);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(2 * CALLS);
    const status = await quotaStatus();
    expect(status).toMatchObject({ used: CALLS, reserved: 0, remaining: 0, callers: [{ caller: "storm", used: CALLS }] });
  });

  test("50 concurrent reservations of 1,000 give exactly 13 grants, and the refusals name the remaining calls", async () => {
    const answers = await concurrently(50, 50, async () => post("/api/quota/reservations", { calls: 1_000 }));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(13);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(37);
    for (const { body } of refused) {
      expect(body).toMatchObject({
        code: "quota_exhausted",
        calls_needed: 1_000,
        calls_available: 0,
        quota: { remaining: 0, reserved: 13_000 },
      });
    }
  });

  test("ledger, callers, provider and status agree exactly after a storm of real requests", async () => {
    await settings({ daily_limit: 120, safety_buffer: 0 });
    const answers = await concurrently(200, 64, async (index) => post("/api/enrich/batch-direct", { isbns: [isbnNumber(index)] }));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(120);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(80);
    const status = await quotaStatus();
    expect(status).toMatchObject({ used: 120, reserved: 0, remaining: 0, upstream: { spent: 120, untracked: 0 } });
    expect(sum(status.callers.map(({ used }) => used))).toBe(120);
    expect(await simulator.state()).toMatchObject({ spent: 120 });
  });

  test("reserved calls cannot be reserved again", async () => {
    await post("/api/quota/reservations", { calls: 12_999 });
    expect((await post("/api/quota/reservations", { calls: 2 })).status).toBe(429);
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(201);
  });
});

describe("the price of a batch", () => {
  const batches = async (count: number, clients: number): Promise<number[]> =>
    (await concurrently(count, clients, async (index) => post("/api/enrich/batch-direct", { isbns: isbns(index * 1_000, 1_000) }))).map(
      ({ status }) => status,
    );

  test.each([1, 8])("6,000 ISBNs cost 6 calls at per_request, learned by %i clients, and 0 calls again", async (clients) => {
    expect(await batches(6, clients)).toEqual(Array.from({ length: 6 }, () => 200));
    const status = await quotaStatus();
    expect(status).toMatchObject({
      used: 6,
      reserved: 0,
      upstream: { spent: 6, untracked: 0, bulk_billing: "per_request", bulk_billing_source: "observed" },
    });
    expect(await simulator.state()).toMatchObject({ spent: 6 });
    expect(await batches(6, clients)).toEqual(Array.from({ length: 6 }, () => 200));
    expect(await quotaStatus()).toMatchObject({ used: 6 });
  });

  test.each([1, 8])("6,000 ISBNs stop after 5 batches at per_isbn, learned by %i clients", async (clients) => {
    await settings({ daily_limit: 5_000, safety_buffer: 0 });
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    const statuses = await batches(6, clients);
    expect(statuses.filter((status) => status === 200)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(1);
    expect(await quotaStatus()).toMatchObject({
      used: 5_000,
      remaining: 0,
      upstream: { spent: 5_000, untracked: 0, bulk_billing: "per_isbn", bulk_billing_source: "observed" },
    });
    expect(await simulator.state()).toMatchObject({ spent: 5_000 });
  });

  const price = async () => (await quotaStatus()).upstream?.bulk_billing;
  const batch = async (from: number, size: number) => post("/api/enrich/batch-direct", { isbns: isbns(from, size) });

  test("a changed price is noticed by the next batch and learned by the one after it", async () => {
    await batch(0, 1_000);
    await batch(10_000, 1_000);
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    expect((await batch(50_000, 100)).body).toMatchObject({ api_calls: 1, quota: { used: 102, upstream: { spent: 102, untracked: 99 } } });
    expect(await price()).toBe("unknown");
    expect((await batch(60_000, 50)).body).toMatchObject({ api_calls: 50 });
    expect(await quotaStatus()).toMatchObject({ used: 152, upstream: { spent: 152, untracked: 99, bulk_billing: "per_isbn" } });
    await simulator.control("PUT", "/settings", { billing: "per_request" });
    expect((await batch(70_000, 100)).body).toMatchObject({ api_calls: 100 });
    expect((await batch(80_000, 100)).body).toMatchObject({ api_calls: 1 });
    expect((await batch(90_000, 100)).body).toMatchObject({ api_calls: 1 });
    expect(await quotaStatus()).toMatchObject({ used: 254, upstream: { spent: 155, bulk_billing: "per_request" } });
  });

  test.each([1, 0])("a batch without a count before and after it sets no price (%i failures of the count)", async (times) => {
    await settings({ daily_limit: 2_010, safety_buffer: 0 });
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    await simulator.control("POST", "/spend", { calls: 3 });
    await simulator.control("POST", "/faults", { kind: "stale_count", path: "/books", times: 0 });
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/key", times, after: times });
    await batch(0, 1_000);
    await concurrently(8, 8, async (index) => batch(10_000 * (index + 1), 1_000));
    const ownCalls = (await simulator.state()).spent - 3;
    expect(ownCalls).toBeLessThanOrEqual(2_010);
    expect((await quotaStatus()).used).toBeGreaterThanOrEqual(ownCalls);
  });

  test("a provider that sent a count once is expected to send it again", async () => {
    await emptyLedger();
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    await simulator.control("POST", "/faults", { kind: "missing_headers", times: 0, path: "/books" });
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/key" });
    await settings({ rate_per_second: 0 });
    await simulator.control("POST", "/faults", { kind: "status", status: 404, path: "/key", after: 1 });
    expect((await batch(0, 20)).body).toMatchObject({ api_calls: 20 });
    expect((await quotaStatus()).upstream?.bulk_billing_source).not.toBe("assumed");
  });

  test("a contradiction does not change the price of batches in flight", async () => {
    await batch(0, 1_000);
    await simulator.control("PUT", "/settings", { latency_ms: 300 });
    const inFlight = concurrently(6, 6, async (index) => batch(10_000 * (index + 1), 1_000));
    await simulator.control("POST", "/spend", { calls: 500 });
    await batch(90_000, 20);
    await inFlight;
    const { spent } = await simulator.state();
    expect(await quotaStatus()).toMatchObject({ used: spent, upstream: { spent } });
  });

  test("a batch is refused as exhausted even while another one learns the price", async () => {
    await settings({ daily_limit: 20, safety_buffer: 0 });
    await ledger().reserve({ id: "probe", cost: { batchOf: 20 }, caller: "x", priority: "interactive" }, null);
    await put("/api/quota/usage", { used: 20 });
    expect((await batch(0, 5)).body).toMatchObject({ code: "quota_exhausted" });
  });

  test("a count that lags sets no price, and sent calls stay within charged calls", async () => {
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    await settings({ daily_limit: 2_010, safety_buffer: 0 });
    await batch(0, 10);
    await simulator.control("POST", "/spend", { calls: 3 });
    await simulator.control("POST", "/faults", { kind: "stale_count", path: "/books", times: 0 });
    await concurrently(9, 8, async (index) => batch(10_000 * (index + 1), 1_000));
    const { spent } = await simulator.state();
    const ownCalls = spent - 3;
    expect(ownCalls).toBeLessThanOrEqual(2_010);
    expect((await quotaStatus()).used).toBeGreaterThanOrEqual(ownCalls);
  });

  test("a batch is priced by the counts before and after it, not by a header that lags", async () => {
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    await simulator.control("POST", "/faults", { kind: "stale_count", path: "/books" });
    expect((await batch(0, 10)).body).toMatchObject({ api_calls: 10 });
    expect(await quotaStatus()).toMatchObject({ used: 10, upstream: { bulk_billing: "per_isbn", untracked: 0 } });
  });

  test("a provider that never sent a count is assumed to bill per request", async () => {
    await emptyLedger();
    await simulator.control("POST", "/faults", { kind: "missing_headers", times: 0, path: "/books" });
    await simulator.control("POST", "/faults", { kind: "status", status: 404, times: 0, path: "/key" });
    await settings({ rate_per_second: 0 });
    expect((await batch(0, 10)).body).toMatchObject({ api_calls: 1, quota: { used: 1, upstream: null } });
    expect((await batch(10, 10)).body).toMatchObject({ api_calls: 1, quota: { used: 2 } });
  });

  test("a provider that stops sending counts is charged the maximum until it sends one", async () => {
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    await simulator.control("POST", "/faults", { kind: "missing_headers", path: "/books" });
    await simulator.control("POST", "/faults", { kind: "status", status: 500, times: 2, path: "/key" });
    expect((await batch(0, 20)).body).toMatchObject({ api_calls: 20 });
    expect(await price()).toBe("unknown");
    expect((await batch(20, 20)).body).toMatchObject({ api_calls: 20 });
    expect(await price()).toBe("per_isbn");
  });

  test.each([
    ["refused because it was too fast", { kind: "minute_quota" }, "per_isbn", 0],
    ["refused because it was too fast", { kind: "minute_quota" }, "per_request", 0],
    ["refused by the plan", { kind: "wrong_plan" }, "per_request", 1],
    ["failed but was billed", { kind: "status", status: 500 }, "per_isbn", 30],
    ["failed but was billed", { kind: "status", status: 500 }, "per_request", 1],
    ["never reached the provider's count", { kind: "hang_before_billing", hang_ms: 0 }, "per_isbn", 0],
    ["was billed and cut off", { kind: "reset_connection" }, "per_isbn", 30],
  ])(
    "a single batch that %s (%o, %s) is charged %i calls, according to the counts before and after it",
    async (_, fault, billing, charged) => {
      await simulator.control("PUT", "/settings", { billing });
      await simulator.control("POST", "/faults", { ...fault, path: "/books" });
      expect((await batch(0, 30)).body).toMatchObject({ calls_charged: charged });
      expect(await quotaStatus()).toMatchObject({ used: charged, reserved: 0, upstream: { spent: charged, untracked: 0 } });
    },
  );

  test("a failed batch without both counts is charged the maximum", async () => {
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/books" });
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/key", after: 1 });
    expect((await batch(0, 30)).body).toMatchObject({ code: "upstream_error", calls_charged: 30 });
  });

  test("an untracked call sets no price while the count lags", async () => {
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    const counted = async (spent: number) => {
      const at = Date.now();
      return {
        kind: "count",
        report: { requestedAt: at, receivedAt: at, daily: { left: 15_000 - spent, limit: 15_000 }, rate: null },
      } as const;
    };
    const probe = async (id: string, before: number, after: number) => {
      await ledger().reserve({ id, cost: { batchOf: 1_000 }, caller: "x", priority: "interactive" }, null);
      const at = Date.now();
      const settlement = {
        sent: "yes",
        underWay: { from: at, to: at },
        delivered: true,
        report: null,
        signal: "none",
        retryAfterSeconds: null,
      } as const;
      await ledger().commit({ id, settlement, counts: { before: await counted(before), after: await counted(after) } });
    };
    await probe("lagging", 100, 101);
    expect(await price()).toBe("unknown");
    // The provider's count now includes the first batch, but not the second.
    await probe("lagging-again", 1_101, 1_102);
    expect(await price()).toBe("unknown");
    expect(await quotaStatus()).toMatchObject({ used: 1_102 });
  });

  test("an operator's correction does not hide a contradiction", async () => {
    await batch(0, 1_000);
    await batch(10_000, 1_000);
    await put("/api/quota/usage", { used: 502 });
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    await batch(50_000, 100);
    expect(await price()).toBe("unknown");
  });

  test("no price is learned in the first two minutes of a day", async () => {
    await setClock("2031-05-15T00:01:00Z");
    expect((await batch(0, 30)).body).toMatchObject({ api_calls: 30 });
    await setClock("2031-05-15T00:02:30Z");
    expect((await batch(100, 30)).body).toMatchObject({ api_calls: 1 });
  });

  test("an unknown price reserves the maximum", async () => {
    await put("/api/quota/usage", { used: 12_500 });
    const { status, body } = await post("/api/enrich/batch-direct", { isbns: isbns(0, 501) });
    expect({ status, body }).toMatchObject({ status: 429, body: { code: "quota_exhausted", calls_needed: 501, calls_available: 500 } });
    expect(await simulator.state()).toMatchObject({ spent: 0 });
  });
});
