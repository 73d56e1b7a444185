import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import type { Settlement } from "../../worker/src/quota/index.ts";
import { freshStart, put, quotaStatus, setClock, settings } from "../support/worker.ts";

const manager = () => createDeps(env, () => Date.now()).quota;
const spending = { cost: { calls: 3 }, caller: "job", priority: "interactive" } as const;
const settlement = (sent: Settlement["sent"]): Settlement => ({
  sent,
  underWay: { from: Date.now(), to: Date.now() },
  delivered: sent === "yes",
  report: null,
  signal: "none",
  retryAfterSeconds: null,
});

beforeEach(async () => freshStart());

describe("withQuota", () => {
  test("reserves before the call and charges after it", async () => {
    const done = await manager().withQuota(spending, async ({ settle }) => {
      expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 3 });
      settle(settlement("yes"));
      return "value";
    });
    expect(done).toMatchObject({
      result: "done",
      value: "value",
      charged: 3,
      status: { used: 3, reserved: 0, callers: [{ caller: "job", used: 3 }] },
    });
  });

  test("releases only calls that were definitely not sent", async () => {
    expect(await manager().withQuota(spending, async ({ settle }) => settle(settlement("no")))).toMatchObject({ charged: 0 });
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 });
    expect(await manager().withQuota(spending, async ({ settle }) => settle(settlement("maybe")))).toMatchObject({ charged: 3 });
    expect(await quotaStatus()).toMatchObject({ used: 3, reserved: 0 });
  });

  test("charges a call that throws, and a call without a reported outcome", async () => {
    const thrown = manager().withQuota(spending, async () => {
      throw new Error("crashed");
    });
    await expect(thrown).rejects.toThrow("crashed");
    expect(await quotaStatus()).toMatchObject({ used: 3, reserved: 0 });
    expect(await manager().withQuota(spending, async () => "silent")).toMatchObject({ charged: 3 });
    expect(await quotaStatus()).toMatchObject({ used: 6, reserved: 0 });
  });

  test("uses the first reported outcome and ignores later ones", async () => {
    await manager().withQuota(spending, async ({ settle }) => {
      settle(settlement("yes"));
      settle(settlement("no"));
    });
    expect(await quotaStatus()).toMatchObject({ used: 3, reserved: 0 });
  });

  test("returns a refusal as data and sends nothing", async () => {
    await settings({ daily_limit: 4, safety_buffer: 0 });
    await put("/api/quota/usage", { used: 2 });
    const send = vi.fn<() => Promise<void>>();
    expect(await manager().withQuota(spending, send)).toMatchObject({
      result: "refused",
      refusal: { refusedBy: "daily", available: 2, callsNeeded: 3 },
    });
    expect(send).not.toHaveBeenCalled();
  });

  test("waits for its turn and passes the deadline for sending", async () => {
    await settings({ rate_per_second: 5 });
    const began = performance.now();
    const times = await Promise.all(
      [1, 2, 3].map(async () =>
        manager().withQuota(spending, async ({ deadline }) => ({ at: performance.now() - began, remaining: deadline - Date.now() })),
      ),
    );
    const sent = times.flatMap((done) => (done.result === "done" ? [done.value] : [])).toSorted((a, b) => a.at - b.at);
    expect(sent.map(({ at }, index) => at >= index * 200 - 5)).toEqual([true, true, true]);
    // The fake clock does not advance while real timers run, so the remaining times still include the waits.
    expect(sent.map(({ remaining }) => remaining)).toEqual([120_000, 120_201, 120_401]);
  });
});

describe("the other methods", () => {
  test("checkQuota counts reservations and reserves nothing", async () => {
    await manager().reserve({ id: "a", cost: { calls: 12_990 }, caller: "x", priority: "interactive" });
    expect(await manager().checkQuota(10)).toMatchObject({ allowed: true, available: 10, callsNeeded: 10, refusal: null });
    expect(await manager().checkQuota(11)).toMatchObject({ allowed: false, available: 10, refusal: { refusedBy: "daily" } });
    expect(await manager().checkQuota(1, { priority: "background" })).toMatchObject({ allowed: false, refusal: { refusedBy: "floor" } });
    expect(await quotaStatus()).toMatchObject({ reserved: 12_990 });
  });

  test("incrementUsage counts once per id, even beyond the limit", async () => {
    await settings({ daily_limit: 5, safety_buffer: 0 });
    for (let time = 0; time < 3; time += 1) await manager().incrementUsage(9, "batch-7", "import");
    expect(await quotaStatus()).toMatchObject({ used: 9, remaining: 0, callers: [{ caller: "import", used: 9 }] });
  });

  test("resetIfNeeded reports a new day once", async () => {
    await manager().resetIfNeeded();
    expect(await manager().resetIfNeeded()).toEqual({ date: "2031-05-14", rolledOver: false });
    await setClock("2031-05-15T00:00:00Z");
    expect(await manager().resetIfNeeded()).toEqual({ date: "2031-05-15", rolledOver: true });
    expect(await manager().resetIfNeeded()).toEqual({ date: "2031-05-15", rolledOver: false });
  });
});
