import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import { refusalProblem } from "../../worker/src/quota/index.ts";
import { freshStart, get, quotaStatus, setClock, settings } from "../support/worker.ts";

const manager = () => createDeps(env, () => Date.now()).quota;
const project = { caller: "project:a", priority: "interactive" } as const;

const reserve = async (calls: number, share: number | null, more: { id?: string; minCalls?: number; caller?: string } = {}) =>
  manager().reserve({ id: crypto.randomUUID(), cost: { calls }, ...project, share, ...more });

const refused = (available: number, used: number, reserved: number, calls_per_day: number) => ({
  result: "refused",
  refusal: { refusedBy: "share", available, share: { calls_per_day, used, reserved } },
});

beforeEach(async () => freshStart());

describe("a daily share", () => {
  test("counts reserved calls, charges sent calls, and gets released calls back", async () => {
    expect(await reserve(4, 10, { id: "sent" })).toMatchObject({ result: "granted" });
    expect(await reserve(6, 10, { id: "unsent" })).toMatchObject({ result: "granted" });
    expect(await reserve(1, 10)).toMatchObject(refused(0, 0, 10, 10));
    await manager().commit({ id: "sent", calls: 3 });
    expect(await reserve(2, 10)).toMatchObject(refused(1, 3, 6, 10));
    await manager().release("unsent");
    expect(await reserve(8, 10)).toMatchObject(refused(7, 3, 0, 10));
    expect(await reserve(7, 10)).toMatchObject({ result: "granted" });
  });

  test("is charged by an expiry, and by a commit of more calls than reserved", async () => {
    await reserve(4, 10);
    await reserve(1, 10, { id: "more" });
    await manager().commit({ id: "more", calls: 5 });
    await setClock("2031-05-14T14:10:00Z");
    expect(await reserve(2, 10)).toMatchObject(refused(1, 9, 0, 10));
    expect(await manager().callerUse("project:a")).toEqual({ used: 9, reserved: 0 });
  });

  test("of the calls that projects may reserve together converges to equal parts, with some free for a new project", async () => {
    const request = async (caller: string, calls: number, minCalls = calls) => {
      const answer = await reserve(calls, null, { caller, id: crypto.randomUUID(), minCalls });
      return answer.result === "granted" ? answer.reservation : null;
    };
    const open = new Map<string, { id: string; calls: number }>();
    for (let round = 0; round < 8; round += 1) {
      for (let n = 0; n < 9; n += 1) {
        const before = open.get(`project:${n}`);
        if (before) await manager().release(before.id);
        const again = await request(`project:${n}`, 1_300, 1);
        expect(again).not.toBeNull();
        if (again) open.set(`project:${n}`, again);
      }
    }
    const parts = [...open.values()].map(({ calls }) => calls);
    expect(Math.max(...parts) / Math.min(...parts)).toBeLessThan(1.5);
    expect(await request("project:new", 300)).not.toBeNull();
  });

  test("cannot allow more calls than the limit, so such a request is impossible on any day", async () => {
    expect(await reserve(13_001, null, { caller: "job" })).toMatchObject({ result: "impossible" });
    expect(await reserve(13_001, null, { caller: "job", minCalls: 13_000 })).toMatchObject({ result: "granted" });
    await settings({ daily_limit: 2_000 });
    expect(await reserve(1, null, { caller: "job" })).toMatchObject({ result: "refused", refusal: { refusedBy: "daily" } });
  });

  test("is not used by others and does not raise the daily limit", async () => {
    await manager().incrementUsage(12_000, "theirs", "project:b");
    expect(await reserve(10, 10)).toMatchObject({ result: "granted" });
    expect(await reserve(991, 2_000)).toMatchObject({ result: "refused", refusal: { refusedBy: "daily", available: 990 } });
  });

  test("does not limit the operator's own callers without one", async () => {
    await manager().incrementUsage(5_000, "before", "job");
    expect(await reserve(1, null, { caller: "job" })).toMatchObject({ result: "granted" });
  });

  test("of a project without a number is a tenth of the limit in force, unless it is unlimited", async () => {
    const { caller, priority } = project;
    const request = async (calls: number, more: object) =>
      manager().reserve({ id: crypto.randomUUID(), cost: { calls }, caller, priority, ...more });
    await manager().incrementUsage(1_299, "before", "project:a");
    for (const more of [{}, { share: null }, { share: 9_000, shareMode: "default" }]) {
      expect(await request(2, more)).toMatchObject(refused(1, 1_299, 0, 1_300));
    }
    await settings({ daily_limit: 14_000 });
    expect(await request(2, { shareMode: "default" })).toMatchObject(refused(0, 1_299, 0, 1_200));
    await settings({ daily_limit: 15_000 });
    expect(await request(2, { share: null, shareMode: "unlimited" })).toMatchObject({ result: "granted" });
  });

  test("limits callers other than projects too", async () => {
    expect(await reserve(5, 5, { caller: "partner" })).toMatchObject({ result: "granted" });
    expect(await reserve(1, 5, { caller: "partner" })).toMatchObject(refused(0, 0, 5, 5));
  });

  test("raised or lowered takes effect with the next request", async () => {
    await manager().incrementUsage(10, "before", "project:a");
    expect(await reserve(1, 10)).toMatchObject({ result: "refused" });
    expect(await reserve(1, 11)).toMatchObject({ result: "granted" });
    expect(await reserve(1, 5)).toMatchObject(refused(0, 10, 1, 5));
  });

  test("may change between a request and its retry, which stay the same request", async () => {
    const first = await reserve(5, 5, { id: "same" });
    const again = await reserve(5, 0, { id: "same" });
    expect(again).toMatchObject({ result: "granted", reservation: first.result === "granted" ? first.reservation : "granted" });
    expect(await quotaStatus()).toMatchObject({ reserved: 5 });
  });

  test("grants its remaining calls if they reach the minimum", async () => {
    await manager().incrementUsage(8, "before", "project:a");
    expect(await reserve(9, 10, { minCalls: 3 })).toMatchObject(refused(2, 8, 0, 10));
    expect(await reserve(9, 10, { minCalls: 1 })).toMatchObject({ result: "granted", reservation: { calls: 2 } });
  });

  test("is applied by a check, which reserves nothing", async () => {
    await reserve(3, 10);
    const check = async (calls: number, share: number | null) => manager().check({ cost: { calls }, ...project, share });
    expect(await check(7, 10)).toMatchObject({ allowed: true, available: 7 });
    expect(await check(8, 10)).toMatchObject({
      allowed: false,
      available: 7,
      callsNeeded: 8,
      refusal: { refusedBy: "share", callsNeeded: 8 },
    });
    expect(await manager().checkQuota(8, { ...project, share: 11 })).toMatchObject({ allowed: true, available: 8 });
    expect(await quotaStatus()).toMatchObject({ reserved: 3 });
  });

  test("is the reason immediately, even while another batch reveals the price", async () => {
    await manager().reserve({ id: "probe", cost: { batchOf: 20 }, caller: "x", priority: "interactive" });
    await manager().incrementUsage(10, "before", "project:a");
    const batch = async (share: number) => manager().reserve({ id: crypto.randomUUID(), cost: { batchOf: 2 }, ...project, share });
    expect(await batch(10)).toMatchObject(refused(0, 10, 0, 10));
    expect(await batch(11)).toMatchObject({ refusal: { refusedBy: "price" } });
  });
});

describe("a share while nothing is enforced", () => {
  // An instance keeps the switch between tests.
  afterEach(async () => settings({ enforcement: "enforce" }));

  test.each([
    ["observe", "counts the refusal that enforcement would cause", 1],
    ["off", "ignores the share", 0],
  ])("%s: refuses nothing, and %s", async (enforcement, _, would_refuse) => {
    await settings({ enforcement });
    expect(await reserve(3, 2)).toMatchObject({ result: "granted", reservation: { calls: 3 } });
    expect(await manager().check({ cost: { calls: 1 }, ...project, share: 0 })).toMatchObject({ allowed: true });
    await manager().resetIfNeeded();
    expect((await get("/api/quota/history")).body["days"]).toMatchObject([{ would_refuse, refused: 0 }]);
  });
});

describe("a share at midnight", () => {
  test("starts again from 0", async () => {
    await manager().incrementUsage(10, "before", "project:a");
    expect(await reserve(1, 10)).toMatchObject({ result: "refused" });
    await setClock("2031-05-15T00:00:00Z");
    expect(await manager().callerUse("project:a")).toEqual({ used: 0, reserved: 0 });
    expect(await reserve(10, 10)).toMatchObject({ result: "granted" });
  });

  test.each([
    ["before midnight, it leaves the new day's share unchanged", "2031-05-14T23:59:40Z", 0],
    ["after midnight, it spends the new day's share", "2031-05-15T00:00:20Z", 6],
  ])("an open reservation counts in both days until its commit: sent %s", async (_, sentAt, used) => {
    await setClock("2031-05-14T23:59:30Z");
    await reserve(6, 10, { id: "over" });
    expect(await reserve(5, 10)).toMatchObject(refused(4, 0, 6, 10));
    await setClock("2031-05-15T00:00:30Z");
    expect(await reserve(5, 10)).toMatchObject(refused(4, 0, 6, 10));
    await manager().commit({ id: "over", sentAt: Date.parse(sentAt) });
    expect(await manager().callerUse("project:a")).toEqual({ used, reserved: 0 });
    expect(await reserve(10 - used, 10)).toMatchObject({ result: "granted" });
    expect(await reserve(1, 10)).toMatchObject(refused(0, used, 10 - used, 10));
  });
});

describe("the refusal", () => {
  const problem = async (calls: number, share: number) => {
    const answer = await reserve(calls, share);
    if (answer.result !== "refused") throw new Error(`It was ${answer.result}`);
    return refusalProblem(answer.refusal, answer.status);
  };

  test("gives the time of the reset, the share and its remaining calls", async () => {
    await manager().incrementUsage(1_229, "before", "project:a");
    await reserve(1, 1_231);
    const { code, detail, members, retryAfterSeconds } = await problem(3, 1_231);
    expect({ code, detail, members }).toEqual({
      code: "quota_exhausted",
      detail:
        "This request needs 3 calls. Your project may spend 1,231 of the provider's calls a day and has 1 left (1 more reserved). " +
        "The next day begins at 2031-05-15T00:00:00Z.",
      members: {
        "violated-policies": ["project-share"],
        calls_needed: 3,
        calls_available: 1,
        calls_charged: 0,
        reset_at: "2031-05-15T00:00:00Z",
        share: { calls_per_day: 1_231, used: 1_229, reserved: 1, remaining: 1 },
        quota: expect.objectContaining({ used: 1_229, reserved: 1, remaining: 11_770 }),
      },
    });
    expect(retryAfterSeconds).toBeGreaterThanOrEqual(35_809);
  });

  test("of a share lowered below the spent calls says that none is left", async () => {
    await manager().incrementUsage(9, "before", "project:a");
    const { detail, members } = await problem(1, 0);
    expect(detail).toMatch(/^This request needs 1 call\. Your project may spend 0 of the provider's calls a day and has none left\. /u);
    expect(members["share"]).toEqual({ calls_per_day: 0, used: 9, reserved: 0, remaining: 0 });
  });
});

test("usage of one caller excludes other callers", async () => {
  await manager().incrementUsage(5, "a", "project:a");
  await manager().incrementUsage(7, "ab", "project:ab");
  await reserve(3, null);
  await reserve(4, null, { caller: "project:ab" });
  expect(await manager().callerUse("project:a")).toEqual({ used: 5, reserved: 3 });
  expect(await manager().callerUse("project:unused")).toEqual({ used: 0, reserved: 0 });
});
