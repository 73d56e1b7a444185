import { expect, test } from "vitest";
import { BOOK, isbns, startSimulator } from "./support.ts";

const simulator = startSimulator();

test("each request costs one call, including 404, 400, 415 and unknown paths", async () => {
  await simulator.get(BOOK);
  await simulator.get("/book/9780306406158");
  await simulator.get("/author/Nobody");
  await simulator.get("/author/x?page=0");
  await simulator.get("/nowhere");
  await simulator.form("/books", { isbns: "" }, { authorization: "simulator-key" });
  await simulator.get(BOOK);
  expect(await simulator.state()).toMatchObject({ spent: 7, left: 14_993, requests: 7, billed_requests: 7 });
});

test("the status of the key is free, and requests without a key are not billed", async () => {
  await simulator.get("/key");
  await simulator.request("GET", BOOK);
  expect(await simulator.state()).toMatchObject({ spent: 0, requests: 2, billed_requests: 0 });
});

test("billed per request, a batch costs one call", async () => {
  await simulator.batch(isbns(1_000));
  expect(await simulator.state()).toMatchObject({
    spent: 1,
    by_endpoint: { "POST /books": { requests: 1, billed_requests: 1, calls: 1 } },
  });
});

test("billed per ISBN, a batch costs one call per ISBN, including unknown and repeated ones", async () => {
  await simulator.set({ billing: "per_isbn" });
  await simulator.batch([...isbns(50), ...isbns(50), "0000000000000"]);
  await simulator.get(BOOK);
  expect(await simulator.state()).toMatchObject({
    spent: 102,
    by_endpoint: { "POST /books": { requests: 1, billed_requests: 1, calls: 101 } },
  });
});

test("billed per ISBN, a batch too large for the plan costs one call", async () => {
  await simulator.set({ billing: "per_isbn", max_batch: 100 });
  expect((await simulator.batch(isbns(101))).status).toBe(400);
  expect((await simulator.state()).spent).toBe(1);
});

test("headers, key status and state show the same count", async () => {
  await simulator.set({ rate_per_second: 3 });
  await simulator.spend(40);
  const { headers } = await simulator.get(BOOK);
  expect(headers.get("ratelimit")).toMatch(/^"rate";r=179;t=\d+, "daily";r=14959;t=\d+$/);
  expect(headers.get("ratelimit-policy")).toBe('"rate";q=180;w=60, "daily";q=15000;w=86400');
  expect((await simulator.get("/key")).json()).toMatchObject({ plan_limit: { total: 15_000, spent: 41, left: 14_959 } });
  expect(await simulator.state()).toMatchObject({ spent: 41, left: 14_959 });
});

test("without a rate limit the headers only contain the daily limit", async () => {
  const { headers } = await simulator.get(BOOK);
  expect(headers.get("ratelimit-policy")).toBe('"daily";q=15000;w=86400');
});

test("two hundred concurrent requests are counted exactly", async () => {
  const replies = await Promise.all(Array.from({ length: 200 }, async () => simulator.get(BOOK)));
  const left = replies.map(({ headers }) => Number(/"daily";r=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1]));
  expect(left.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => 14_800 + index));
  expect(await simulator.state()).toMatchObject({ spent: 200, requests: 200 });
});

test("of two hundred concurrent requests exactly the remaining calls of the daily limit are granted", async () => {
  await simulator.set({ daily_limit: 137 });
  const replies = await Promise.all(Array.from({ length: 200 }, async () => simulator.get(BOOK)));
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(137);
  expect(replies.filter(({ status }) => status === 429)).toHaveLength(63);
  expect(await simulator.state()).toMatchObject({ spent: 137, left: 0 });
});

test("of two hundred concurrent requests exactly the remaining calls of the minute are granted", async () => {
  await simulator.set({ rate_per_second: 2, clock: "2026-03-01T12:00:00Z" });
  const replies = await Promise.all(Array.from({ length: 200 }, async () => simulator.get(BOOK)));
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(120);
  expect((await simulator.state()).spent).toBe(120);
});

test("the count survives the object's eviction", async () => {
  await simulator.get(BOOK);
  await simulator.fault({ kind: "status", status: 503, times: 2 });
  await simulator.get(BOOK);
  const before = await simulator.state();
  await simulator.harness.getWorker().evictDurableObject("SimulatedAccount", { name: "subscription" });
  expect(await simulator.state()).toEqual({ ...before, now: expect.any(String) });
});
