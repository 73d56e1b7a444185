import { beforeEach, describe, expect, test, vi } from "vitest";
import { freshStart, get, put, quotaStatus } from "../../support/worker.ts";

beforeEach(async () => freshStart());

describe("GET /api/quota/status", () => {
  test("counts a fresh store from 0", async () => {
    const { status, headers, body } = await get("/api/quota/status", { token: null });
    expect(status).toBe(200);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(body).toMatchObject({
      provider: "isbndb",
      date: "2031-05-14",
      used: 0,
      reserved: 0,
      remaining: 13_000,
      source: "ledger",
      callers: [],
    });
  });

  test("shows the limits and percentage for 8,456 used calls", async () => {
    await put("/api/quota/usage", { used: 8_456 });
    expect(await quotaStatus()).toMatchObject({
      daily_limit: 15_000,
      safety_limit: 13_000,
      used: 8_456,
      reserved: 0,
      remaining: 4_544,
      percentage_used: 65,
    });
  });

  test("carries the IETF rate-limit fields", async () => {
    await put("/api/quota/usage", { used: 8_456 });
    const { headers } = await get("/api/quota/status");
    expect(headers.get("ratelimit-policy")).toBe('"daily";q=13000;w=86400');
    expect(headers.get("ratelimit")).toBe('"daily";r=4544;t=35809');
  });

  test.each([
    ["/api/quota/status?provider=amazon", "provider"],
    ["/api/quota/status?fresh=perhaps", "fresh"],
    ["/api/quota/history?days=0", "days"],
    ["/api/quota/history?days=soon", "days"],
  ])("%s is refused, naming the parameter", async (path, parameter) => {
    const { status, body } = await get(path);
    expect({ status, body }).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path: parameter }] } });
  });
});

describe("GET /api/quota/history", () => {
  test("shows usage by caller and hour, and changes by operators", async () => {
    await put("/api/quota/usage", { used: 40 });
    const { body } = await get("/api/quota/history?days=2");
    expect(body).toEqual({
      provider: "isbndb",
      days: [
        {
          date: "2031-05-14",
          used: 40,
          reserved_expired: 0,
          refused: 0,
          would_refuse: 0,
          untracked: 0,
          callers: [{ caller: "operator", used: 40 }],
          hours: [{ hour: 14, used: 40 }],
        },
      ],
      operations: [{ at: "2031-05-14T14:03:11Z", action: "usage.set", actor: "admin", before: { used: 0 }, after: { used: 40 } }],
    });
  });

  test("of one day shows all changes by operators in it", async () => {
    await put("/api/quota/settings", { safety_buffer: 1_000 });
    await put("/api/quota/usage", { used: 1 });
    vi.setSystemTime(Date.now() + 9 * 3_600_000);
    expect((await get<{ operations: unknown[] }>("/api/quota/history?days=1")).body.operations).toHaveLength(2);
  });

  test("is not public", async () => {
    expect((await get("/api/quota/history", { token: null })).status).toBe(401);
  });
});
