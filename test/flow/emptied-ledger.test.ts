import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { emptyLedger, freshStart, ledger, post, put, quotaStatus, setClock, simulator } from "../support/worker.ts";
import { enrichOne, publish, passSeconds, brokenKv, callWith } from "./support.ts";

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
  return () => vi.restoreAllMocks();
});

describe("a ledger without data", () => {
  test("continues from the snapshot: reserved calls count as spent, settings and price are restored", async () => {
    await put("/api/quota/settings", { daily_limit: 14_000 });
    await enrichOne(1);
    await post("/api/quota/reservations", { calls: 40, caller: "x" });
    passSeconds(62);
    await publish();
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({
      used: 41,
      reserved: 0,
      daily_limit: 14_000,
      recovered: true,
      callers: [
        { caller: "x", used: 40 },
        { caller: "enrich.batch", used: 1 },
      ],
    });
  });

  test("takes the provider's count if it is higher", async () => {
    await enrichOne(1);
    passSeconds(62);
    await publish();
    await simulator.control("POST", "/spend", { calls: 500 });
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: 501, recovered: true, upstream: { untracked: 500 } });
  });

  test("does not treat an unreadable snapshot as zero", async () => {
    await put("/api/quota/usage", { used: 12_000 });
    await env.QUOTA_KV.put("snapshot:isbndb", JSON.stringify({ version: 99 }));
    await emptyLedger();
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/key", times: 1 });
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(503);
  });

  test("does not start with wrong limits if KV returned only a part", async () => {
    await put("/api/quota/settings", { daily_limit: 3_000 });
    passSeconds(62);
    await publish();
    await emptyLedger();
    const read = env.QUOTA_KV.get.bind(env.QUOTA_KV) as unknown as (key: string, type: string) => Promise<unknown>;
    const half = {
      get: async (key: string, type: string) => (key.startsWith("settings") ? Promise.reject(new Error("KV GET failed")) : read(key, type)),
    } as unknown as KVNamespace;
    expect((await callWith({ QUOTA_KV: half }, "POST", "/api/quota/reservations", { calls: 1 })).status).toBe(503);
    expect(await quotaStatus()).toMatchObject({ daily_limit: 3_000 });
  });

  test("started without KV, takes the limits from KV later and overwrites nothing", async () => {
    await put("/api/quota/settings", { daily_limit: 3_000 });
    passSeconds(62);
    await publish();
    await emptyLedger();
    expect(await callWith({ QUOTA_KV: brokenKv() }, "POST", "/api/quota/reservations", { calls: 1 })).toMatchObject({ status: 201 });
    passSeconds(62);
    await publish();
    expect(await quotaStatus()).toMatchObject({ daily_limit: 3_000 });
    expect(await env.QUOTA_KV.get("settings:isbndb", "json")).toMatchObject({ overrides: { dailyLimit: 3_000 } });
  });

  test("started without KV, keeps changes by operators until KV answers", async () => {
    await put("/api/quota/settings", { daily_limit: 3_000, safety_buffer: 100 });
    passSeconds(62);
    await publish();
    await emptyLedger();
    await callWith({ QUOTA_KV: brokenKv() }, "POST", "/api/quota/reservations", { calls: 1 });
    const reads = vi.spyOn(env.QUOTA_KV, "get").mockRejectedValue(new Error("KV GET failed"));
    await publish();
    await runInDurableObject(ledger(), async (_, state) => expect(await state.storage.getAlarm()).toBeGreaterThan(Date.now() + 4_000));
    await put("/api/quota/settings", { safety_buffer: 5_000 });
    reads.mockRestore();
    passSeconds(61);
    await publish();
    expect(await quotaStatus()).toMatchObject({ daily_limit: 15_000, safety_limit: 10_000 });
    await callWith({}, "DELETE", "/api/quota/settings");
    passSeconds(61);
    await publish();
    expect(await quotaStatus()).toMatchObject({ daily_limit: 15_000, safety_limit: 13_000 });
  });

  test("just after midnight counts yesterday's open reservations", async () => {
    await setClock("2031-05-14T23:59:50Z");
    await post("/api/quota/reservations", { calls: 40 });
    await publish();
    await emptyLedger();
    await setClock("2031-05-15T00:00:30Z");
    expect(await quotaStatus()).toMatchObject({ date: "2031-05-15", used: 40, callers: [{ caller: "api", used: 40 }] });
  });

  test("just after midnight, without KV, ignores a count that may be yesterday's", async () => {
    await setClock("2031-05-15T00:01:00Z");
    await emptyLedger();
    expect((await callWith({ QUOTA_KV: brokenKv() }, "POST", "/api/quota/reservations", { calls: 1 })).status).toBe(503);
  });

  test("ignores yesterday's snapshot", async () => {
    await put("/api/quota/usage", { used: 9_000 });
    passSeconds(62);
    await publish();
    passSeconds(86_400);
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: 0 });
  });

  test("uses the provider's count if KV fails, and decides nothing without it", async () => {
    await enrichOne(1);
    await emptyLedger();
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/key", times: 1 });
    const broken = { QUOTA_KV: brokenKv() };
    expect(await callWith(broken, "POST", "/api/quota/reservations", { calls: 1 })).toMatchObject({
      status: 503,
      body: { code: "quota_unavailable" },
    });
    expect(await callWith(broken, "POST", "/api/quota/reservations", { calls: 1 })).toMatchObject({
      status: 201,
      body: { quota: { used: 1 } },
    });
  });

  test("keeps an operator's reset", async () => {
    await simulator.control("POST", "/spend", { calls: 5_000 });
    await enrichOne(1);
    await post("/api/quota/reset");
    passSeconds(62);
    await publish();
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: 0 });
  });
});
