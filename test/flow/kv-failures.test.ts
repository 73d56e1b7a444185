import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { freshStart, get, isbnNumber, ledger, post, put, quotaStatus } from "../support/worker.ts";
import { enrichOne, publish, passSeconds, failLedger, brokenKv, callWith } from "./support.ts";

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
  return () => vi.restoreAllMocks();
});

describe("with KV failing", () => {
  test("everything works except the snapshot", async () => {
    const broken = { QUOTA_KV: brokenKv() };
    expect(await callWith(broken, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).toMatchObject({ status: 200 });
    expect(await callWith(broken, "GET", "/api/quota/status?fresh=false")).toMatchObject({
      status: 200,
      body: { source: "ledger", used: 1 },
    });
    expect(await callWith(broken, "PUT", "/api/quota/settings", { background_floor: 10 })).toMatchObject({ status: 200 });
  });

  test("the ledger continues, and publishes when KV is back", async () => {
    const put = vi.spyOn(env.QUOTA_KV, "put").mockRejectedValue(new Error("KV PUT failed: 429"));
    await enrichOne(1);
    passSeconds(62);
    await publish();
    expect(await quotaStatus()).toMatchObject({ used: 1, source: "ledger" });
    put.mockRestore();
    passSeconds(62);
    await publish();
    expect((await get("/api/quota/status?fresh=false")).body).toMatchObject({ source: "snapshot", used: 1 });
  });

  test("a switch in KV that cannot be read is not overwritten", async () => {
    await put("/api/quota/settings", { background_floor: 7 });
    const later = { overrides: {}, enforcement: { value: "off", changedAt: Date.now() + 60_000 } };
    await env.QUOTA_KV.put("settings:isbndb", JSON.stringify(later));
    vi.spyOn(env.QUOTA_KV, "get").mockRejectedValue(new Error("KV GET failed"));
    passSeconds(62);
    await publish();
    vi.restoreAllMocks();
    expect(await env.QUOTA_KV.get("settings:isbndb", "json")).toEqual(later);
    passSeconds(61);
    await publish();
    expect(await quotaStatus()).toMatchObject({ enforcement: "off", background: { floor: 3 } });
  });

  test("a KV that hangs delays no request for long", async () => {
    await enrichOne(1);
    passSeconds(62);
    await publish();
    failLedger();
    const hang = async () => new Promise<never>(() => undefined);
    const hanging = { get: hang, put: hang } as unknown as KVNamespace;
    expect(await callWith({ QUOTA_KV: hanging }, "GET", "/api/quota/status")).toMatchObject({ status: 503 });
    expect(await callWith({ QUOTA_KV: hanging }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(2)] })).toMatchObject({
      status: 503,
    });
  });

  test("each key is written at most once a second", async () => {
    const writes: { key: string; at: number }[] = [];
    const real = env.QUOTA_KV.put.bind(env.QUOTA_KV);
    await runInDurableObject(ledger(), () => {
      vi.spyOn(env.QUOTA_KV, "put").mockImplementation(async (key: string, value: unknown) => {
        writes.push({ key, at: Date.now() });
        await real(key, String(value));
      });
    });
    for (let round = 0; round < 40; round += 1) {
      await put("/api/quota/settings", { background_floor: round });
      await post("/api/quota/reservations", { calls: 1 });
      passSeconds(5);
      await publish();
    }
    const pauses = writes.map(({ key, at }, index) => at - (writes.slice(0, index).findLast((write) => write.key === key)?.at ?? 0));
    expect(writes.length).toBeGreaterThan(5);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1_000);
  });
});
