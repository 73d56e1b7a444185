/** Reservations with a project's key: under its own caller name, with its own ids, within its share. */
import { beforeEach, describe, expect, test } from "vitest";
import { call, concurrently, freshStart, get, isbns, post, put, quotaStatus, setClock, settings } from "../../support/worker.ts";
import type { Answer } from "../../support/worker.ts";
import { by, enrich, organization, statusText, tenant } from "../../support/tenants/keys.ts";
import type { Tenant } from "../../support/tenants/keys.ts";

let shop: Tenant;
let app: Tenant;

beforeEach(async () => {
  await freshStart();
  await organization("acme", 1_000);
  shop = await tenant("shop", "acme");
  app = await tenant("app", "acme");
});

const reserve = async ({ key }: Tenant, body: object): Promise<Answer> => by(key, "POST", "/api/quota/reservations", body);
const commit = async ({ key }: Tenant, id: string, body?: object): Promise<Answer> =>
  by(key, "POST", `/api/quota/reservations/${id}/commit`, body);
const release = async ({ key }: Tenant, id: string): Promise<Answer> => by(key, "DELETE", `/api/quota/reservations/${id}`);

describe("the caller of a reservation", () => {
  test("is always the project, for any default", async () => {
    await reserve(shop, { calls: 3, id: "a" });
    await commit(shop, "a");
    expect((await quotaStatus()).callers).toEqual([{ caller: "project:shop", used: 3 }]);
  });

  test("can only be the project itself", async () => {
    expect(statusText(await reserve(shop, { calls: 1, caller: "enrich.batch" }))).toBe("403 forbidden");
    expect(await reserve(shop, { calls: 1, priority: "background" })).toMatchObject({
      status: 403,
      body: { errors: [{ path: "priority" }] },
    });
    expect(statusText(await reserve(shop, { calls: 1, priority: "interactive" }))).toBe("201");
    expect(await quotaStatus()).toMatchObject({ reserved: 1 });
  });

  test("works when only the floor of background work is left", async () => {
    await put("/api/quota/usage", { used: 12_990 });
    expect(statusText(await reserve(shop, { calls: 5 }))).toBe("201");
  });
});

describe("ids", () => {
  test("belong to the project, so two projects can use the same id independently", async () => {
    expect((await reserve(shop, { calls: 3, id: "job-1" })).body).toMatchObject({ id: "job-1", calls: 3 });
    expect((await reserve(app, { calls: 5, id: "job-1" })).body).toMatchObject({ id: "job-1", calls: 5 });
    expect(await quotaStatus()).toMatchObject({ reserved: 8 });
    expect((await commit(shop, "job-1")).body).toMatchObject({ id: "job-1", charged: 3 });
    expect((await release(app, "job-1")).body).toMatchObject({ released: 5 });
  });

  test("of other projects and of the administrator are not found", async () => {
    await reserve(shop, { calls: 3, id: "of-shop" });
    await post("/api/quota/reservations", { calls: 4, id: "of-admin" });
    for (const id of ["of-shop", "of-admin", "project:shop:of-shop"]) {
      expect([statusText(await commit(app, id)), statusText(await release(app, id))]).toEqual(["404 not_found", "404 not_found"]);
    }
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 7 });
  });

  test("with a project's prefix cannot be created by the administrator, who may settle them", async () => {
    expect(await post("/api/quota/reservations", { calls: 1, id: "project:shop:x" })).toMatchObject({
      status: 400,
      body: { errors: [{ path: "id" }] },
    });
    await reserve(shop, { calls: 3, id: "x" });
    expect((await call("DELETE", "/api/quota/reservations/project:shop:x")).body).toMatchObject({ released: 3 });
  });

  test("make a request idempotent, even the longest id", async () => {
    const id = "i".repeat(100);
    const [first, second] = [await reserve(shop, { calls: 3, id }), await reserve(shop, { calls: 3, id })];
    expect([first.status, second.status, second.body["id"]]).toEqual([201, 201, id]);
    expect(statusText(await reserve(shop, { calls: 4, id }))).toBe("409 conflict");
    expect(await quotaStatus()).toMatchObject({ reserved: 3 });
  });
});

describe("limits", () => {
  test("a lifetime of at most two minutes", async () => {
    expect(await reserve(shop, { calls: 1, ttl_seconds: 121 })).toMatchObject({ status: 400, body: { errors: [{ path: "ttl_seconds" }] } });
    expect((await reserve(shop, { calls: 1, ttl_seconds: 120 })).body).toMatchObject({ expires_at: "2031-05-14T14:05:11Z" });
    expect((await post("/api/quota/reservations", { calls: 1, ttl_seconds: 3_600 })).status).toBe(201);
  });

  test("at most a tenth of the limit in open reservations, for each project", async () => {
    expect(statusText(await reserve(shop, { calls: 1_301 }))).toBe("422 unprocessable");
    await reserve(shop, { calls: 1_300, id: "all" });
    expect(await reserve(shop, { calls: 1 })).toMatchObject({
      status: 429,
      body: { code: "pace_exceeded", "violated-policies": ["hold"] },
    });
    expect(statusText(await reserve(app, { calls: 1_300 }))).toBe("201");
    await release(shop, "all");
    expect(statusText(await reserve(shop, { calls: 1 }))).toBe("201");
  });

  test("its daily share, decided together with the limit, and reported in the refusal", async () => {
    await put("/api/projects/shop/upstream-share", { calls_per_day: 10 });
    await reserve(shop, { calls: 6, id: "six" });
    expect(await reserve(shop, { calls: 5 })).toMatchObject({
      status: 429,
      body: {
        code: "quota_exhausted",
        "violated-policies": ["project-share"],
        share: { calls_per_day: 10, used: 0, reserved: 6, remaining: 4 },
      },
    });
    expect((await reserve(shop, { calls: 9, min_calls: 2, id: "rest" })).body).toMatchObject({ calls: 4 });
    await Promise.all([commit(shop, "six"), commit(shop, "rest")]);
    expect((await enrich(shop.key, isbns(0, 1))).body).toMatchObject({ "violated-policies": ["project-share"] });
    expect(statusText(await reserve(app, { calls: 5 }))).toBe("201");
    await settings({ daily_limit: 2_010 });
    expect((await reserve(shop, { calls: 1 })).body).toMatchObject({ "violated-policies": ["daily"] });
    await settings({ daily_limit: 15_000 });
    await put("/api/projects/shop/upstream-share", { calls_per_day: 11 });
    expect(statusText(await reserve(shop, { calls: 1 }))).toBe("201");
  });

  test("its share of 200 concurrent requests is granted exactly", async () => {
    await put("/api/projects/shop/upstream-share", { calls_per_day: 60 });
    const answers = await concurrently(200, 40, async () => reserve(shop, { calls: 1 }));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(60);
    expect(await quotaStatus()).toMatchObject({ reserved: 60 });
  });
});

describe("the status for a project", () => {
  const visibleCallers = async (project: Tenant) => {
    const { body } = await reserve(project, { calls: 1 });
    return (body["quota"] as { callers: unknown }).callers;
  };

  beforeEach(async () => {
    for (const [project, calls] of [
      [shop, 3],
      [app, 5],
    ] as const) {
      await reserve(project, { calls, id: "x" });
      await commit(project, "x");
    }
    await post("/api/quota/reservations", { calls: 7, id: "x", caller: "cron.harvest" });
    await post("/api/quota/reservations/x/commit");
  });

  test("has only its own line", async () => {
    expect(await visibleCallers(shop)).toEqual([{ caller: "project:shop", used: 3 }]);
  });

  test("has only its own line in a refusal", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    const { body } = await reserve(app, { calls: 1 });
    expect((body["quota"] as { callers: unknown }).callers).toEqual([{ caller: "project:app", used: 5 }]);
  });

  test("is not in the public status, even with a project's key or a wrong one", async () => {
    for (const token of [null, shop.key, "wrong"]) expect((await get("/api/quota/status", { token })).body["callers"]).toEqual([]);
  });
});

describe("a stopped project", () => {
  test("cannot reserve, but settles its reservations, so that charges are exact", async () => {
    await reserve(shop, { calls: 10, id: "sent" });
    await reserve(shop, { calls: 10, id: "unsent" });
    await post("/api/projects/shop/suspend", { reason: "x" });
    expect(statusText(await reserve(shop, { calls: 1 }))).toBe("403 project_suspended");
    expect((await commit(shop, "sent", { calls: 9 })).body).toMatchObject({ charged: 9 });
    expect((await release(shop, "unsent")).body).toMatchObject({ released: 10 });
    await setClock("2031-05-14T14:10:00Z");
    expect(await quotaStatus()).toMatchObject({ used: 9, reserved: 0 });
  });

  test("above its organization's allowance settles too", async () => {
    await reserve(shop, { calls: 10, id: "a" });
    await call("PATCH", "/api/organizations/acme", { quotas: { api_calls: 0 } });
    expect(statusText(await reserve(shop, { calls: 1 }))).toBe("429 monthly_quota_exceeded");
    expect((await commit(shop, "a", { calls: 1 })).body).toMatchObject({ charged: 1 });
  });

  test("is refused once its key is no longer valid", async () => {
    await reserve(shop, { calls: 10, id: "a" });
    await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    expect([statusText(await commit(shop, "a")), statusText(await release(shop, "a"))]).toEqual(["401 unauthorized", "401 unauthorized"]);
  });
});
