import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { freshStart, get, isbnNumber, ledger, post, put, quotaStatus } from "../support/worker.ts";
import { enrichOne, publish, passSeconds, failLedger, callWith } from "./support.ts";

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
  return () => vi.restoreAllMocks();
});

describe("enforcement off", () => {
  test("applies immediately, survives a failing ledger, and ends when it is enforced again", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    expect((await enrichOne(1)).status).toBe(429);
    await put("/api/quota/settings", { enforcement: "off" });
    expect((await enrichOne(2)).status).toBe(200);
    expect(await quotaStatus()).toMatchObject({ used: 13_001, enforcement: "off", can_make_calls: true });
    failLedger();
    expect(await enrichOne(3)).toMatchObject({ status: 200, body: { api_calls: 1 } });
    vi.restoreAllMocks();
    await put("/api/quota/settings", { enforcement: "enforce" });
    expect((await enrichOne(4)).status).toBe(429);
    failLedger();
    expect((await enrichOne(5)).status).toBe(503);
  });

  test("can be changed while the ledger fails, and the ledger follows later", async () => {
    failLedger();
    expect((await enrichOne(1)).status).toBe(503);
    const off = await put("/api/quota/settings", { enforcement: "off" });
    expect(off).toMatchObject({ status: 200, body: { applied_to: "switch", enforcement: "off" } });
    expect((await enrichOne(1)).status).toBe(200);
    expect((await put("/api/quota/settings", { daily_limit: 5 })).status).toBe(503);
    vi.restoreAllMocks();
    await enrichOne(2);
    expect(await quotaStatus()).toMatchObject({ enforcement: "off" });
    failLedger();
    await put("/api/quota/settings", { enforcement: "enforce" });
    expect((await enrichOne(3)).status).toBe(503);
    vi.restoreAllMocks();
    passSeconds(62);
    await publish();
    expect(await quotaStatus()).toMatchObject({ enforcement: "enforce" });
  });

  test("an instance without a cached switch reads it from KV if the ledger is unavailable", async () => {
    await put("/api/quota/settings", { enforcement: "off" });
    passSeconds(62);
    await publish();
    failLedger();
    const otherKv = { get: env.QUOTA_KV.get.bind(env.QUOTA_KV) } as unknown as KVNamespace;
    expect(await callWith({ QUOTA_KV: otherKv }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).toMatchObject({
      status: 200,
    });
  });

  test("an older value of the switch never replaces a newer one", async () => {
    await put("/api/quota/settings", { enforcement: "off" });
    const older = { value: "enforce", changedAt: 1 } as const;
    await ledger().reserve({ id: "a", cost: { calls: 1 }, caller: "x", priority: "interactive" }, older);
    expect(await quotaStatus()).toMatchObject({ enforcement: "off" });
    passSeconds(11);
    failLedger();
    const stale = { overrides: {}, enforcement: older };
    vi.spyOn(env.QUOTA_KV, "get").mockImplementation((async () => stale) as unknown as typeof env.QUOTA_KV.get);
    expect((await enrichOne(1)).status).toBe(200);
  });

  test("an operator's change is newer than every cached value", async () => {
    failLedger();
    vi.setSystemTime(Date.now() + 5_000);
    await put("/api/quota/settings", { enforcement: "off" });
    vi.restoreAllMocks();
    vi.setSystemTime(Date.now() - 5_000);
    await put("/api/quota/settings", { enforcement: "enforce" });
    await enrichOne(1);
    expect(await quotaStatus()).toMatchObject({ enforcement: "enforce" });
  });

  test("observe grants requests beyond the pace and counts them", async () => {
    await put("/api/quota/settings", { enforcement: "observe", rate_per_second: 1 });
    for (let index = 0; index < 14; index += 1) expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(201);
    expect((await get<{ days: unknown[] }>("/api/quota/history")).body.days).toMatchObject([{ would_refuse: 8 }]);
  });

  test("observe counts requests, and refuses none", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    await put("/api/quota/settings", { enforcement: "observe" });
    expect((await enrichOne(1)).status).toBe(200);
    expect(await quotaStatus()).toMatchObject({ used: 13_001, enforcement: "observe" });
    expect((await get<{ days: unknown[] }>("/api/quota/history")).body.days).toMatchObject([{ would_refuse: 1, refused: 0 }]);
  });
});
