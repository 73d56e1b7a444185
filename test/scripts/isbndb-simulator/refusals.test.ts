import { expect, test } from "vitest";
import { BOOK, DAILY, MINUTE, isbns, startSimulator } from "./support.ts";

const simulator = startSimulator();

const fillMinute = async (): Promise<void> => {
  await simulator.set({ rate_per_second: 1 });
  await Promise.all(Array.from({ length: 60 }, async () => simulator.get(BOOK)));
};

test("when the day is used up, the 2026 dialect refuses with 429 and adds nothing", async () => {
  await simulator.set({ daily_limit: 10 });
  await simulator.spend(10);
  const reply = await simulator.get(BOOK);
  expect([reply.status, reply.json()]).toEqual([429, { message: DAILY, error_message: DAILY }]);
  expect(reply.headers.get("ratelimit")).toMatch(/^"daily";r=0;t=\d+$/);
  expect(await simulator.state()).toMatchObject({ spent: 10, requests: 1, billed_requests: 0 });
});

test("when the day is used up, the 2025 dialect refuses with 403", async () => {
  await simulator.set({ daily_limit: 10, dialect: "2025" });
  await simulator.spend(10);
  const reply = await simulator.get(BOOK);
  expect([reply.status, reply.json()]).toEqual([403, { message: "daily hits reached" }]);
});

test("what is free stays free when the day is used up", async () => {
  await simulator.set({ daily_limit: 10 });
  await simulator.spend(10);
  expect((await simulator.get("/key")).json()).toMatchObject({ plan_limit: { total: 10, spent: 10, left: 0 } });
});

test("a batch that would exceed the day is refused whole, and a smaller one still granted", async () => {
  await simulator.set({ daily_limit: 10, billing: "per_isbn" });
  expect((await simulator.batch(isbns(11))).status).toBe(429);
  expect((await simulator.state()).spent).toBe(0);
  expect((await simulator.batch(isbns(10))).status).toBe(200);
  expect((await simulator.state()).spent).toBe(10);
});

test("over the rolling minute the 2026 dialect refuses with 429, and the day does not notice", async () => {
  await simulator.set({ clock: "2026-03-01T12:00:00Z" });
  await fillMinute();
  const reply = await simulator.get(BOOK);
  expect([reply.status, reply.json()]).toEqual([429, { message: MINUTE, error_message: MINUTE }]);
  expect(reply.headers.get("ratelimit")).toMatch(/^"rate";r=0;t=\d+, "daily";r=14940;t=\d+$/);
  expect((await simulator.state()).spent).toBe(60);
});

test("over the rolling minute the 2025 dialect says that the limit is exceeded", async () => {
  await simulator.set({ dialect: "2025", clock: "2026-03-01T12:00:00Z" });
  await fillMinute();
  const reply = await simulator.get(BOOK);
  expect([reply.status, reply.json()]).toEqual([429, { message: "Limit Exceeded" }]);
});

test("a minute later by the simulator's clock the rate is whole again", async () => {
  await simulator.set({ clock: "2026-03-01T12:00:00Z" });
  await fillMinute();
  await simulator.set({ clock: "2026-03-01T12:02:00Z" });
  const reply = await simulator.get(BOOK);
  expect(reply.headers.get("ratelimit")).toMatch(/^"rate";r=59;t=60, /);
});

test("the key's status is outside the rate", async () => {
  await simulator.set({ clock: "2026-03-01T12:00:00Z" });
  await fillMinute();
  expect((await simulator.get("/key")).status).toBe(200);
});
