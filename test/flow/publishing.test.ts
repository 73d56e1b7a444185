/** When the ledger writes and reads KV, counted: each write and each alarm costs. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { call, freshStart, get, ledger, post, put, quotaStatus } from "../support/worker.ts";
import { passSeconds } from "./support.ts";

const SETTINGS = "settings:isbndb";
const SNAPSHOT = "snapshot:isbndb";
const DAY_SECONDS = 86_400;

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
});
afterEach(() => void vi.restoreAllMocks());

const alarmAt = async (): Promise<number | null> => runInDurableObject(ledger(), async (_, state) => state.storage.getAlarm());

/** Fires each alarm at its time until `seconds` have passed. Returns the number of alarms. */
async function pass(seconds: number): Promise<number> {
  const until = Date.now() + seconds * 1_000;
  let alarms = 0;
  for (;;) {
    const at = await alarmAt();
    if (at === null || at > until) break;
    vi.setSystemTime(Math.max(Date.now(), at));
    await runDurableObjectAlarm(ledger());
    alarms += 1;
  }
  vi.setSystemTime(until);
  return alarms;
}

type Kv = typeof env.QUOTA_KV;

/** Counts operations on KV, and lets `refuse` fail some. */
function watchKv(refuse: (operation: string) => boolean = () => false) {
  const operations: string[] = [];
  for (const name of ["get", "put"] as const) {
    const real = env.QUOTA_KV[name].bind(env.QUOTA_KV) as (...given: unknown[]) => Promise<unknown>;
    vi.spyOn(env.QUOTA_KV, name).mockImplementation((async (...given: unknown[]) => {
      const operation = `${name} ${String(given[0])}`;
      operations.push(operation);
      if (refuse(operation)) throw new Error("KV PUT failed: 429 Too Many Requests");
      return real(...given);
    }) as unknown as Kv["get"] & Kv["put"]);
  }
  const count = (operation: string): number => operations.filter((each) => each === operation).length;
  return { operations, count };
}

describe("a read of the status", () => {
  test("publishes nothing after an eviction, however often", async () => {
    await post("/api/quota/reservations", { calls: 1, id: "mine" });
    await post("/api/quota/reservations/mine/commit", {});
    await pass(300);
    const { operations } = watchKv();
    let alarms = 0;
    for (let check = 0; check < 30; check += 1) {
      await evictDurableObject(ledger());
      await quotaStatus();
      await get("/health");
      alarms += await pass(60);
    }
    expect({ alarms, operations }).toEqual({ alarms: 0, operations: [] });
  });

  test("publishes a change that was not published before the eviction", async () => {
    await pass(300);
    await post("/api/quota/reservations", { calls: 2, id: "mine" });
    await evictDurableObject(ledger());
    const { count } = watchKv();
    await quotaStatus();
    await pass(60);
    expect(count(`put ${SNAPSHOT}`)).toBe(1);
    expect((await get("/api/quota/status?fresh=false")).body).toMatchObject({ source: "snapshot", reserved: 2 });
  });

  test("publishes once in a new day", async () => {
    await pass(DAY_SECONDS);
    const { count } = watchKv();
    await quotaStatus();
    await pass(60);
    await quotaStatus();
    await pass(600);
    expect(count(`put ${SNAPSHOT}`)).toBe(1);
  });
});

test("an expired reservation is published", async () => {
  await post("/api/quota/reservations", { calls: 3, ttl_seconds: 300 });
  await pass(900);
  expect((await get("/api/quota/status?fresh=false")).body).toMatchObject({ source: "snapshot", reserved: 0, used: 3 });
});

test("an hour of constant changes writes 120 snapshots, twice a minute", async () => {
  await pass(300);
  const { count } = watchKv();
  let alarms = 0;
  for (let second = 0; second < 3_600; second += 10) {
    await post("/api/quota/reservations", { calls: 1, id: `r${second}` });
    await call("DELETE", `/api/quota/reservations/r${second}`);
    alarms += await pass(10);
  }
  expect(count(`put ${SNAPSHOT}`)).toBeGreaterThan(115);
  expect(count(`put ${SNAPSHOT}`)).toBeLessThanOrEqual(121);
  expect(alarms).toBeLessThanOrEqual(125);
});

describe("while KV refuses", () => {
  test("all writes for a day, the ledger pauses longer and longer, and then publishes", async () => {
    await pass(300);
    let refusing = true;
    const { operations } = watchKv((operation) => refusing && operation.startsWith("put"));
    await put("/api/quota/settings", { background_floor: 7 });
    let alarms = 0;
    // The object sleeps during a long pause. Its memory is lost then.
    for (let hour = 0; hour < 24; hour += 1) {
      await evictDurableObject(ledger());
      alarms += await pass(3_600);
    }
    const writes = operations.filter((operation) => operation.startsWith("put")).length;
    expect(writes).toBeLessThan(2 * 730);
    expect(alarms).toBeLessThan(2 * 730);
    refusing = false;
    await pass(2 * 60);
    expect(await env.QUOTA_KV.get(SETTINGS, "json")).toMatchObject({ overrides: { backgroundFloor: 7 } });
    expect((await get("/api/quota/status?fresh=false")).body).toMatchObject({ source: "snapshot" });
  });

  test("all reads, settings are not written and reads pause longer and longer", async () => {
    await pass(300);
    const { count } = watchKv((operation) => operation.startsWith("get"));
    await put("/api/quota/settings", { background_floor: 7 });
    await pass(DAY_SECONDS);
    expect(count(`get ${SETTINGS}`)).toBeLessThan(730);
    expect(count(`put ${SETTINGS}`)).toBe(0);
  });
});

describe("a switch that was turned in KV itself", () => {
  /** A location that repeats an answer for a minute, as KV does. */
  function cacheReads(): void {
    const real = env.QUOTA_KV.get.bind(env.QUOTA_KV) as (...given: unknown[]) => Promise<unknown>;
    const cache = new Map<string, { readonly answer: unknown; readonly until: number }>();
    vi.spyOn(env.QUOTA_KV, "get").mockImplementation((async (...given: unknown[]) => {
      const key = String(given[0]);
      const cached = cache.get(key);
      if (cached && cached.until > Date.now()) return cached.answer;
      const answer = await real(...given);
      cache.set(key, { answer, until: Date.now() + 60_000 });
      return answer;
    }) as unknown as Kv["get"]);
  }

  test.each([5, 30, 59])("%i s after the ledger's last read is adopted, not overwritten by another change", async (seconds) => {
    cacheReads();
    await put("/api/quota/settings", { background_floor: 5 });
    await pass(300);
    await put("/api/quota/settings", { background_floor: 6 });
    await pass(2);
    passSeconds(seconds);
    const byHand = { overrides: {}, enforcement: { value: "off", changedAt: Date.now() } };
    await env.QUOTA_KV.put(SETTINGS, JSON.stringify(byHand));
    passSeconds(0.5);
    await put("/api/quota/settings", { background_floor: 7 });
    await pass(300);
    expect(await quotaStatus()).toMatchObject({ enforcement: "off" });
    vi.restoreAllMocks();
    expect(await env.QUOTA_KV.get(SETTINGS, "json")).toMatchObject({ overrides: { backgroundFloor: 7 }, enforcement: { value: "off" } });
  });
});
