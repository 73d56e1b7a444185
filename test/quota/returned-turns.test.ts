/** Returned turns of the pace. Booked turns keep their distance after any releases, commits, pauses and waits. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import { readConfig } from "../../worker/src/env.ts";
import { changeSettings } from "../../worker/src/quota/operator.ts";
import { reserve as reserveIn } from "../../worker/src/quota/reserve.ts";
import { LedgerStore } from "../../worker/src/quota/store.ts";
import { freshStart, ledger, settings } from "../support/worker.ts";

const SPACING_MS = 334;

const reserve = async (id: string, caller = "job.a", priority: "interactive" | "background" = "interactive") =>
  createDeps(env, () => Date.now()).quota.reserve({ id, cost: { calls: 1 }, caller, priority });

/** Pseudorandom integers below `limit`, the same in every run. */
function randomIntegers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * limit);
  };
}

beforeEach(async () => {
  await freshStart();
  await settings({ rate_per_second: 3 });
});

test.each([1, 2, 3, 4])("in any order, no two requests are sent closer than the rate allows (%i)", async (seed) => {
  const random = randomIntegers(seed);
  const held = new Map<string, number>();
  const sent: number[] = [];
  let [granted, refused] = [0, 0];
  const returnSlot = async (id: string) => (random(2) === 0 ? ledger().release(id) : ledger().commit({ id, calls: 0 }));
  for (let step = 0; step < 400; step += 1) {
    const waiting = [...held.keys()];
    switch (random(waiting.length > 0 ? 5 : 3)) {
      case 0:
      case 1:
      case 2: {
        const id = `s${step}`;
        const priority = random(4) === 0 ? "background" : "interactive";
        const answer = await reserve(id, `job.${random(4)}`, priority);
        if (answer.result === "granted") held.set(id, answer.reservation.startAt);
        if (answer.result === "granted") granted += 1;
        else refused += 1;
        break;
      }
      case 3: {
        const id = waiting[random(waiting.length)] ?? "";
        await returnSlot(id);
        held.delete(id);
        break;
      }
      default: {
        vi.setSystemTime(Date.now() + random(700));
        for (const [id, at] of held) {
          if (at > Date.now()) continue;
          // Its turn has come, so it counts as sent, for any later commit or release.
          sent.push(at);
          held.delete(id);
        }
      }
    }
  }
  const turns = [...sent, ...held.values()].toSorted((a, b) => a - b);
  const gaps = turns.slice(1).map((at, index) => at - (turns[index] ?? 0));
  expect(granted).toBeGreaterThan(80);
  expect(refused).toBeGreaterThan(0);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(SPACING_MS);
});

test("returned turns do not shorten the provider's pause", async () => {
  for (let index = 0; index < 10; index += 1) await reserve(`r${index}`);
  const now = Date.now();
  const settlement = { sent: "yes", underWay: { from: now, to: now }, delivered: false, report: null } as const;
  await ledger().commit({ id: "r0", settlement: { ...settlement, signal: "wait", retryAfterSeconds: 5 } });
  for (let index = 1; index < 10; index += 1) await ledger().release(`r${index}`);
  expect(await reserve("after", "job.b")).toMatchObject({ result: "granted", reservation: { startAt: now + 15 * SPACING_MS } });
  await ledger().release("after");
  await evictDurableObject(ledger());
  expect(await reserve("again", "job.c")).toMatchObject({ reservation: { startAt: now + 15 * SPACING_MS } });
});

test("a returned turn goes to one of many concurrent requests", async () => {
  for (let index = 0; index < 5; index += 1) await reserve(`r${index}`);
  await ledger().release("r2");
  const answers = await Promise.all(Array.from({ length: 20 }, async (_, index) => reserve(`n${index}`, `job.${index}`)));
  const starts = answers.flatMap((answer) => (answer.result === "granted" ? [(answer.reservation.startAt - Date.now()) / SPACING_MS] : []));
  expect(starts.filter((start) => start === 2)).toHaveLength(1);
  expect(new Set(starts).size).toBe(20);
});

test("a ledger that was evicted knows the booked turns", async () => {
  for (const id of ["a", "b", "c"]) await reserve(id);
  await ledger().release("b");
  await evictDurableObject(ledger());
  expect(await reserve("d", "job.b")).toMatchObject({ reservation: { startAt: Date.now() + SPACING_MS } });
  expect(await reserve("e", "job.c")).toMatchObject({ reservation: { startAt: Date.now() + 3 * SPACING_MS } });
  await runInDurableObject(ledger(), (_, { storage }) => {
    const rows = storage.sql.exec("SELECT id FROM reservations WHERE pace_chain IS NULL").toArray();
    expect(rows).toEqual([{ id: "b" }]);
  });
});

test.each([
  [1, 0.5],
  [1, 3],
  [10, 2],
  [0, 3],
])("turns keep their distance after a deploy with rate %d and then an operator's change to %d", async (deployed, changed) => {
  for (const id of ["a", "b", "c"]) await reserve(id);
  const now = Date.now();
  const config = { ...readConfig(env).quota, ratePerSecond: deployed };
  await runInDurableObject(ledger(), (_, { storage }) => {
    // The next release has another configuration, and no operator has changed the rate.
    const store = new LedgerStore(storage.sql, "isbndb", config);
    store.state.changeSettings({ overrides: {} });
    changeSettings(store, { ratePerSecond: changed }, { id: "op", actor: "admin" }, now);
    const request = { id: "d", cost: { calls: 1 }, caller: "job.b", priority: "interactive", shareMode: "unlimited" } as const;
    const answer = reserveIn(store, request, now);
    const startAt = answer.result === "granted" ? answer.reservation.startAt : 0;
    expect(startAt).toBeGreaterThanOrEqual(now + 2 * SPACING_MS + 1_000 / changed);
  });
});

test.each([3_600_000, 60_000])("turns keep their distance after the clock was %i ms ahead for one request", async (ahead) => {
  const start = Date.now();
  const starts: number[] = [];
  const reserveAll = async (ids: readonly string[]) => {
    for (const id of ids) {
      const answer = await reserve(id, `job.${id}`);
      if (answer.result === "granted") starts.push(answer.reservation.startAt);
    }
  };
  await reserveAll(["a", "b", "c", "d"]);
  vi.setSystemTime(start + ahead);
  await reserveAll(["e"]);
  vi.setSystemTime(start + 100);
  await reserveAll(["f", "g", "h", "i"]);
  const sorted = starts.toSorted((a, b) => a - b);
  expect(starts).toHaveLength(9);
  expect(Math.min(...sorted.slice(1).map((at, index) => at - (sorted[index] ?? 0)))).toBeGreaterThanOrEqual(SPACING_MS - 1);
});

test("callers share all turns after the clock was an hour ahead", async () => {
  const start = Date.now();
  vi.setSystemTime(start + 3_600_000);
  for (let index = 0; index < 9; index += 1) await reserve(`a${index}`, `job.${index % 3}`);
  let granted = 0;
  for (let second = 0; second < 10; second += 1) {
    vi.setSystemTime(start + second * 1_000);
    for (let index = 0; index < 3; index += 1) {
      const { result } = await reserve(`b${second}.${index}`, `job.${index}`);
      if (result === "granted") granted += 1;
    }
  }
  expect(granted).toBeGreaterThanOrEqual(28);
});
