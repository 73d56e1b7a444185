import { expect, test } from "vitest";
import { BOOK, DAILY, MINUTE, isbns, startSimulator } from "./support.ts";

const simulator = startSimulator();

const fillMinute = async (): Promise<void> => {
  await simulator.set({ rate_per_second: 1 });
  await Promise.all(Array.from({ length: 60 }, async () => simulator.get(BOOK)));
};

test("at the daily limit the 2026 dialect refuses with 429 and counts nothing", async () => {
  await simulator.set({ daily_limit: 10 });
  await simulator.spend(10);
  const reply = await simulator.get(BOOK);
  expect([reply.status, reply.json()]).toEqual([429, { message: DAILY, error_message: DAILY }]);
  expect(reply.headers.get("ratelimit")).toMatch(/^"daily";r=0;t=\d+$/);
  expect(await simulator.state()).toMatchObject({ spent: 10, requests: 1, billed_requests: 0 });
});

test("at the daily limit the 2025 dialect refuses with 403", async () => {
  await simulator.set({ daily_limit: 10, dialect: "2025" });
  await simulator.spend(10);
  const reply = await simulator.get(BOOK);
  expect([reply.status, reply.json()]).toEqual([403, { message: "daily hits reached" }]);
});

test("free requests stay free when the daily limit is used up", async () => {
  await simulator.set({ daily_limit: 10 });
  await simulator.spend(10);
  expect((await simulator.get("/key")).json()).toMatchObject({ plan_limit: { total: 10, spent: 10, left: 0 } });
});

test("a batch above the remaining calls is refused, and a smaller one granted", async () => {
  await simulator.set({ daily_limit: 10, billing: "per_isbn" });
  expect((await simulator.batch(isbns(11))).status).toBe(429);
  expect((await simulator.state()).spent).toBe(0);
  expect((await simulator.batch(isbns(10))).status).toBe(200);
  expect((await simulator.state()).spent).toBe(10);
});

test("over the rate limit the 2026 dialect refuses with 429 and counts nothing", async () => {
  await simulator.set({ clock: "2026-03-01T12:00:00Z" });
  await fillMinute();
  const reply = await simulator.get(BOOK);
  expect([reply.status, reply.json()]).toEqual([429, { message: MINUTE, error_message: MINUTE }]);
  expect(reply.headers.get("ratelimit")).toMatch(/^"rate";r=0;t=\d+, "daily";r=14940;t=\d+$/);
  expect((await simulator.state()).spent).toBe(60);
});

test("over the rate limit the 2025 dialect returns its own message", async () => {
  await simulator.set({ dialect: "2025", clock: "2026-03-01T12:00:00Z" });
  await fillMinute();
  const reply = await simulator.get(BOOK);
  expect([reply.status, reply.json()]).toEqual([429, { message: "Limit Exceeded" }]);
});

test("a minute later by the simulator's clock all requests of the rate are available", async () => {
  await simulator.set({ clock: "2026-03-01T12:00:00Z" });
  await fillMinute();
  await simulator.set({ clock: "2026-03-01T12:02:00Z" });
  const reply = await simulator.get(BOOK);
  expect(reply.headers.get("ratelimit")).toMatch(/^"rate";r=59;t=60, /);
});

test("the rate limit does not apply to the status of the key", async () => {
  await simulator.set({ clock: "2026-03-01T12:00:00Z" });
  await fillMinute();
  expect((await simulator.get("/key")).status).toBe(200);
});
