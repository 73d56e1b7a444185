/** The sweep and the monthly reset as jobs: from the cron to the result. test/tenants covers their rules. */
import { env } from "cloudflare:workers";
import { createScheduledController } from "cloudflare:test";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import type { Deps } from "../../worker/src/deps.ts";
import { HANDLERS } from "../../worker/src/handlers/index.ts";
import worker from "../../worker/src/index.ts";
import { JOBS } from "../../worker/src/jobs/catalog.ts";
import { jobLog } from "../../worker/src/jobs/job-log.ts";
import { CountedDatabase } from "../../worker/src/store/statements.ts";
import { freshStart, get, post, setClock } from "../support/worker.ts";
import { ended } from "../jobs/support.ts";
import type { Job } from "../jobs/support.ts";

beforeEach(async () => freshStart());

const tick = async (cron: string, time: string): Promise<void> => {
  await worker.scheduled(createScheduledController({ cron, scheduledTime: new Date(time) }), env);
};

const jobs = async (type: string): Promise<Job[]> => (await get<{ jobs: Job[] }>(`/api/jobs?type=${type}`)).body.jobs;

const run = async (type: string, payload: Record<string, unknown> = {}): Promise<Job> => {
  const { status, body } = await post<Job>("/api/jobs", { type, payload });
  if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`);
  return ended(body.id);
};

const organization = async (id: string, anchor = "2031-01-31T00:00:00Z"): Promise<void> => {
  await post("/api/organizations", { id, name: id, billing_anchor: anchor });
};
const project = async (id: string, used: number): Promise<void> => {
  await post("/api/projects", { id, organization_id: "org", name: id, caps: { db_queries_per_day: 100 } });
  await env.DB.prepare("INSERT INTO counters VALUES (?, 'db_queries_per_day', '2031-05-14', ?)").bind(id, used).run();
};
const statusOf = async (id: string): Promise<unknown> => (await get(`/api/projects/${id}`)).body["status"];

describe("the sweep as a job", () => {
  beforeEach(async () => organization("org"));

  test("the hourly cron, delivered twice and again an hour later, starts two sweeps", async () => {
    await project("over", 100);
    await Promise.all([tick("0 * * * *", "2031-05-14T14:00:00Z"), tick("0 * * * *", "2031-05-14T14:00:00Z")]);
    await tick("0 * * * *", "2031-05-14T15:00:00Z");
    const found = await jobs("check_usage_limits");
    expect(new Set(found.map(({ scheduled_for }) => scheduled_for))).toEqual(new Set(["2031-05-14T14:00:00Z", "2031-05-14T15:00:00Z"]));
    expect(found).toHaveLength(2);
    const results = await Promise.all(found.map(async ({ id }) => (await ended(id)).result as { projects_suspended: number }));
    expect(results.map(({ projects_suspended }) => projects_suspended).toSorted((a, b) => a - b)).toEqual([0, 1]);
    expect(await statusOf("over")).toBe("SUSPENDED");
  });

  test("its result has the documented form, and its suspensions have its id", async () => {
    await project("over", 150);
    await project("close", 92);
    await project("fine", 10);
    const job = await run("check_usage_limits", { check_all: true });
    expect(job).toMatchObject({ status: "completed", requested_by: "admin", tries: 1 });
    expect(job.result).toEqual({
      projects_checked: 3,
      projects_suspended: 1,
      warnings_sent: 1,
      details: [
        { project_id: "close", exceeded: [], actions: ["warned:db_queries_per_day:90"] },
        { project_id: "over", exceeded: ["db_queries_per_day"], actions: ["suspended:db_queries_per_day"] },
      ],
      details_left_out: 0,
      errors: [],
      duration_ms: 0,
      next: null,
    });
    const { body } = await get<{ suspensions: { actor: string; detail: string; until: string }[] }>("/api/projects/over/suspensions");
    expect(body.suspensions).toMatchObject([{ actor: job.id, detail: "150 of 100", until: "2031-05-15T00:00:00Z" }]);
    const { body: published } = await get<{ events: { type: string }[] }>("/api/projects/close/events");
    expect(published.events).toMatchObject([
      { type: "quota.warning", data: { threshold: 90, thresholds_reached: [80, 90], used: 92, cap: 100 } },
    ]);
  });

  test("a dry run has the same result as a real run, changes nothing, and reports unknown projects", async () => {
    await project("over", 100);
    const dry = await run("check_usage_limits", { project_ids: ["over", "missing"], enforce_limits: false });
    expect(await statusOf("over")).toBe("ACTIVE");
    const real = await run("check_usage_limits", { project_ids: ["over", "missing"] });
    expect(real.result).toEqual(dry.result);
    expect(real.result).toMatchObject({
      projects_suspended: 1,
      errors: [{ project_id: "missing", error: "the project does not exist or is not active" }],
    });
    expect(await statusOf("over")).toBe("SUSPENDED");
  });

  test("is enqueued in code by its name, and repeated requests create one job", async () => {
    await project("over", 100);
    const queue = createDeps(env, () => Date.now()).jobs;
    const origin = { requestedBy: "test", idempotencyKey: "once" };
    const limits = { projectIds: ["over"], capTypes: ["db_queries_per_day"], enforceLimits: false } as const;
    const first = await queue.enqueueCheckUsageLimitsJob(limits, origin);
    expect(await queue.enqueueCheckUsageLimitsJob(limits, origin)).toMatchObject({ id: first.id, created: false });
    expect((await ended(first.id)).payload).toEqual({ project_ids: ["over"], cap_types: ["db_queries_per_day"], enforce_limits: false });
    expect((await ended((await queue.enqueueResetQuotasJob(origin)).id)).status).toBe("completed");
  });

  test.each([
    [{ check_all: true, project_ids: ["a"] }, "payload.check_all"],
    [{ check_all: false }, "payload.project_ids"],
    [{ project_ids: [] }, "payload.project_ids"],
    [{ project_ids: ["a b"] }, "payload.project_ids.0"],
    [{ cap_types: ["api_calls"] }, "payload.cap_types.0"],
    [{ enforce_limits: "no" }, "payload.enforce_limits"],
    [{ enforceLimits: false }, "payload.enforceLimits"],
  ])("refuses %j with the path %s", async (payload, path) => {
    const { status, body } = await post<{ errors: { path: string }[] }>("/api/jobs", { type: "check_usage_limits", payload });
    expect({ status, paths: body.errors.map((error) => error.path) }).toEqual({ status: 400, paths: [path] });
    expect(await jobs("check_usage_limits")).toEqual([]);
  });

  test("continues as a new job if the statements of D1 are used up, and checks each project once", async () => {
    const ids = JSON.stringify(Array.from({ length: 4_001 }, (_, index) => `p${String(index).padStart(5, "0")}`));
    const caps = JSON.stringify(["db_queries_per_day", "realtime_connections", "storage_uploads_per_day", "function_invocations_per_day"]);
    await env.DB.batch([
      env.DB.prepare(`INSERT INTO projects (id, organization_id, name, changed_by, created_at, updated_at)
        SELECT value, 'org', value, 'test', 1, 1 FROM json_each(?)`).bind(ids),
      env.DB.prepare(`INSERT INTO caps (project_id, cap_type, value, updated_at)
        SELECT p.value, c.value, 100, 1 FROM json_each(?1) AS p, json_each(?2) AS c`).bind(ids, caps),
    ]);
    vi.spyOn(CountedDatabase.prototype, "isUsedUp", "get").mockReturnValue(true);
    const results: { projects_checked: number; next: string | null }[] = [];
    let job = await run("check_usage_limits");
    for (;;) {
      const result = job.result as (typeof results)[number];
      results.push(result);
      if (result.next === null) break;
      job = await ended(result.next);
    }
    vi.restoreAllMocks();
    // The last job finds no further page.
    expect(results.map(({ projects_checked }) => projects_checked)).toEqual([2_000, 2_000, 1, 0]);
  });

  test("ten thousand projects with four caps each need a few statements per page, and a failed page is retried", async () => {
    const [now, ids] = [Date.now(), JSON.stringify(Array.from({ length: 10_000 }, (_, index) => `p${String(index).padStart(5, "0")}`))];
    await env.DB.batch([
      env.DB.prepare(`INSERT INTO projects (id, organization_id, name, changed_by, created_at, updated_at)
        SELECT value, 'org', value, 'test', ?1, ?1 FROM json_each(?2)`).bind(now, ids),
      env.DB.prepare(`INSERT INTO caps (project_id, cap_type, value, updated_at)
        SELECT p.value, c.value, 100, ?1 FROM json_each(?2) AS p, json_each(?3) AS c`).bind(
        now,
        ids,
        JSON.stringify(["db_queries_per_day", "realtime_connections", "storage_uploads_per_day", "function_invocations_per_day"]),
      ),
      env.DB.prepare(`INSERT INTO counters (project_id, meter, day, used)
        SELECT value, 'db_queries_per_day', '2031-05-14', key % 101 FROM json_each(?1)`).bind(ids),
      env.DB.prepare(
        "UPDATE caps SET value = 'much' WHERE project_id IN ('p00007', 'p05000', 'p09999') AND cap_type = 'db_queries_per_day'",
      ),
    ]);
    // The third page fails once. Earlier pages are done.
    let [statements, failed] = [0, false];
    const batch = env.DB.batch.bind(env.DB);
    vi.spyOn(env.DB, "batch").mockImplementation(async <Row>(list: D1PreparedStatement[]) => {
      if (list.length > 5) statements += list.length;
      if (statements > 25 && !failed) {
        failed = true;
        throw new Error("D1 is unavailable");
      }
      return batch<Row>(list);
    });
    const job = await run("check_usage_limits");
    vi.restoreAllMocks();
    // Five pages, and the retry of the failed page.
    expect({ failed, statements }).toEqual({ failed: true, statements: 6 * 9 });
    const reached = Array.from({ length: 10_000 }, (_, index) => index % 101).filter(
      (used, index) => ![7, 5_000, 9_999].includes(index) && used === 100,
    );
    expect(job).toMatchObject({ status: "completed" });
    expect(job.result).toMatchObject({ projects_checked: 9_997, projects_suspended: reached.length });
    const { errors, details } = job.result as { errors: { project_id: string }[]; details: unknown[] };
    expect(errors.map(({ project_id }) => project_id)).toEqual(["p00007", "p05000", "p09999"]);
    expect(details).toHaveLength(1_000);
    const suspended = await env.DB.prepare("SELECT count(*) AS n FROM suspensions WHERE lifted_at IS NULL").first<number>("n");
    expect(suspended).toBe(reached.length);
  }, 120_000);
});

describe("the monthly reset as a job", () => {
  test("the daily cron closes ended periods once and reports them", async () => {
    await organization("org");
    await setClock("2031-08-01T00:00:00Z");
    await Promise.all([tick("0 0 * * *", "2031-08-01T00:00:00Z"), tick("0 0 * * *", "2031-08-01T00:00:00Z")]);
    const found = await jobs("reset_quotas");
    expect(found).toHaveLength(1);
    const job = await ended(found[0]?.id ?? "");
    expect(job).toMatchObject({ status: "completed", result: { organizations: 1, suspensions_lifted: 0, errors: [] } });
    expect((await run("reset_quotas")).result).toMatchObject({ organizations: 0, rows_updated: 0 });
  });

  test("has three retries, after 5, 10 and 20 seconds", () => {
    expect(JOBS.reset_quotas).toMatchObject({ tries: 4, delaySeconds: 5, backoff: "exponential", timeoutMinutes: 5 });
  });

  test("is skipped with a reason if it is turned off", async () => {
    await organization("org");
    await setClock("2031-08-01T00:00:00Z");
    const deps = createDeps({ ...env, QUOTA_RESET_ENABLED: "false" }, () => Date.now());
    const { id, log } = { id: "reset_quotas-test", log: jobLog("reset_quotas", {}) };
    const about = { createdAt: 0, scheduledFor: null, requestId: null, traceparent: null };
    const step = async <Result>(_name: string, work: (attempt: number, own: Deps) => Promise<Result>) => work(1, deps);
    const off = { ...about, id, type: "reset_quotas", deps, log, step, sleepUntil: async () => undefined } as const;
    expect(await HANDLERS.reset_quotas({}, off)).toEqual({ success: true, data: { skipped: "QUOTA_RESET_ENABLED is false" } });
    const on = createDeps(env, () => Date.now());
    expect(await HANDLERS.reset_quotas({}, { ...off, deps: on })).toMatchObject({ success: true, data: { organizations: 1 } });
  });
});
