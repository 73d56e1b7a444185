import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import { callWith } from "../../routes/support.ts";
import { ADMIN_TOKEN, freshStart, get, post, put, setClock } from "../../support/worker.ts";
import { allPages, count, level, makeOrganization, makeProject, patch, remove, right, rows, stop } from "../../support/tenants/http.ts";
import type { Body } from "../../support/tenants/http.ts";

const COUNTER = "db_queries_per_day";
const GAUGE = "realtime_connections";

interface Usage extends Body {
  readonly caps: (Body & { readonly cap_type: string })[];
}

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org", { billing_anchor: "2031-01-31T00:00:00Z", quotas: { api_calls: 300 } });
  await makeProject("mine");
});
afterEach(() => void vi.restoreAllMocks());

const usage = async (query = ""): Promise<Usage> => right(await get<Usage>(`/api/projects/mine/usage${query}`));
const capOf = async (type: string): Promise<Body> => (await usage()).caps.find(({ cap_type }) => cap_type === type) ?? {};
const setCap = async (type: string, value: number | null): Promise<unknown> =>
  right(await put("/api/projects/mine/caps", { [type]: value }));

describe("the usage of a project", () => {
  test("without any use: counters are 0, the gauge is unknown, and no field is missing", async () => {
    const counter = (cap_type: string, cap: number) => ({
      cap_type,
      kind: "counter",
      used: 0,
      cap,
      remaining: cap,
      percent: 0,
      state: "ok",
      thresholds_reached: [],
      revision: 1,
      reset_at: "2031-05-15T00:00:00Z",
    });
    expect(await usage()).toEqual({
      project_id: "mine",
      status: "ACTIVE",
      reasons: [],
      as_of: "2031-05-14T14:03:11Z",
      date: "2031-05-14",
      reset_at: "2031-05-15T00:00:00Z",
      caps: [
        counter(COUNTER, 10_000),
        { ...counter(GAUGE, 100), kind: "gauge", used: null, remaining: null, percent: null, state: "unknown", reset_at: null },
        counter("storage_uploads_per_day", 1_000),
        counter("function_invocations_per_day", 5_000),
      ],
      organization: {
        id: "org",
        api_calls: {
          used: 0,
          limit: 300,
          remaining: 300,
          percent: 0,
          period_starts_at: "2031-04-30T00:00:00Z",
          reset_at: "2031-05-31T00:00:00Z",
        },
      },
      upstream: { calls_per_day: 1_300, share_mode: "default", used: 0, reserved: 0, remaining: 1_300 },
      days: [],
    });
  });

  test.each([
    [COUNTER, 0, 10, { used: 0, remaining: 10, percent: 0, state: "ok", thresholds_reached: [] }],
    [COUNTER, 7, 10, { used: 7, remaining: 3, percent: 70, state: "ok", thresholds_reached: [] }],
    [COUNTER, 799, 1_000, { remaining: 201, percent: 79, state: "ok", thresholds_reached: [] }],
    [COUNTER, 800, 1_000, { remaining: 200, percent: 80, state: "warning", thresholds_reached: [80] }],
    [COUNTER, 999, 1_000, { remaining: 1, percent: 99, state: "warning", thresholds_reached: [80, 90] }],
    [COUNTER, 1_000, 1_000, { remaining: 0, percent: 100, state: "exceeded", thresholds_reached: [80, 90] }],
    [COUNTER, 2_345, 1_000, { used: 2_345, remaining: 0, percent: 234, state: "exceeded", thresholds_reached: [80, 90] }],
    [COUNTER, 0, 0, { remaining: 0, percent: null, state: "ok", thresholds_reached: [] }],
    [COUNTER, 1, 0, { remaining: 0, percent: null, state: "exceeded", thresholds_reached: [] }],
    [COUNTER, 5, null, { used: 5, cap: null, remaining: null, percent: null, state: "unlimited", thresholds_reached: [] }],
    [GAUGE, 100, 100, { remaining: 0, percent: 100, state: "warning", thresholds_reached: [80, 90] }],
    [GAUGE, 101, 100, { remaining: 0, percent: 101, state: "exceeded", thresholds_reached: [80, 90] }],
    [GAUGE, 0, 0, { used: 0, remaining: 0, percent: null, state: "ok" }],
    [GAUGE, 1, 0, { used: 1, remaining: 0, percent: null, state: "exceeded" }],
    [GAUGE, -3, 100, { used: 0, remaining: 100, percent: 0, state: "ok" }],
    [GAUGE, null, 0, { used: null, remaining: null, percent: null, state: "unknown" }],
    [GAUGE, null, null, { used: null, remaining: null, percent: null, state: "unlimited" }],
  ])("%s with %j used of %j", async (type, used, cap, expected) => {
    await setCap(type, cap);
    if (used !== null) await (type === GAUGE ? level("mine", type, used) : count("mine", type, used));
    expect(await capOf(type)).toMatchObject({ ...expected, cap });
  });

  test("belongs to the day: at midnight the counters start at 0, and the gauge continues", async () => {
    await count("mine", COUNTER, 10_000);
    await level("mine", GAUGE, 42);
    expect(await capOf(COUNTER)).toMatchObject({ used: 10_000, state: "exceeded" });
    await setClock("2031-05-15T00:00:00Z");
    expect(await capOf(COUNTER)).toMatchObject({ used: 0, state: "ok", reset_at: "2031-05-16T00:00:00Z" });
    expect(await capOf(GAUGE)).toMatchObject({ used: 42 });
    expect((await usage())["days"]).toEqual([{ day: "2031-05-14", meter: COUNTER, used: 10_000, adjusted: 0 }]);
  });

  test("has the revisions of the caps", async () => {
    await setCap(COUNTER, 5);
    await setCap(COUNTER, 6);
    expect(await capOf(COUNTER)).toMatchObject({ revision: 3 });
  });

  test("excludes other projects", async () => {
    await makeProject("other");
    await count("other", COUNTER, 77);
    await level("other", GAUGE, 7);
    expect((await usage()).caps.map(({ used }) => used)).toEqual([0, null, 0, 0]);
    expect((await usage())["days"]).toEqual([]);
  });

  test("is available for suspended, archived and deleted projects", async () => {
    await stop("mine", "admin");
    expect(await usage()).toMatchObject({ status: "SUSPENDED", reasons: [{ reason: "admin" }] });
    right(await remove("/api/projects/mine"));
    expect(await usage()).toMatchObject({ status: "ARCHIVED" });
    right(await remove("/api/projects/mine?permanent=true"));
    expect(await usage()).toMatchObject({ status: "DELETED" });
  });
});

describe("the month of its organization", () => {
  const month = async (): Promise<Body> => (await usage())["organization"] as Body;

  test.each([
    [0, 300, { used: 0, remaining: 300, percent: 0 }],
    [299, 300, { used: 299, remaining: 1, percent: 99 }],
    [450, 300, { used: 450, remaining: 0, percent: 150 }],
    [5, 0, { used: 5, remaining: 0, percent: null }],
    [5, null, { used: 5, limit: null, remaining: null, percent: null }],
  ])("with %j used of %j", async (used, api_calls, expected) => {
    right(await patch("/api/organizations/org", { quotas: { api_calls } }));
    await rows("UPDATE billing_periods SET api_calls = ? WHERE starts_at <= ?2 AND ends_at > ?2", used, Date.now());
    expect(await month()).toMatchObject({ api_calls: { ...expected, limit: api_calls } });
  });

  test("starts again with its period, which follows the anchor, also before its first use", async () => {
    await rows("UPDATE billing_periods SET api_calls = 9");
    await setClock("2031-07-30T23:59:59Z");
    const api_calls = { used: 0, period_starts_at: "2031-06-30T00:00:00Z", reset_at: "2031-07-31T00:00:00Z" };
    expect(await month()).toMatchObject({ api_calls });
  });
});

describe("the provider's daily quota", () => {
  const spend = async (calls: number, id: string) => createDeps(env, () => Date.now()).quota.incrementUsage(calls, id, "project:mine");

  test("has the project's used and reserved calls, compared with its share", async () => {
    right(await put("/api/projects/mine/upstream-share", { calls_per_day: 10 }));
    await spend(4, "a");
    const { api_key } = await makeProject("twin", { calls_per_day: 9 });
    right(await post("/api/quota/reservations", { calls: 2 }, { token: api_key.key }));
    expect((await usage())["upstream"]).toEqual({ calls_per_day: 10, share_mode: "fixed", used: 4, reserved: 0, remaining: 6 });
    expect((await get("/api/projects/twin/usage")).body["upstream"]).toEqual({
      calls_per_day: 9,
      share_mode: "fixed",
      used: 0,
      reserved: 2,
      remaining: 7,
    });
    await spend(20, "b");
    expect((await usage())["upstream"]).toMatchObject({ used: 24, remaining: 0 });
    await setClock("2031-05-15T00:10:00Z");
    expect((await usage())["upstream"]).toMatchObject({ used: 0, remaining: 10 });
  });

  test("is unknown while the ledger is unavailable, and all the rest is there", async () => {
    right(await put("/api/projects/mine/upstream-share", { calls_per_day: 10 }));
    await count("mine", COUNTER, 8);
    const away = {
      getByName: () => {
        throw new Error("The ledger is unavailable");
      },
    };
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const { status, body } = await callWith({ QUOTA_LEDGER: away }, "/api/projects/mine/usage", { headers });
    expect({ status, upstream: body["upstream"] }).toEqual({
      status: 200,
      upstream: { calls_per_day: 10, share_mode: "fixed", used: null, reserved: null, remaining: null },
    });
    expect(body).toEqual({ ...(await usage()), upstream: body["upstream"] });
  });
});

describe("the days", () => {
  beforeEach(async () => {
    await count("mine", COUNTER, 5, "2031-05-14");
    await count("mine", "function_invocations_per_day", 6, "2031-05-14");
    await count("mine", COUNTER, 7, "2031-05-13");
    await count("mine", COUNTER, 8, "2031-04-15");
    await count("mine", COUNTER, 9, "2031-04-14");
    await count("mine", COUNTER, 10, "2030-04-10");
    await rows("INSERT INTO adjustments VALUES ('mine', ?1, '2031-05-13', 3), ('mine', ?1, '2031-05-12', 4)", COUNTER);
  });
  const row = (day: string, used: number, adjusted = 0, meter = COUNTER) => ({ day, meter, used, adjusted });

  test("are the last thirty including today, newest first, with late reports as adjustments", async () => {
    expect((await usage())["days"]).toEqual([
      row("2031-05-14", 5),
      row("2031-05-14", 6, 0, "function_invocations_per_day"),
      row("2031-05-13", 7, 3),
      row("2031-05-12", 0, 4),
      row("2031-04-15", 8),
    ]);
  });

  test.each([
    ["1", 2],
    ["2", 3],
    ["31", 6],
    ["400", 7],
  ])("are as many as requested: %s", async (days, found) => {
    expect((await usage(`?days=${days}`))["days"]).toHaveLength(found);
  });

  test.each(["0", "401", "-1", "1.5", "", "ten", "0x10", "1&days=2"])("days=%s: 400", async (days) => {
    const { status, body } = await get<{ errors: { path: string }[] }>(`/api/projects/mine/usage?days=${days}`);
    expect({ status, path: body.errors[0]?.path.split(".")[0] }).toEqual({ status: 400, path: "days" });
  });
});

describe("the evaluations", () => {
  const evaluate = async (n: number, project = "mine"): Promise<unknown> =>
    rows(
      `INSERT INTO evaluations (project_id, run, at, cap_type, period, used, cap, revision, decision, dry_run)
       SELECT ?1, 'check_usage_limits-' || value, ?2, ?3, '2031-05-14', nullif(value, 0), nullif(value, 1), 3, 'warned', value % 2
       FROM json_each(?4) ORDER BY value`,
      project,
      Date.now(),
      COUNTER,
      JSON.stringify(Array.from({ length: n }, (_, index) => index)),
    );

  test("have the input of each decision, with null for unknown usage", async () => {
    await evaluate(3);
    const common = {
      at: "2031-05-14T14:03:11Z",
      cap_type: COUNTER,
      period: "2031-05-14",
      threshold: null,
      revision: 3,
      decision: "warned",
    };
    expect((await get("/api/projects/mine/evaluations")).body).toEqual({
      evaluations: [
        { ...common, job_id: "check_usage_limits-2", used: 2, cap: 2, dry_run: false },
        { ...common, job_id: "check_usage_limits-1", used: 1, cap: null, dry_run: true },
        { ...common, job_id: "check_usage_limits-0", used: null, cap: 0, dry_run: false },
      ],
      next_cursor: null,
    });
  });

  test("are read page by page while new ones arrive, each once, and only the project's own", async () => {
    await makeProject("other");
    await evaluate(5, "other");
    await evaluate(205);
    const { found, pages } = await allPages(
      "/api/projects/mine/evaluations?limit=100",
      (body) => body["evaluations"] as { job_id: string }[],
      async () => {
        await evaluate(1);
      },
    );
    expect(pages).toBe(3);
    expect(found.map(({ job_id }) => job_id)).toEqual(Array.from({ length: 205 }, (_, n) => `check_usage_limits-${204 - n}`));
  });
});
