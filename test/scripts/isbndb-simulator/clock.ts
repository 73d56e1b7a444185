import { expect, test } from "vitest";
import { BOOK, startSimulator } from "./support.ts";

const simulator = startSimulator();

test("the clock runs from the time that was set", async () => {
  const set = await simulator.set({ clock: "2026-03-01T12:00:00Z" });
  const later = await simulator.state();
  expect(set.settings["clock"]).toBe("2026-03-01T12:00:00Z");
  expect(set.now >= "2026-03-01T12:00:00.000Z" && set.now <= later.now && later.now < "2026-03-01T13").toBe(true);
});

test("a time in another zone is converted to UTC", async () => {
  expect(await simulator.set({ clock: "2026-03-01T01:30:00+02:00" })).toMatchObject({ day: "2026-02-28" });
});

test("at midnight UTC the count restarts at 0 without a carry-over", async () => {
  await simulator.set({ daily_limit: 5, clock: "2026-03-01T23:00:00Z" });
  await simulator.spend(4);
  await simulator.get(BOOK);
  expect((await simulator.get(BOOK)).status).toBe(429);
  await simulator.set({ clock: "2026-03-02T00:00:00Z" });
  const reply = await simulator.get(BOOK);
  expect(reply.status).toBe(200);
  expect(reply.headers.get("ratelimit")).toMatch(/^"daily";r=4;t=\d+$/);
  expect(await simulator.state()).toMatchObject({ day: "2026-03-02", spent: 1, left: 4 });
});

test("the seconds to the reset count down to midnight of the set day", async () => {
  await simulator.set({ clock: "2026-03-01T12:00:00Z" });
  const { headers } = await simulator.get(BOOK);
  const seconds = Number(/"daily";r=\d+;t=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1]);
  expect(seconds).toBeLessThanOrEqual(43_200);
  expect(seconds).toBeGreaterThan(39_600);
});

test("null returns to real time", async () => {
  await simulator.set({ clock: "2001-01-01T00:00:00Z" });
  const { now, settings } = await simulator.set({ clock: null });
  expect(now > "2026").toBe(true);
  expect(settings["clock"]).toBeNull();
});

test("another setting does not turn a running clock back", async () => {
  const before = await simulator.set({ clock: "2026-03-01T12:00:00Z" });
  const after = await simulator.set({ daily_limit: 7 });
  expect(after.now >= before.now).toBe(true);
});
