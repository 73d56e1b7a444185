/** A day that is over is remembered for a second where it was refused. Another instance is played by the ledger's own methods. */
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

/** What nobody here hears of. */
const usageSetElsewhere = async (used: number): Promise<void> => {
  await ledger().setUsage(used, { id: crypto.randomUUID(), actor: "admin" }, null);
};

afterEach(() => void vi.restoreAllMocks());

describe("a day that is over", () => {
  beforeEach(async () => {
    await freshStart(AT("11"));
    await settings({ daily_limit: LIMIT, safety_buffer: 0 });
    await put("/api/quota/usage", { used: LIMIT });
  });

  it("is remembered for a second, and not longer", async () => {
    expect(await reserve(1)).toBe(429);
    await usageSetElsewhere(0);
    await setClock(AT("11.999"));
    expect(await reserve(1)).toBe(429);
    await setClock(AT("12"));
    expect(await reserve(1)).toBe(201);
  });

  it("is not remembered from a time that the clock stepped back from", async () => {
    expect(await reserve(1)).toBe(429);
    await usageSetElsewhere(0);
    await setClock(AT("10.999"));
    expect(await reserve(1)).toBe(201);
  });

  it("says what this request needs, and when the day begins anew", async () => {
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

  it("is not remembered against who asks for less", async () => {
    await put("/api/quota/usage", { used: LIMIT - 3 });
    expect(await reserve(4)).toBe(429);
    expect(await reserve(3)).toBe(201);
  });

  it("is not remembered against who would take less", async () => {
    await put("/api/quota/usage", { used: LIMIT - 3 });
    expect(await reserve(4)).toBe(429);
    expect(await reserve(5, { min_calls: 3 })).toBe(201);
  });

  it("is asked about again where the caller named the request: it may have been granted before", async () => {
    await put("/api/quota/usage", { used: 0 });
    expect(await reserve(LIMIT, { id: "mine" })).toBe(201);
    await usageSetElsewhere(LIMIT);
    expect(await reserve(1)).toBe(429);
    expect(await reserve(LIMIT, { id: "mine" })).toBe(201);
  });

  it.each([
    ["settings", async () => settings({ daily_limit: 2 * LIMIT })],
    ["usage", async () => put("/api/quota/usage", { used: 0 })],
    ["a reset", async () => post("/api/quota/reset")],
  ])("is forgotten with a change of the quota here: %s", async (_, change) => {
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

  it("is not remembered where the answer came after a change", async () => {
    const asked = reserve(1);
    const changed = put("/api/quota/usage", { used: 0 });
    await Promise.all([asked, changed]);
    expect(await reserve(1)).toBe(201);
  });

  it("is a project's to hear from the ledger, which knows its share", async () => {
    expect(await reserve(1)).toBe(429);
    const who = { caller: "project:p", priority: "interactive", cost: { calls: 1 } } as const;
    await usageSetElsewhere(0);
    expect(await quota.reserve({ id: "a", ...who }, { newId: true })).toMatchObject({ result: "granted" });
    expect(await quota.reserve({ id: "b", ...who, caller: "shared", share: 5 }, { newId: true })).toMatchObject({ result: "granted" });
  });

  it("is a batch's to hear from the ledger, which knows its price", async () => {
    expect(await reserve(1)).toBe(429);
    await usageSetElsewhere(0);
    const batch = { id: "c", caller: "enrich.batch", priority: "interactive", cost: { batchOf: 2 } } as const;
    expect(await quota.reserve(batch, { newId: true })).toMatchObject({ result: "granted" });
  });

  it("tells the log once how often it was said, and not each time", async () => {
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

  it("counts among the refused, with the next question", async () => {
    expect([await reserve(1), await reserve(1), await reserve(2)]).toEqual([429, 429, 429]);
    await setClock(AT("13"));
    expect(await reserve(1)).toBe(429);
    const { body } = await get<{ days: { refused: number }[] }>("/api/quota/history?days=1");
    expect(body.days.map(({ refused }) => refused)).toEqual([4]);
  });
});

describe("what is only held", () => {
  it("is not remembered: it may come back at any moment", async () => {
    await freshStart();
    await settings({ daily_limit: LIMIT, safety_buffer: 0 });
    await reserve(LIMIT, { id: "held" });
    expect(await reserve(1)).toBe(429);
    await ledger().release("held");
    expect(await reserve(1)).toBe(201);
  });
});
