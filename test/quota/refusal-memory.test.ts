/** An instance remembers exhausted quota for a second. Direct calls of the ledger's methods act as another instance. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import { logged } from "../telemetry/support.ts";
import { freshStart, get, ledger, post, put, setClock, settings } from "../support/worker.ts";

const LIMIT = 10;
const AT = (seconds: string): string => `2031-05-14T14:03:${seconds}Z`;

const reserve = async (calls: number, more: object = {}): Promise<number> =>
  (await post("/api/quota/reservations", { calls, ...more })).status;
const { quota } = createDeps(env, () => Date.now());

/** Sets the usage through another instance, so that this one does not notice. */
const setUsageElsewhere = async (used: number): Promise<void> => {
  await ledger().setUsage(used, { id: crypto.randomUUID(), actor: "admin" }, null);
};

afterEach(() => void vi.restoreAllMocks());

describe("exhausted quota", () => {
  beforeEach(async () => {
    await freshStart(AT("11"));
    await settings({ daily_limit: LIMIT, safety_buffer: 0 });
    await put("/api/quota/usage", { used: LIMIT });
  });

  it("is remembered for a second, and not longer", async () => {
    expect(await reserve(1)).toBe(429);
    await setUsageElsewhere(0);
    await setClock(AT("11.999"));
    expect(await reserve(1)).toBe(429);
    await setClock(AT("12"));
    expect(await reserve(1)).toBe(201);
  });

  it("is not remembered from a time that the clock stepped back from", async () => {
    expect(await reserve(1)).toBe(429);
    await setUsageElsewhere(0);
    await setClock(AT("10.999"));
    expect(await reserve(1)).toBe(201);
  });

  it("is refused with this request's calls and the time of the reset", async () => {
    expect(await reserve(2)).toBe(429);
    const { status, body, headers } = await post("/api/quota/reservations", { calls: 7 });
    expect({ status, code: body["code"], needed: body["calls_needed"], available: body["calls_available"] }).toEqual({
      status: 429,
      code: "quota_exhausted",
      needed: 7,
      available: 0,
    });
    expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(35_809);
  });

  it("does not refuse a request for fewer calls from memory", async () => {
    await put("/api/quota/usage", { used: LIMIT - 3 });
    expect(await reserve(4)).toBe(429);
    expect(await reserve(3)).toBe(201);
  });

  it("does not refuse a request with a lower minimum from memory", async () => {
    await put("/api/quota/usage", { used: LIMIT - 3 });
    expect(await reserve(4)).toBe(429);
    expect(await reserve(5, { min_calls: 3 })).toBe(201);
  });

  it("is decided by the ledger for a caller's own id, because it may have been granted before", async () => {
    await put("/api/quota/usage", { used: 0 });
    expect(await reserve(LIMIT, { id: "mine" })).toBe(201);
    await setUsageElsewhere(LIMIT);
    expect(await reserve(1)).toBe(429);
    expect(await reserve(LIMIT, { id: "mine" })).toBe(201);
  });

  it.each([
    ["settings", async () => settings({ daily_limit: 2 * LIMIT })],
    ["usage", async () => put("/api/quota/usage", { used: 0 })],
    ["a reset", async () => post("/api/quota/reset")],
  ])("is forgotten after a quota change in this instance: %s", async (_, change) => {
    expect(await reserve(1)).toBe(429);
    await change();
    expect(await reserve(1)).toBe(201);
  });

  it("is not remembered past midnight", async () => {
    await setClock("2031-05-14T23:59:59.900Z");
    expect(await reserve(1)).toBe(429);
    await setClock("2031-05-15T00:00:00Z");
    expect(await reserve(1)).toBe(201);
  });

  it("is not remembered if the answer arrives after a change", async () => {
    const reserved = reserve(1);
    const changed = put("/api/quota/usage", { used: 0 });
    await Promise.all([reserved, changed]);
    expect(await reserve(1)).toBe(201);
  });

  it("is decided by the ledger for a project, because the ledger knows its share", async () => {
    expect(await reserve(1)).toBe(429);
    const spending = { caller: "project:p", priority: "interactive", cost: { calls: 1 } } as const;
    await setUsageElsewhere(0);
    expect(await quota.reserve({ id: "a", ...spending }, { newId: true })).toMatchObject({ result: "granted" });
    expect(await quota.reserve({ id: "b", ...spending, caller: "shared", share: 5 }, { newId: true })).toMatchObject({ result: "granted" });
  });

  it("is decided by the ledger for a batch, because the ledger knows its price", async () => {
    expect(await reserve(1)).toBe(429);
    await setUsageElsewhere(0);
    const batch = { id: "c", caller: "enrich.batch", priority: "interactive", cost: { batchOf: 2 } } as const;
    expect(await quota.reserve(batch, { newId: true })).toMatchObject({ result: "granted" });
  });

  it("is logged once with the number of refusals, not each time", async () => {
    const lines = logged();
    expect([await reserve(1), await reserve(1), await reserve(2)]).toEqual([429, 429, 429]);
    await setClock(AT("13"));
    expect(await reserve(1)).toBe(429);
    expect(lines.map(({ message, refusals }) => [message, refusals])).toEqual([
      ["request", undefined],
      ["Refused from memory", 2],
      ["request", undefined],
    ]);
  });

  it("is counted as refused with the next request to the ledger", async () => {
    expect([await reserve(1), await reserve(1), await reserve(2)]).toEqual([429, 429, 429]);
    await setClock(AT("13"));
    expect(await reserve(1)).toBe(429);
    const { body } = await get<{ days: { refused: number }[] }>("/api/quota/history?days=1");
    expect(body.days.map(({ refused }) => refused)).toEqual([4]);
  });
});

describe("quota that is only reserved", () => {
  it("is not remembered, because it may be released at any time", async () => {
    await freshStart();
    await settings({ daily_limit: LIMIT, safety_buffer: 0 });
    await reserve(LIMIT, { id: "held" });
    expect(await reserve(1)).toBe(429);
    await ledger().release("held");
    expect(await reserve(1)).toBe(201);
  });
});
