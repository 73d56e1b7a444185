import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import { CAP_TYPES } from "../../../worker/src/store/limits/meters.ts";
import type { CapType } from "../../../worker/src/store/limits/meters.ts";
import { sweepPage } from "../../../worker/src/tenants/limits/sweep.ts";
import type { SweepRequest, SweptPage } from "../../../worker/src/tenants/limits/sweep.ts";
import { freshStart, get, post, put, setClock } from "../../support/worker.ts";

beforeEach(async () => freshStart());

const CAP = 1_000;
const DAY = "2031-05-14";
const GAUGE = "realtime_connections";

const deps = () => createDeps(env, () => Date.now());

const organization = async (): Promise<void> => {
  await post("/api/organizations", { id: "org", name: "Organization" });
};

const project = async (id: string, caps: Record<string, number | null> = {}): Promise<void> => {
  const all = Object.fromEntries(CAP_TYPES.map((type) => [type, CAP]));
  const { status, body } = await post("/api/projects", { id, organization_id: "org", name: id, caps: { ...all, ...caps } });
  if (status !== 201) throw new Error(JSON.stringify(body));
};

const use = async (id: string, type: CapType, used: number, day = DAY): Promise<void> => {
  if (type === GAUGE) {
    const sql = `INSERT INTO gauges (project_id, meter, level, set_at, set_by, set_in, updated_at) VALUES (?, ?, ?, 1, 'x', 'x', 1)
      ON CONFLICT DO UPDATE SET level = excluded.level`;
    await env.DB.prepare(sql).bind(id, type, used).run();
    return;
  }
  const sql = "INSERT INTO counters (project_id, meter, day, used) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET used = excluded.used";
  await env.DB.prepare(sql).bind(id, type, day, used).run();
};

const NOTHING: SweptPage = { projects_checked: 0, projects_suspended: 0, warnings_sent: 0, acted_on: 0, details: [], errors: [] };

let runs = 0;

/** A whole sweep. */
const sweep = async (request: Partial<SweepRequest> = {}): Promise<SweptPage> => {
  runs += 1;
  const whole = { run: `run-${runs}`, projectIds: null, capTypes: null, enforce: true, ...request };
  let result = NOTHING;
  for (let after = ""; ;) {
    const page = await sweepPage(deps(), whole, after);
    if (page === null) return result;
    const { swept } = page;
    result = {
      projects_checked: result.projects_checked + swept.projects_checked,
      projects_suspended: result.projects_suspended + swept.projects_suspended,
      warnings_sent: result.warnings_sent + swept.warnings_sent,
      acted_on: result.acted_on + swept.acted_on,
      details: [...result.details, ...swept.details],
      errors: [...result.errors, ...swept.errors],
    };
    after = page.last;
  }
};

const statusOf = async (id: string): Promise<unknown> => (await get(`/api/projects/${id}`)).body["status"];

const events = async (): Promise<string[]> => {
  const sql = "SELECT type || ' ' || project_id AS event FROM events ORDER BY seq";
  return (await env.DB.prepare(sql).all<{ event: string }>()).results.map(({ event }) => event);
};

/** Rows of every table that a sweep may write. */
const written = async (): Promise<Record<string, unknown[]>> => {
  const tables = ["suspensions", "threshold_notices", "events", "counters", "gauges", "caps", "projects", "audit_log"];
  const rows = await env.DB.batch(tables.map((table) => env.DB.prepare(`SELECT * FROM ${table}`)));
  return Object.fromEntries(tables.map((table, index) => [table, rows[index]?.results ?? []]));
};

describe("the rules", () => {
  beforeEach(organization);

  test("an ended reason blocks neither its own cap nor another one, even if only some caps are selected", async () => {
    await project("mine");
    const ended =
      "INSERT INTO suspensions (project_id, reason, cap_type, since, until, actor) VALUES ('mine', 'quota:' || ?1, ?1, 1, 2, 'sweep')";
    for (const type of ["db_queries_per_day", "storage_uploads_per_day"]) await env.DB.prepare(ended).bind(type).run();
    await use("mine", "db_queries_per_day", CAP);
    await use("mine", "storage_uploads_per_day", CAP);
    expect((await sweep({ capTypes: ["db_queries_per_day"] })).details).toEqual([
      { project_id: "mine", exceeded: ["db_queries_per_day"], actions: ["lifted:db_queries_per_day", "suspended:db_queries_per_day"] },
    ]);
    const openReasons = async () =>
      (await get<{ reasons: { reason: string }[] }>("/api/projects/mine")).body.reasons.map(({ reason }) => reason);
    expect(await openReasons()).toEqual(["quota:db_queries_per_day"]);
    await env.DB.prepare("UPDATE suspensions SET until = 3 WHERE lifted_at IS NULL").run();
    await sweep({ capTypes: ["storage_uploads_per_day"] });
    expect(await openReasons()).toEqual(["quota:storage_uploads_per_day"]);
  });

  const AT: [percent: number, counter: string[], gauge: string[]][] = [
    [79, [], []],
    [80, ["warned:80"], ["warned:80"]],
    [89, ["warned:80"], ["warned:80"]],
    [90, ["warned:90"], ["warned:90"]],
    [99, ["warned:90"], ["warned:90"]],
    [100, ["suspended"], ["warned:90"]],
    [150, ["suspended"], ["suspended"]],
  ];

  test.each(AT)("at %d percent of each cap: a counter is %j, a gauge is %j", async (percent, counter, gauge) => {
    for (const type of CAP_TYPES) {
      await project(type);
      await use(type, type, (CAP * percent) / 100);
    }
    const { details } = await sweep();
    const actions = Object.fromEntries(
      details.map(({ project_id, actions: own }) => [project_id, own.map((action) => action.replace(`:${project_id}`, ""))]),
    );
    const expected = CAP_TYPES.map((type) => [type, type === GAUGE ? gauge : counter] as const).filter(([, own]) => own.length > 0);
    expect(actions).toEqual(Object.fromEntries(expected));
    for (const type of CAP_TYPES) {
      const suspended = (type === GAUGE ? gauge : counter).includes("suspended");
      expect(await statusOf(type)).toBe(suspended ? "SUSPENDED" : "ACTIVE");
    }
  });

  test("just below a threshold does not reach it, for numbers of any size", async () => {
    await project("huge", { db_queries_per_day: 999_999_999_999 });
    await use("huge", "db_queries_per_day", 799_999_999_999);
    expect((await sweep()).warnings_sent).toBe(0);
    await use("huge", "db_queries_per_day", 800_000_000_000);
    expect((await sweep()).warnings_sent).toBe(1);
  });

  test("a cap of 0 has no warnings and suspends after any use, and unknown values suspend no project", async () => {
    await project("nothing", { db_queries_per_day: 0 });
    await project("something", { db_queries_per_day: 0 });
    await use("something", "db_queries_per_day", 1);
    await project("unlimited", { db_queries_per_day: null });
    await use("unlimited", "db_queries_per_day", 1_000_000);
    await project("unknown", { realtime_connections: 0 });
    const result = await sweep();
    expect(result).toEqual({
      projects_checked: 4,
      projects_suspended: 1,
      warnings_sent: 0,
      acted_on: 1,
      details: [{ project_id: "something", exceeded: ["db_queries_per_day"], actions: ["suspended:db_queries_per_day"] }],
      errors: [],
    });
  });

  test("two caps exceeded in one sweep are two reasons, one project and one event", async () => {
    await project("both");
    await use("both", "db_queries_per_day", CAP);
    await use("both", "storage_uploads_per_day", CAP + 1);
    expect(await sweep()).toMatchObject({ projects_suspended: 1, warnings_sent: 0 });
    const { body } = await get<{ reasons: { reason: string }[] }>("/api/projects/both");
    expect(body.reasons.map(({ reason }) => reason)).toEqual(["quota:db_queries_per_day", "quota:storage_uploads_per_day"]);
    expect(await events()).toEqual(["project.suspended both"]);
  });

  test("each threshold is reported once per day and revision, and only the highest of several passed together", async () => {
    await project("one");
    await use("one", "db_queries_per_day", 950);
    expect((await sweep()).details).toEqual([{ project_id: "one", exceeded: [], actions: ["warned:db_queries_per_day:90"] }]);
    expect((await sweep()).warnings_sent).toBe(0);
    const eventData = await env.DB.prepare("SELECT data FROM events").first<string>("data");
    expect(JSON.parse(eventData ?? "")).toEqual({
      project_id: "one",
      cap_type: "db_queries_per_day",
      used: 950,
      cap: CAP,
      threshold: 90,
      thresholds_reached: [80, 90],
      period: DAY,
      reset_at: "2031-05-15T00:00:00Z",
    });

    // A raise enables only the thresholds above the current usage.
    await put("/api/projects/one/caps", { db_queries_per_day: 1_150 });
    expect((await sweep()).warnings_sent).toBe(0);
    await use("one", "db_queries_per_day", 1_035);
    expect((await sweep()).details).toMatchObject([{ actions: ["warned:db_queries_per_day:90"] }]);

    await setClock("2031-05-15T00:00:05Z");
    await use("one", "db_queries_per_day", 920, "2031-05-15");
    expect((await sweep()).details).toMatchObject([{ actions: ["warned:db_queries_per_day:80"] }]);
  });

  test("eight concurrent sweeps warn and suspend once", async () => {
    for (const id of ["a", "b", "c"]) await project(id);
    await use("a", "db_queries_per_day", 900);
    await use("b", "db_queries_per_day", CAP);
    const results = await Promise.all(Array.from({ length: 8 }, async () => sweep()));
    const sum = (pick: (page: SweptPage) => number) => results.map(pick).reduce((total, one) => total + one, 0);
    expect([sum(({ warnings_sent }) => warnings_sent), sum(({ projects_suspended }) => projects_suspended)]).toEqual([1, 1]);
    expect((await events()).toSorted()).toEqual(["project.suspended b", "quota.warning a"]);
  });

  test("only active projects are affected: a suspended one gets no further reason or warning", async () => {
    for (const id of ["by-hand", "abusive", "archived", "deleted"]) {
      await project(id);
      await use(id, "db_queries_per_day", CAP);
      await use(id, "storage_uploads_per_day", 900);
    }
    await post("/api/projects/by-hand/suspend", { reason: "Overdue" });
    const abuse = "INSERT INTO suspensions (project_id, reason, since, actor) VALUES ('abusive', 'abuse:ERROR_SPIKE', 1, 'job')";
    await env.DB.prepare(abuse).run();
    await env.DB.prepare("UPDATE projects SET lifecycle = upper(id) WHERE id IN ('archived', 'deleted')").run();
    expect(await sweep()).toMatchObject({ projects_checked: 2, projects_suspended: 0, warnings_sent: 0, details: [] });
    expect(await events()).toEqual(["project.suspended by-hand"]);
  });
});

describe("lifting", () => {
  beforeEach(organization);

  test("a new day ends daily reasons, immediately for requests, and in the tables with the first sweep", async () => {
    await project("one");
    await use("one", "function_invocations_per_day", CAP);
    await sweep();
    await setClock("2031-05-14T23:59:59Z");
    expect(await statusOf("one")).toBe("SUSPENDED");
    await setClock("2031-05-15T00:00:00Z");
    expect(await statusOf("one")).toBe("ACTIVE");
    expect((await sweep()).details).toEqual([{ project_id: "one", exceeded: [], actions: ["lifted:function_invocations_per_day"] }]);
    expect((await sweep()).details).toEqual([]);
    expect(await events()).toEqual(["project.suspended one", "project.reactivated one"]);
  });

  test("a gauge's reason ends when its level is back at the cap, not at midnight or without reports", async () => {
    await project("one");
    await use("one", GAUGE, CAP + 1);
    await sweep();
    await setClock("2031-05-15T00:00:00Z");
    expect(await statusOf("one")).toBe("SUSPENDED");
    expect((await sweep()).details).toEqual([]);
    await env.DB.prepare("DELETE FROM gauges").run();
    expect((await sweep()).details).toEqual([]);
    await use("one", GAUGE, CAP);
    expect((await sweep()).details).toMatchObject([{ actions: [`lifted:${GAUGE}`, `warned:${GAUGE}:90`] }]);
    expect(await statusOf("one")).toBe("ACTIVE");
  });

  test("a suspended project back below the cap on the same day gets no warnings for thresholds passed before", async () => {
    await project("one");
    await use("one", GAUGE, 1.5 * CAP);
    await sweep();
    await use("one", GAUGE, 0.95 * CAP);
    expect((await sweep()).details).toEqual([{ project_id: "one", exceeded: [], actions: [`lifted:${GAUGE}`] }]);
    expect(await events()).toEqual(["project.suspended one", "project.reactivated one"]);
  });

  test("abuse and admin reasons stay, the project stays suspended, and no event is written", async () => {
    await project("one");
    await use("one", "db_queries_per_day", CAP);
    await sweep();
    await post("/api/projects/one/suspend", { reason: "Overdue" });
    await setClock("2031-05-15T00:00:00Z");
    expect((await sweep()).details).toMatchObject([{ actions: ["lifted:db_queries_per_day"] }]);
    expect(await statusOf("one")).toBe("SUSPENDED");
    expect(await events()).toEqual(["project.suspended one"]);
    await post("/api/projects/one/reactivate", { reason: "Paid" });
    expect(await events()).toEqual(["project.suspended one", "project.reactivated one"]);
  });

  test("a project over the cap again on the new day is suspended again by the same sweep", async () => {
    await project("one");
    await use("one", "db_queries_per_day", CAP);
    await sweep();
    await setClock("2031-05-15T01:00:00Z");
    await use("one", "db_queries_per_day", CAP, "2031-05-15");
    expect((await sweep()).details).toEqual([
      { project_id: "one", exceeded: ["db_queries_per_day"], actions: ["lifted:db_queries_per_day", "suspended:db_queries_per_day"] },
    ]);
    expect(await statusOf("one")).toBe("SUSPENDED");
  });

  test("raising the cap reactivates the project before the response returns", async () => {
    await project("one");
    await use("one", "db_queries_per_day", CAP);
    await sweep();
    const { body } = await put("/api/projects/one/caps", { db_queries_per_day: CAP + 1 });
    expect(body).toMatchObject({ status: "ACTIVE", reasons: [] });
    expect((await sweep()).details).toEqual([]);
  });
});

describe("a run", () => {
  beforeEach(organization);

  test("with selected projects or caps ignores all others", async () => {
    for (const id of ["a", "b"]) {
      await project(id);
      await use(id, "db_queries_per_day", CAP);
      await use(id, "storage_uploads_per_day", CAP);
    }
    expect(await sweep({ projectIds: ["b"], capTypes: ["storage_uploads_per_day"] })).toMatchObject({
      projects_checked: 1,
      details: [{ project_id: "b", actions: ["suspended:storage_uploads_per_day"] }],
    });
    expect(await statusOf("a")).toBe("ACTIVE");
  });

  test("as a dry run changes only evaluations, and its plan equals the real run", async () => {
    for (const id of ["a", "b", "c", "d"]) await project(id);
    await use("a", "db_queries_per_day", CAP);
    await use("b", GAUGE, 2 * CAP);
    await sweep();
    await setClock("2031-05-15T08:00:00Z");
    await use("b", GAUGE, CAP);
    await use("c", "storage_uploads_per_day", 850, "2031-05-15");
    await use("d", "function_invocations_per_day", 5 * CAP, "2031-05-15");
    const before = await written();
    const planned = await sweep({ enforce: false });
    expect(await written()).toEqual(before);
    expect(planned.details).toHaveLength(4);
    expect(await sweep()).toEqual(planned);
    expect(await sweep()).toMatchObject({ projects_suspended: 0, warnings_sent: 0, details: [] });
  });

  test("that repeats a page returns the same result, and acts once", async () => {
    await project("a");
    await project("b");
    await use("a", "db_queries_per_day", CAP);
    await use("b", "db_queries_per_day", 900);
    const first = await sweep({ run: "same" });
    const [rows, clock] = [await written(), Date.now()];
    vi.setSystemTime(clock + 5_000);
    expect(await sweep({ run: "same" })).toEqual(first);
    expect(await written()).toEqual(rows);
  });

  test("reports damaged projects, and checks the others", async () => {
    for (const id of ["no-caps", "cap", "counter", "fine"]) {
      await project(id);
      await use(id, "db_queries_per_day", CAP);
    }
    await env.DB.batch([
      env.DB.prepare("DELETE FROM caps WHERE project_id = 'no-caps' AND cap_type = 'db_queries_per_day'"),
      env.DB.prepare("UPDATE caps SET value = 'many' WHERE project_id = 'cap' AND cap_type = 'db_queries_per_day'"),
      env.DB.prepare("UPDATE counters SET used = 'all' WHERE project_id = 'counter'"),
    ]);
    expect(await sweep()).toEqual({
      projects_checked: 1,
      projects_suspended: 1,
      warnings_sent: 0,
      acted_on: 1,
      details: [{ project_id: "fine", exceeded: ["db_queries_per_day"], actions: ["suspended:db_queries_per_day"] }],
      errors: [
        { project_id: "cap", error: "a cap is not a whole number" },
        { project_id: "counter", error: "a counter is not a whole number" },
        { project_id: "no-caps", error: "a cap is missing" },
      ],
    });
  });

  test("is explained by evaluations, with their input", async () => {
    await project("one");
    await use("one", "db_queries_per_day", CAP + 7);
    await sweep({ run: "job-1" });
    const { body } = await get<{ evaluations: Record<string, unknown>[] }>("/api/projects/one/evaluations");
    expect(body.evaluations.find(({ decision }) => decision === "suspended")).toEqual({
      at: "2031-05-14T14:03:11Z",
      job_id: "job-1",
      cap_type: "db_queries_per_day",
      period: DAY,
      used: CAP + 7,
      cap: CAP,
      revision: 1,
      decision: "suspended",
      threshold: null,
      dry_run: false,
    });
    expect(body.evaluations.map(({ cap_type, decision }) => `${String(cap_type)} ${String(decision)}`).toSorted()).toEqual([
      "db_queries_per_day suspended",
      "function_invocations_per_day ok",
      "realtime_connections unknown",
      "storage_uploads_per_day ok",
    ]);
  });
});
