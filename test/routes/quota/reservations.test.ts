import { runDurableObjectAlarm } from "cloudflare:test";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { AFTERNOON, call, freshLedger, get, ledger, post, put, quotaStatus, settings } from "../../support/worker.ts";

beforeEach(async () => freshLedger());

const reserve = async (body: object) => post("/api/quota/reservations", body);
const commit = async (id: string, body?: object) => post(`/api/quota/reservations/${id}/commit`, body);
const release = async (id: string) => call("DELETE", `/api/quota/reservations/${id}`);
const pass = (seconds: number): void => void vi.setSystemTime(Date.now() + seconds * 1_000);

describe("reserving", () => {
  test("grants calls, with their lifetime and their turn", async () => {
    const { status, headers, body } = await reserve({ calls: 10, caller: "cron.harvest", id: "a" });
    expect(status).toBe(201);
    expect(headers.get("ratelimit")).toContain("r=12990");
    expect(body).toMatchObject({
      id: "a",
      calls: 10,
      expires_at: "2031-05-14T14:05:11Z",
      start_at: "2031-05-14T14:03:11.000Z",
      quota: { used: 0, reserved: 10, remaining: 12_990 },
    });
  });

  test("the same id twice is one reservation", async () => {
    const first = await reserve({ calls: 10, id: "a" });
    const second = await reserve({ calls: 10, id: "a" });
    expect({ ...second.body, quota: null }).toEqual({ ...first.body, quota: null });
    expect(await quotaStatus()).toMatchObject({ reserved: 10 });
  });

  test("the same id with a different body is a conflict", async () => {
    await reserve({ calls: 10, id: "a" });
    for (const other of [
      { calls: 11 },
      { calls: 10, caller: "other" },
      { calls: 10, priority: "background" },
      { calls: 10, min_calls: 5 },
    ]) {
      expect(await reserve({ id: "a", ...other })).toMatchObject({ status: 409, body: { code: "conflict" } });
    }
    expect(await quotaStatus()).toMatchObject({ reserved: 10 });
  });

  test("the id of an ended reservation is a conflict", async () => {
    await reserve({ calls: 10, id: "released" });
    await release("released");
    await reserve({ calls: 10, id: "committed" });
    await commit("committed");
    await reserve({ calls: 10, id: "expired" });
    pass(121);
    for (const id of ["released", "committed", "expired"]) {
      const { status, body } = await reserve({ calls: 10, id });
      expect({ status, detail: body["detail"] }).toEqual({ status: 409, detail: `This id's reservation is already ${id}.` });
    }
  });

  test("with min_calls grants the remaining calls, if they reach the minimum", async () => {
    await put("/api/quota/usage", { used: 12_997 });
    expect(await reserve({ calls: 10, min_calls: 4 })).toMatchObject({ status: 429, body: { calls_needed: 4, calls_available: 3 } });
    expect(await reserve({ calls: 10, min_calls: 1 })).toMatchObject({ status: 201, body: { calls: 3 } });
    expect(await reserve({ calls: 10, min_calls: 1 })).toMatchObject({ status: 429 });
  });

  test("background work is refused at the floor, with the reason and the time of more calls", async () => {
    await put("/api/quota/usage", { used: 12_500 });
    const { status, body } = await reserve({ calls: 300, priority: "background" });
    expect(status).toBe(429);
    expect(body).toMatchObject({
      code: "quota_exhausted",
      "violated-policies": ["daily-background"],
      calls_needed: 300,
      calls_available: 85,
      available_at: "2031-05-14T19:12:00Z",
    });
    expect((await reserve({ calls: 300 })).status).toBe(201);
  });

  test("a refusal gives the reason and spreads the retries", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    const answers = await Promise.all(Array.from({ length: 20 }, async () => reserve({ calls: 1 })));
    const waits = answers.map(({ headers }) => Number(headers.get("retry-after")));
    for (const wait of waits) {
      expect(wait).toBeGreaterThanOrEqual(35_809);
      expect(wait).toBeLessThanOrEqual(35_869);
    }
    expect(new Set(waits).size).toBeGreaterThan(3);
    const [refused] = answers;
    expect(refused?.headers.get("content-type")).toBe("application/problem+json");
    expect(refused?.headers.get("ratelimit")).toBe('"daily";r=0;t=35809');
    expect(refused?.body).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      status: 429,
      code: "quota_exhausted",
      detail: "This request needs 1 call, but no calls remain today (13,000 of 13,000 used). The next day begins at 2031-05-15T00:00:00Z.",
      "violated-policies": ["daily"],
      calls_needed: 1,
      reset_at: "2031-05-15T00:00:00Z",
      quota: { used: 13_000, remaining: 0 },
    });
  });

  test("refused requests change only the number of refusals", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    await Promise.all(Array.from({ length: 5 }, async () => reserve({ calls: 1 })));
    expect(await quotaStatus()).toMatchObject({ used: 13_000, reserved: 0 });
    expect((await get<{ days: unknown[] }>("/api/quota/history")).body.days).toMatchObject([{ refused: 5, used: 13_000 }]);
  });

  test.each([
    [{}, "calls"],
    [{ calls: 0 }, "calls"],
    [{ calls: 1.5 }, "calls"],
    [{ calls: "many" }, "calls"],
    [{ calls: 10, min_calls: 11 }, "min_calls"],
    [{ calls: 1, caller: "Not A Label" }, "caller"],
    [{ calls: 1, caller: "project:other" }, "caller"],
    [{ calls: 1, caller: "untracked" }, "caller"],
    [{ calls: 1, priority: "urgent" }, "priority"],
    [{ calls: 1, id: "no spaces" }, "id"],
    [{ calls: 1, ttl_seconds: 0 }, "ttl_seconds"],
    [{ calls: 1, ttl_seconds: 86_400 }, "ttl_seconds"],
  ])("%o is refused, naming the field", async (body, field) => {
    const answer = await reserve(body);
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path: field }] } });
    expect(await quotaStatus()).toMatchObject({ reserved: 0 });
  });
});

describe("committing", () => {
  test("charges all reserved calls, or the actual cost", async () => {
    await reserve({ calls: 10, id: "all", caller: "x" });
    await reserve({ calls: 10, id: "some", caller: "x" });
    await reserve({ calls: 10, id: "more", caller: "y" });
    expect((await commit("all")).body).toMatchObject({ id: "all", charged: 10, quota: { used: 10, reserved: 20 } });
    expect((await commit("some", { calls: 4 })).body).toMatchObject({ charged: 4 });
    expect((await commit("more", { calls: 25 })).body).toMatchObject({ charged: 25 });
    expect(await quotaStatus()).toMatchObject({
      used: 39,
      reserved: 0,
      callers: [
        { caller: "y", used: 25 },
        { caller: "x", used: 14 },
      ],
    });
  });

  test("is idempotent, even under a hundred concurrent requests", async () => {
    await reserve({ calls: 10, id: "a" });
    const answers = await Promise.all(Array.from({ length: 100 }, async () => commit("a", { calls: 7 })));
    expect(answers.map(({ body }) => body["charged"])).toEqual(Array.from({ length: 100 }, () => 7));
    expect(await quotaStatus()).toMatchObject({ used: 7, reserved: 0 });
  });

  test("after a release charges the calls anyway", async () => {
    await reserve({ calls: 10, id: "a" });
    await release("a");
    expect((await commit("a")).body).toMatchObject({ charged: 10, quota: { used: 10 } });
  });

  test("after the expiry reports the earlier charge", async () => {
    await reserve({ calls: 10, id: "a" });
    pass(121);
    expect((await commit("a", { calls: 3 })).body).toMatchObject({ charged: 10, late: true, quota: { used: 10, reserved: 0 } });
    expect((await commit("a", { calls: 12 })).body).toMatchObject({ charged: 10, late: true, quota: { used: 10 } });
    await reserve({ calls: 10, id: "b" });
    pass(121);
    expect((await commit("b", { calls: 12 })).body).toMatchObject({ charged: 12, late: true, quota: { used: 22 } });
    expect((await commit("b", { calls: 12 })).body).toMatchObject({ charged: 12, late: true, quota: { used: 22 } });
  });

  test.each([
    ["in the future", "2031-05-14T15:00:00Z"],
    ["before the reservation", "2031-05-14T14:00:00Z"],
  ])("with a time of sending %s is refused and changes nothing", async (_, sent_at) => {
    await reserve({ calls: 10, id: "a" });
    expect(await commit("a", { sent_at })).toMatchObject({ status: 422, body: { code: "unprocessable" } });
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 10 });
  });

  test.each([
    ["unknown", {}, 404, "not_found"],
    ["a", { calls: -1 }, 400, "invalid_request"],
    ["a", { sent_at: "yesterday" }, 400, "invalid_request"],
    ["a", { cals: 1 }, 400, "invalid_request"],
  ])("of %s with %o is %i", async (id, body, status, code) => {
    await reserve({ calls: 1, id: "a" });
    expect(await commit(id, body)).toMatchObject({ status, body: { code } });
  });
});

describe("releasing", () => {
  test("releases unsent calls, idempotently", async () => {
    await reserve({ calls: 10, id: "a" });
    expect(await release("a")).toMatchObject({ status: 200, body: { released: 10, quota: { reserved: 0, used: 0 } } });
    expect(await release("a")).toMatchObject({ status: 200, body: { released: 10 } });
  });

  test("after a commit or the expiry is a conflict", async () => {
    await reserve({ calls: 10, id: "a" });
    await commit("a");
    expect(await release("a")).toMatchObject({ status: 409, body: { code: "conflict" } });
    await reserve({ calls: 10, id: "b" });
    pass(121);
    expect(await release("b")).toMatchObject({ status: 409 });
    expect(await quotaStatus()).toMatchObject({ used: 20 });
    expect((await release("c")).status).toBe(404);
  });
});

describe("expiry", () => {
  test("charges expired reservations, at the next request or by alarm", async () => {
    await reserve({ calls: 10, ttl_seconds: 30 });
    pass(29);
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 10 });
    pass(1);
    expect(await quotaStatus()).toMatchObject({ used: 10, reserved: 0, callers: [{ caller: "api", used: 10 }] });
    await reserve({ calls: 5, ttl_seconds: 30 });
    pass(30);
    await runDurableObjectAlarm(ledger());
    expect((await get("/api/quota/status?fresh=false")).body).toMatchObject({ source: "snapshot", used: 15, reserved: 0 });
    expect((await get<{ days: unknown[] }>("/api/quota/history")).body.days).toMatchObject([{ used: 15, reserved_expired: 15 }]);
  });
});

describe("a project", () => {
  const asProject = async (calls: number, id: string, ttlSeconds = 3_600) =>
    ledger().reserve({ id, cost: { calls }, caller: "project:a", priority: "interactive", ttlSeconds }, null);

  test("reserves at most a tenth of the limit for at most 120 s, so others still get calls", async () => {
    expect(await asProject(1_300, "p1")).toMatchObject({ result: "granted", reservation: { expiresAt: Date.parse(AFTERNOON) + 120_000 } });
    expect(await asProject(1, "p2")).toMatchObject({ result: "refused", refusal: { refusedBy: "hold", available: 0, waitMs: 120_000 } });
    expect((await reserve({ calls: 11_700 })).status).toBe(201);
    await commit("p1", { calls: 1 });
    expect(await asProject(1, "p3")).toMatchObject({ result: "granted" });
  });

  test("gets no longer lifetime by waiting for its turn", async () => {
    await settings({ rate_per_second: 0.2 });
    await asProject(1, "p1");
    const second = await asProject(1, "p2");
    const start = Date.parse(AFTERNOON);
    expect(second).toMatchObject({ result: "granted", reservation: { startAt: start + 5_001, expiresAt: start + 120_000 } });
  });

  test("waits for the expiry of its own reservations, not of others'", async () => {
    await reserve({ calls: 1, ttl_seconds: 1 });
    await asProject(1_300, "p1");
    expect(await asProject(1, "p2")).toMatchObject({ refusal: { refusedBy: "hold", waitMs: 120_000 } });
  });

  test("above its maximum gets `impossible`", async () => {
    expect(await asProject(1_301, "p1")).toMatchObject({ result: "impossible" });
  });

  test("appears by name to the administrator only", async () => {
    await asProject(3, "p1");
    await commit("p1");
    expect((await quotaStatus()).callers).toEqual([{ caller: "project:a", used: 3 }]);
    expect((await get("/api/quota/status", { token: null })).body["callers"]).toEqual([]);
  });
});
