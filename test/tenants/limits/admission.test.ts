/** Admission: concurrent requests, each limit, and changes from one request or day to the next. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { call, freshStart, get, isbns, post, put, quotaStatus, setClock, simulator } from "../../support/worker.ts";
import { addKey, by, enrich, enrichWith, organization, statusText, countStatuses, tenant, watchedDb } from "../../support/tenants/keys.ts";
import { counters, periods } from "../../support/tenants/rows.ts";

const ISBNS = isbns(0, 3);

/** Books in the catalog, which cost no provider call. */
const cached = async (): Promise<unknown> => post("/api/enrich/batch-direct", { isbns: ISBNS });
const atOnce = async (count: number, ask: (index: number) => ReturnType<typeof enrich>) =>
  countStatuses(await Promise.all(Array.from({ length: count }, async (_, index) => ask(index))));
const allowance = async (id: string, api_calls: number | null) => call("PATCH", `/api/organizations/${id}`, { quotas: { api_calls } });
const cap = async (id: string, value: number | null) => put(`/api/projects/${id}/caps`, { function_invocations_per_day: value });

beforeEach(async () => {
  await freshStart();
  await cached();
});

describe("concurrently", () => {
  test("100 requests of a project with 60 left in its monthly allowance: 60 pass, 40 do not, the counter says 60", async () => {
    await organization("acme", 60);
    const { key } = await tenant("shop", "acme");
    const { requests } = await simulator.state();
    expect(await atOnce(100, async () => enrich(key, ISBNS))).toEqual({ "200": 60, "429 monthly_quota_exceeded": 40 });
    expect(await counters()).toEqual({ "shop function_invocations_per_day 2031-05-14": 60 });
    expect(await periods()).toMatchObject({ "acme 4": [60, 0] });
    expect(await simulator.state()).toMatchObject({ requests });
  });

  test("the same with requests to the provider: refused ones send no call", async () => {
    await organization("acme", 60);
    const { key } = await tenant("shop", "acme");
    const { requests } = await simulator.state();
    expect(await atOnce(100, async (index) => enrich(key, isbns(1_000 + index, 1)))).toEqual({
      "200": 60,
      "429 monthly_quota_exceeded": 40,
    });
    expect(await periods()).toMatchObject({ "acme 4": [60, 0] });
    expect((await simulator.state()).requests - requests).toBe(60);
    expect((await quotaStatus()).callers).toContainEqual({ caller: "project:shop", used: 60 });
  });

  test("100 requests of a project with a cap of 60", async () => {
    await organization("acme");
    const { key } = await tenant("shop", "acme", { caps: { function_invocations_per_day: 60 } });
    expect(await atOnce(100, async () => enrich(key, ISBNS))).toEqual({ "200": 60, "429 cap_exceeded": 40 });
    expect(await counters()).toEqual({ "shop function_invocations_per_day 2031-05-14": 60 });
    expect(await periods()).toMatchObject({ "acme 4": [60, 0] });
  });

  test("of two limits the tighter one refuses, and the monthly one is named if both are reached", async () => {
    await organization("acme", 50);
    const { key } = await tenant("shop", "acme", { caps: { function_invocations_per_day: 30 } });
    expect(await atOnce(60, async () => enrich(key, ISBNS))).toEqual({ "200": 30, "429 cap_exceeded": 30 });
    await cap("shop", null);
    expect(await atOnce(40, async () => enrich(key, ISBNS))).toEqual({ "200": 20, "429 monthly_quota_exceeded": 20 });
    await cap("shop", 50);
    expect(statusText(await enrich(key, ISBNS))).toBe("429 monthly_quota_exceeded");
    expect(await periods()).toMatchObject({ "acme 4": [50, 0] });
  });

  test("two projects share their organization's allowance, and a project of another organization does not", async () => {
    await organization("acme", 60);
    await organization("other", 100);
    const keys = [await tenant("shop", "acme"), await tenant("app", "acme"), await tenant("guest", "other")].map(({ key }) => key);
    const answers = await Promise.all(Array.from({ length: 150 }, async (_, index) => enrich(keys[index % 3] ?? "", ISBNS)));
    const guests = answers.filter((_, index) => index % 3 === 2);
    expect(countStatuses(guests)).toEqual({ "200": 50 });
    expect(countStatuses(answers)).toEqual({ "200": 110, "429 monthly_quota_exceeded": 40 });
    const { "shop function_invocations_per_day 2031-05-14": shop = 0, "app function_invocations_per_day 2031-05-14": app = 0 } =
      await counters();
    expect(shop + app).toBe(60);
    expect(await periods()).toMatchObject({ "acme 4": [60, 0], "other 4": [50, 0] });
  });

  test("two keys of one project count together", async () => {
    await organization("acme");
    const first = await tenant("shop", "acme", { caps: { function_invocations_per_day: 10 } });
    const second = await addKey("shop");
    const keys = [first.key, second.key];
    expect(await atOnce(30, async (index) => enrich(keys[index % 2] ?? "", ISBNS))).toEqual({ "200": 10, "429 cap_exceeded": 20 });
  });
});

describe("from one request to the next", () => {
  beforeEach(async () => organization("acme", 1_000));

  test("a suspended project is refused with its reasons, and passes after its reactivation", async () => {
    const { key } = await tenant("shop", "acme");
    expect(statusText(await enrich(key, ISBNS))).toBe("200");
    await post("/api/projects/shop/suspend", { reason: "Invoice 4711 is overdue" });
    expect(await enrich(key, ISBNS)).toMatchObject({
      status: 403,
      body: {
        code: "project_suspended",
        detail: "The project is suspended. Reason: admin.",
        reasons: [{ reason: "admin", detail: "Invoice 4711 is overdue", since: "2031-05-14T14:03:11Z" }],
      },
    });
    for (const path of [`/api/books/${ISBNS[0]}`, "/api/authors/top"])
      expect(statusText(await by(key, "GET", path))).toBe("403 project_suspended");
    expect((await by(key, "GET", "/api/projects/shop/usage")).body).toMatchObject({ status: "SUSPENDED", reasons: [{ reason: "admin" }] });
    await post("/api/projects/shop/reactivate", { reason: "Paid" });
    expect(statusText(await enrich(key, ISBNS))).toBe("200");
    expect(await counters()).toEqual({ "shop function_invocations_per_day 2031-05-14": 2 });
  });

  test("a project with two reasons gets both", async () => {
    const { key } = await tenant("shop", "acme");
    await post("/api/projects/shop/suspend", { reason: "Invoice 4711 is overdue" });
    const sql = "INSERT INTO suspensions (project_id, reason, since, actor) VALUES ('shop', 'abuse:ERROR_SPIKE', 1, 'job')";
    await env.DB.prepare(sql).run();
    const { body } = await enrich(key, ISBNS);
    expect(body["detail"]).toMatch(/^The project is suspended\. Reasons: (?:admin, abuse:ERROR_SPIKE|abuse:ERROR_SPIKE, admin)\.$/u);
  });

  test("a reason with an end expires automatically", async () => {
    const { key } = await tenant("shop", "acme");
    const sql = `INSERT INTO suspensions (project_id, reason, cap_type, since, until, actor) VALUES ('shop', ?, ?, 1, ?, 'sweep')`;
    const until = Date.parse("2031-05-15T00:00:00Z");
    await env.DB.prepare(sql).bind("quota:function_invocations_per_day", "function_invocations_per_day", until).run();
    await setClock("2031-05-14T23:59:59.999Z");
    expect(await enrich(key, ISBNS)).toMatchObject({
      body: {
        detail: "The project is suspended. Reason: quota:function_invocations_per_day until 2031-05-15T00:00:00Z.",
        reasons: [{ cap_type: "function_invocations_per_day", until: "2031-05-15T00:00:00Z" }],
      },
    });
    expect((await get("/api/projects/shop")).body["status"]).toBe("SUSPENDED");
    await setClock("2031-05-15T00:00:00Z");
    expect(statusText(await enrich(key, ISBNS))).toBe("200");
    expect((await get("/api/projects/shop")).body).toMatchObject({ status: "ACTIVE", reasons: [] });
  });

  test("the latest value of a cap applies, and 0 refuses every use", async () => {
    const { key } = await tenant("shop", "acme");
    const seen: string[] = [];
    for (const value of [0, 2, null, 3, 4]) {
      await cap("shop", value);
      seen.push(statusText(await enrich(key, ISBNS)));
    }
    expect(seen).toEqual(["429 cap_exceeded", "200", "200", "200", "200"]);
    expect(await enrich(key, ISBNS)).toMatchObject({
      status: 429,
      body: { "violated-policies": ["function_invocations_per_day"], used: 4, cap: 4, reset_at: "2031-05-15T00:00:00Z" },
    });
  });

  test("the latest allowance applies, also to reading the catalog, which counts nothing", async () => {
    const { key } = await tenant("shop", "acme");
    const read = async () => statusText(await by(key, "GET", `/api/books/${ISBNS[0]}`));
    expect([statusText(await enrich(key, ISBNS)), await read()]).toEqual(["200", "200"]);
    await allowance("acme", 1);
    expect([statusText(await enrich(key, ISBNS)), await read()]).toEqual(["429 monthly_quota_exceeded", "429 monthly_quota_exceeded"]);
    await allowance("acme", 2);
    expect([statusText(await enrich(key, ISBNS)), statusText(await enrich(key, ISBNS))]).toEqual(["200", "429 monthly_quota_exceeded"]);
    await allowance("acme", null);
    expect([statusText(await enrich(key, ISBNS)), await read()]).toEqual(["200", "200"]);
    expect(await periods()).toMatchObject({ "acme 4": [3, 0] });
  });

  test("a used-up allowance is reported with its size and its reset", async () => {
    const { key } = await tenant("shop", "acme");
    await allowance("acme", 0);
    const { headers, body } = await enrich(key, ISBNS);
    expect(body).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      code: "monthly_quota_exceeded",
      detail: "The organization has used 0 of its 0 API calls. The next period begins at 2031-06-01T00:00:00Z.",
      "violated-policies": ["monthly"],
      used: 0,
      limit: 0,
      reset_at: "2031-06-01T00:00:00Z",
    });
    const wait = (Date.parse("2031-06-01T00:00:00Z") - Date.now()) / 1_000;
    expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(wait);
    expect(Number(headers.get("retry-after"))).toBeLessThanOrEqual(wait + 60);
  });

  test("the first refusing rule is reported: key, scope, project, allowance, cap", async () => {
    const { key, keyId } = await tenant("shop", "acme", { key: { scopes: ["read"] } });
    await cap("shop", 0);
    await allowance("acme", 0);
    await post("/api/projects/shop/suspend", { reason: "x" });
    await call("DELETE", `/api/projects/shop/keys/${keyId}`);
    const seen = [statusText(await enrich(key, ISBNS))];
    const repair = async (sql: string) => {
      await env.DB.prepare(sql).run();
      seen.push(statusText(await enrich(key, ISBNS)));
    };
    await repair("UPDATE api_keys SET revoked_at = NULL");
    await repair(`UPDATE api_keys SET scopes = '["enrich"]'`);
    await repair("UPDATE suspensions SET lifted_at = 1");
    await repair("UPDATE organizations SET monthly_api_calls = 1");
    await repair("UPDATE caps SET value = 1");
    await repair("SELECT 1");
    expect(seen).toEqual([
      "401 unauthorized",
      "403 forbidden",
      "403 project_suspended",
      "429 monthly_quota_exceeded",
      "429 cap_exceeded",
      "200",
      "429 monthly_quota_exceeded",
    ]);
  });

  test("a project without a cap row is not admitted for free", async () => {
    const { key } = await tenant("shop", "acme");
    await env.DB.prepare("DELETE FROM caps").run();
    expect(statusText(await enrich(key, ISBNS))).toBe("500 internal_error");
    expect(await counters()).toEqual({});
  });
});

describe("from one day to the next", () => {
  test("a new day starts at 0 without any reset", async () => {
    await organization("acme", 1_000);
    const { key } = await tenant("shop", "acme", { caps: { function_invocations_per_day: 1 } });
    const seen: string[] = [];
    for (const time of ["2031-05-14T23:59:58Z", "2031-05-14T23:59:59.999Z", "2031-05-15T00:00:00Z", "2031-05-15T23:59:59Z"]) {
      await setClock(time);
      seen.push(statusText(await enrich(key, ISBNS)));
    }
    expect(seen).toEqual(["200", "429 cap_exceeded", "200", "429 cap_exceeded"]);
    expect(await counters()).toEqual({
      "shop function_invocations_per_day 2031-05-14": 1,
      "shop function_invocations_per_day 2031-05-15": 1,
    });
  });

  test("a new billing period starts at 0, to the millisecond, and months later too", async () => {
    await organization("acme", 1, "2031-01-31T08:00:00Z");
    const { key } = await tenant("shop", "acme");
    const seen: string[] = [];
    for (const time of [
      "2031-05-31T07:59:59.999Z",
      "2031-05-31T08:00:00Z",
      "2031-06-30T07:59:59Z",
      "2031-06-30T08:00:00Z",
      "2032-02-29T08:00:00Z",
    ]) {
      await setClock(time);
      seen.push(`${statusText(await enrich(key, ISBNS))} ${statusText(await enrich(key, ISBNS))}`);
    }
    const first = "200 429 monthly_quota_exceeded";
    expect(seen).toEqual([first, first, "429 monthly_quota_exceeded 429 monthly_quota_exceeded", first, first]);
    expect(await periods()).toEqual({
      "acme 3": [1, 0],
      "acme 4": [1, 0],
      "acme 5": [1, 0],
      "acme 6": [0, 0],
      "acme 13": [1, 0],
      "acme 14": [0, 0],
    });
  });

  test("fifty concurrent first requests of a period create its row once, and each counts", async () => {
    await organization("acme", 40);
    const { key } = await tenant("shop", "acme");
    await setClock("2031-09-01T00:00:00Z");
    await cached();
    expect(await atOnce(50, async () => enrich(key, ISBNS))).toEqual({ "200": 40, "429 monthly_quota_exceeded": 10 });
    expect(await periods()).toMatchObject({ "acme 8": [40, 0], "acme 9": [0, 0] });
  });

  test("without a row for the period, a refusal still has the next reset", async () => {
    await organization("acme", 0);
    const { key } = await tenant("shop", "acme");
    await setClock("2031-09-10T00:00:00Z");
    expect((await by(key, "GET", `/api/books/${ISBNS[0]}`)).body).toMatchObject({
      code: "monthly_quota_exceeded",
      reset_at: "2031-10-01T00:00:00Z",
    });
  });

  test("a stranger creates no rows, only the holder of a key does", async () => {
    await organization("acme", 10);
    const { key } = await tenant("shop", "acme");
    const other = await tenant("other", "acme");
    await env.DB.prepare("UPDATE api_key_versions SET hash = 'another' WHERE key_id = ?").bind(other.keyId).run();
    await setClock("2031-09-10T00:00:00Z");
    const before = await periods();
    const { db, trips } = watchedDb();
    expect(statusText(await enrichWith({ DB: db }, other.key, ISBNS))).toBe("401 unauthorized");
    expect({ trips: trips.length, periods: await periods() }).toEqual({ trips: 1, periods: before });
    expect(statusText(await enrich(key, ISBNS))).toBe("200");
    expect(await periods()).not.toEqual(before);
  });
});
