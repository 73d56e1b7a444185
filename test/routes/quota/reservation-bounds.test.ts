/** Bounds of a project's reservations: never charge more than granted, and never block others. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { call, freshStart, isbns, post, put, quotaStatus, setClock, settings } from "../../support/worker.ts";
import type { Answer } from "../../support/worker.ts";
import { by, enrich, organization, statusText, tenant } from "../../support/tenants/keys.ts";
import type { Tenant } from "../../support/tenants/keys.ts";

let shop: Tenant;

beforeEach(async () => {
  await freshStart();
  await organization("acme");
  shop = await tenant("shop", "acme");
});

const reserve = async ({ key }: Tenant, body: object): Promise<Answer> => by(key, "POST", "/api/quota/reservations", body);
const commit = async ({ key }: Tenant, id: string, body?: object): Promise<Answer> =>
  by(key, "POST", `/api/quota/reservations/${id}/commit`, body);
const release = async ({ key }: Tenant, id: string): Promise<Answer> => by(key, "DELETE", `/api/quota/reservations/${id}`);
const share = async (calls_per_day: number | null) => put("/api/projects/shop/upstream-share", { calls_per_day });
const pass = (seconds: number): void => void vi.setSystemTime(Date.now() + seconds * 1_000);

describe("a commit by a project", () => {
  test("of more than it reserved is refused, names the reservation, and changes nothing", async () => {
    await reserve(shop, { calls: 2, id: "a" });
    expect(await commit(shop, "a", { calls: 100_000_000 })).toMatchObject({
      status: 422,
      body: {
        code: "unprocessable",
        detail: "`calls` must be at most 2, the reserved calls (got 100000000).",
        errors: [{ path: "calls" }],
      },
    });
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 2 });
    expect((await commit(shop, "a", { calls: 2 })).body).toMatchObject({ charged: 2 });
    expect((await commit(shop, "a", { calls: 3 })).body).toMatchObject({ charged: 2 });
  });

  test("has the same bound after a release, during a suspension and after the expiry", async () => {
    for (const id of ["released", "expired"]) await reserve(shop, { calls: 2, id });
    await release(shop, "released");
    await post("/api/projects/shop/suspend", { reason: "x" });
    expect(statusText(await commit(shop, "released", { calls: 3 }))).toBe("422 unprocessable");
    expect((await commit(shop, "released")).body).toMatchObject({ charged: 2 });
    pass(121);
    expect(statusText(await commit(shop, "expired", { calls: 3 }))).toBe("422 unprocessable");
    expect((await commit(shop, "expired", { calls: 1 })).body).toMatchObject({ charged: 2, late: true });
    expect(await quotaStatus()).toMatchObject({ used: 4, reserved: 0 });
  });

  test("after a release is charged only if its share still has the released calls", async () => {
    await share(10);
    for (const id of ["one", "two"]) {
      expect(statusText(await reserve(shop, { calls: 10, id }))).toBe("201");
      await release(shop, id);
    }
    expect((await commit(shop, "one")).body).toMatchObject({ charged: 10 });
    expect(await commit(shop, "two")).toMatchObject({ status: 422, body: { code: "unprocessable" } });
    expect(await quotaStatus()).toMatchObject({ used: 10, reserved: 0 });
  });

  test("cannot have a time of sending after its reservation's expiry, so it charges no later day", async () => {
    await reserve(shop, { calls: 2, id: "a" });
    await setClock("2031-05-15T14:00:00Z");
    expect(await commit(shop, "a", { sent_at: "2031-05-15T14:00:00Z" })).toMatchObject({
      status: 422,
      body: { errors: [{ path: "sent_at" }] },
    });
    expect(await quotaStatus()).toMatchObject({ used: 0 });
  });

  test("of more than reserved is accepted from the administrator", async () => {
    await reserve(shop, { calls: 2, id: "a" });
    expect((await post("/api/quota/reservations/project:shop:a/commit", { calls: 5 })).body).toMatchObject({ charged: 5 });
  });
});

describe("the pace", () => {
  beforeEach(async () => settings({ rate_per_second: 3 }));
  const starts = async (count: number) => {
    const answers: Answer[] = [];
    for (let index = 0; index < count; index += 1) answers.push(await post("/api/quota/reservations", { calls: 1 }));
    return answers.map(({ status, body }) => (status === 201 ? Date.parse(String(body["start_at"])) - Date.now() : body["code"]));
  };

  const reserveMany = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1) await reserve(shop, { calls: 1, id: `r${index}` });
  };

  test("leaves turns for others, even if one project books all that it may", async () => {
    await reserveMany(40);
    expect((await reserve(shop, { calls: 1 })).body["code"]).toBe("pace_exceeded");
    expect(await starts(1)).toEqual([3 * 334]);
  });

  test("gets back every turn that is released before it begins", async () => {
    await reserveMany(10);
    for (let index = 0; index < 10; index += 1) await release(shop, `r${index}`);
    // The first turn had already begun at its release.
    expect(await starts(1)).toEqual([334]);
  });

  test("is not used up by reserving and releasing, nor by committing 0", async () => {
    for (let index = 0; index < 30; index += 1) {
      expect(statusText(await reserve(shop, { calls: 1, id: `r${index}` }))).toBe("201");
      if (index % 2 === 0) await release(shop, `r${index}`);
      else await commit(shop, `r${index}`, { calls: 0 });
    }
    expect(await starts(1)).toEqual([334]);
    const refused = await reserve(shop, { calls: 1 });
    expect(refused).toMatchObject({
      status: 429,
      body: {
        code: "rate_limited",
        "violated-policies": ["returned-reservations"],
        detail:
          "Your project released 30 unused reservations in the last minute. Try again in 60 s, and reserve only calls that you will send.",
      },
    });
    expect(refused.headers.get("retry-after")).toBe("60");
    pass(60);
    expect(statusText(await reserve(shop, { calls: 1 }))).toBe("201");
  });

  test("grants a turn only once, and only before it begins", async () => {
    await reserveMany(4);
    await release(shop, "r2");
    expect(await starts(2)).toEqual([668, 6 * 334]);
    await release(shop, "r1");
    pass(0.5);
    expect(await starts(1)).toEqual([8 * 334 - 500]);
  });

  test("books no turn between those of an earlier rate, and starts again if the clock jumps back", async () => {
    await reserveMany(6);
    await settings({ rate_per_second: 4 });
    expect(await starts(1)).toEqual([Math.ceil(8 * 334 + 250.5)]);
    pass(-3_600);
    expect(await starts(1)).toEqual([0]);
  });
});

describe("reservations of projects", () => {
  test("have at most half of the daily limit together, so that others always get calls", async () => {
    const tenants = await Promise.all(["a", "b", "c", "d", "e", "f"].map(async (id) => tenant(id, "acme")));
    for (const project of tenants.slice(0, 4)) expect(statusText(await reserve(project, { calls: 1_300, id: "all" }))).toBe("201");
    const [first, fifth, last] = [tenants[0] ?? shop, tenants[4] ?? shop, tenants[5] ?? shop];
    // The fifth project gets half of the 1,300 free calls. The next one gets half of the rest.
    expect((await reserve(fifth, { calls: 1_300, min_calls: 1, id: "all" })).body).toMatchObject({ calls: 650 });
    expect(statusText(await reserve(last, { calls: 325, id: "some" }))).toBe("201");
    const refused = await reserve(last, { calls: 1 });
    expect(refused).toMatchObject({
      status: 429,
      body: {
        code: "pace_exceeded",
        "violated-policies": ["projects-hold"],
        detail: "The open reservations of all projects leave too few calls for this request. Try again in 120 s. Quota remains.",
      },
    });
    expect(refused.headers.get("retry-after")).toBe("120");
    expect(statusText(await post("/api/quota/reservations", { calls: 6_500, id: "rest" }))).toBe("201");
    await call("DELETE", "/api/quota/reservations/rest");
    await release(first, "all");
    expect(statusText(await reserve(last, { calls: 487 }))).toBe("201");
  });

  test("do not exhaust the quota: a refused project can retry at the next expiry", async () => {
    await put("/api/quota/usage", { used: 12_000 });
    await reserve(shop, { calls: 600, id: "held", ttl_seconds: 45 });
    const refused = await post("/api/quota/reservations", { calls: 500 });
    expect(refused).toMatchObject({
      status: 429,
      body: {
        code: "quota_exhausted",
        "violated-policies": ["daily"],
        calls_needed: 500,
        calls_available: 400,
        available_at: "2031-05-14T14:03:56Z",
        reset_at: "2031-05-15T00:00:00Z",
        detail:
          "This request needs 500 calls, but only 400 remain today (12,000 of 13,000 used, 600 reserved). " +
          "Reserved calls may be released. Try again at 2031-05-14T14:03:56Z.",
      },
    });
    expect(refused.headers.get("retry-after")).toBe("45");
    const over = await post("/api/quota/reservations", { calls: 1_001 });
    expect(over.body).not.toHaveProperty("available_at");
    expect(Number(over.headers.get("retry-after"))).toBeGreaterThanOrEqual(35_809);
  });

  test("do not exhaust the project's share either", async () => {
    await share(10);
    await reserve(shop, { calls: 6, id: "six", ttl_seconds: 30 });
    const refused = await reserve(shop, { calls: 5 });
    expect(refused).toMatchObject({
      status: 429,
      body: { code: "quota_exhausted", "violated-policies": ["project-share"], available_at: "2031-05-14T14:03:41Z" },
    });
    expect(refused.headers.get("retry-after")).toBe("30");
    await commit(shop, "six");
    expect((await reserve(shop, { calls: 5 })).body).not.toHaveProperty("available_at");
  });
});

describe("a share smaller than one request", () => {
  test("can never grant it, and says so", async () => {
    await share(5);
    expect(await reserve(shop, { calls: 6 })).toMatchObject({
      status: 422,
      body: {
        code: "unprocessable",
        detail: "This request needs 6 calls and can never be granted. Your project may spend 5 of the provider's calls a day.",
      },
    });
    expect(statusText(await reserve(shop, { calls: 6, min_calls: 5 }))).toBe("201");
  });

  test("for a batch with an unknown price says that a smaller one fits", async () => {
    await share(5);
    expect(await enrich(shop.key, isbns(0, 10))).toMatchObject({
      status: 422,
      body: {
        detail:
          "Until the price of a batch is known, 10 ISBNs count as 10 calls. Your project may spend 5 of the provider's calls a day. " +
          "Request at most 5 ISBNs at a time until then.",
      },
    });
    expect(statusText(await enrich(shop.key, isbns(0, 5)))).toBe("200");
    expect(statusText(await enrich(shop.key, isbns(5, 3)))).toBe("200");
    expect(statusText(await enrich(shop.key, isbns(10, 10)))).toBe("200");
  });
});
