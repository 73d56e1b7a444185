import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import { freshStart, get, ledger, post, quotaStatus, setClock } from "../../support/worker.ts";

const manager = () => createDeps(env, () => Date.now()).quota;

describe("usage of one project", () => {
  beforeEach(async () => {
    await freshStart();
    await manager().incrementUsage(4, "a1", "project:Shop_1");
    await manager().incrementUsage(5, "b1", "project:b");
    await setClock("2031-05-15T09:00:00Z");
    await manager().incrementUsage(6, "b2", "project:b");
    await setClock("2031-05-16T10:00:00Z");
    await manager().incrementUsage(7, "a2", "project:Shop_1");
    await setClock("2031-05-16T23:00:00Z");
    await manager().incrementUsage(8, "a3", "project:Shop_1");
    await post("/api/quota/reservations", { calls: 1, caller: "direct" });
  });

  const notByCaller = { reserved_expired: null, refused: null, would_refuse: null, untracked: null };
  const shop = "project:Shop_1";

  test.each(["project_id=Shop_1", `caller=${shop}`])("is its history, day by day and hour by hour (%s)", async (query) => {
    const { body } = await get(`/api/quota/history?days=30&${query}`);
    expect(body).toEqual({
      provider: "isbndb",
      days: [
        {
          date: "2031-05-16",
          used: 15,
          ...notByCaller,
          callers: [{ caller: shop, used: 15 }],
          hours: [
            { hour: 10, used: 7 },
            { hour: 23, used: 8 },
          ],
        },
        { date: "2031-05-14", used: 4, ...notByCaller, callers: [{ caller: shop, used: 4 }], hours: [{ hour: 14, used: 4 }] },
      ],
      operations: [],
    });
  });

  test("has the latest days like the full history", async () => {
    expect((await get("/api/quota/history?days=2&project_id=Shop_1")).body["days"]).toMatchObject([{ date: "2031-05-16" }]);
    expect((await get("/api/quota/history?project_id=unused")).body["days"]).toEqual([]);
  });

  test("works for the provider's untracked calls too, whose hours are unknown", async () => {
    const at = Date.now();
    const daily = { left: 14_900, limit: 15_000 };
    await ledger().observe({ requestedAt: at, receivedAt: at, daily, rate: null });
    const { used, upstream } = await quotaStatus();
    expect((await get("/api/quota/history?caller=untracked")).body["days"]).toMatchObject([
      { date: "2031-05-16", used: upstream?.untracked, hours: [] },
    ]);
    expect(used).toBe(15 + (upstream?.untracked ?? 0));
  });

  test("is in the status only, which is public otherwise", async () => {
    const all = await quotaStatus();
    const only = (used: number, caller: string) => ({ status: 200, body: { ...all, callers: [{ caller, used }] } });
    expect(await get("/api/quota/status?project_id=Shop_1")).toMatchObject(only(15, shop));
    expect(await get("/api/quota/status?project_id=b")).toMatchObject(only(0, "project:b"));
  });

  test.each([
    ["/api/quota/history?project_id=a&caller=b", "caller"],
    ["/api/quota/history?project_id=a%20b", "project_id"],
    ["/api/quota/history?project_id=", "project_id"],
    [`/api/quota/history?project_id=${"a".repeat(65)}`, "project_id"],
    ["/api/quota/history?caller=a%20b", "caller"],
    ["/api/quota/status?project_id=project:a", "project_id"],
  ])("%s is refused, naming the parameter", async (path, parameter) => {
    expect(await get(path)).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path: parameter }] } });
  });

  test("is hidden from other projects", async () => {
    for (const token of [null, "wrong"]) {
      expect(await get("/api/quota/status?project_id=b", { token })).toMatchObject({ status: 401, body: { code: "unauthorized" } });
      expect((await get("/api/quota/history?project_id=b", { token })).status).toBe(401);
    }
    expect((await get("/api/quota/status", { token: null })).body["callers"]).toEqual([]);
  });
});
