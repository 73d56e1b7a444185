import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { CAP_TYPES } from "../../../worker/src/store/limits/meters.ts";
import type { SweptPage } from "../../../worker/src/tenants/limits/sweep.ts";
import { freshStart, get, post, put, setClock } from "../../support/worker.ts";
import { CAP, DAY, GAUGE, organization, project, use, sweep, statusOf } from "./support.ts";

beforeEach(async () => freshStart());

const events = async (): Promise<string[]> => {
  const sql = "SELECT type || ' ' || project_id AS event FROM events ORDER BY seq";
  return (await env.DB.prepare(sql).all<{ event: string }>()).results.map(({ event }) => event);
};

describe("the rules", () => {
  beforeEach(organization);

  test("an ended reason blocks none: neither its own, nor, where only some caps are looked at, that of a cap that is not", async () => {
    await project("mine");
    const ended =
      "INSERT INTO suspensions (project_id, reason, cap_type, since, until, actor) VALUES ('mine', 'quota:' || ?1, ?1, 1, 2, 'sweep')";
    for (const type of ["db_queries_per_day", "storage_uploads_per_day"]) await env.DB.prepare(ended).bind(type).run();
    await use("mine", "db_queries_per_day", CAP);
    await use("mine", "storage_uploads_per_day", CAP);
    expect((await sweep({ capTypes: ["db_queries_per_day"] })).details).toEqual([
      { project_id: "mine", exceeded: ["db_queries_per_day"], actions: ["lifted:db_queries_per_day", "suspended:db_queries_per_day"] },
    ]);
    const held = async () => (await get<{ reasons: { reason: string }[] }>("/api/projects/mine")).body.reasons.map(({ reason }) => reason);
    expect(await held()).toEqual(["quota:db_queries_per_day"]);
    await env.DB.prepare("UPDATE suspensions SET until = 3 WHERE lifted_at IS NULL").run();
    await sweep({ capTypes: ["storage_uploads_per_day"] });
    expect(await held()).toEqual(["quota:storage_uploads_per_day"]);
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

  test("just below a threshold is below it, whatever the size of the numbers", async () => {
    await project("huge", { db_queries_per_day: 999_999_999_999 });
    await use("huge", "db_queries_per_day", 799_999_999_999);
    expect((await sweep()).warnings_sent).toBe(0);
    await use("huge", "db_queries_per_day", 800_000_000_000);
    expect((await sweep()).warnings_sent).toBe(1);
  });

  test("a cap of 0 warns of nothing, and stops only who used something; no cap and no report stop nobody", async () => {
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

  test("each threshold is told once a day and revision of the cap, the highest when several are passed at once", async () => {
    await project("one");
    await use("one", "db_queries_per_day", 950);
    expect((await sweep()).details).toEqual([{ project_id: "one", exceeded: [], actions: ["warned:db_queries_per_day:90"] }]);
    expect((await sweep()).warnings_sent).toBe(0);
    const told = await env.DB.prepare("SELECT data FROM events").first<string>("data");
    expect(JSON.parse(told ?? "")).toEqual({
      project_id: "one",
      cap_type: "db_queries_per_day",
      used: 950,
      cap: CAP,
      threshold: 90,
      thresholds_reached: [80, 90],
      period: DAY,
      reset_at: "2031-05-15T00:00:00Z",
    });

    // A raise arms the thresholds above the present use only.
    await put("/api/projects/one/caps", { db_queries_per_day: 1_150 });
    expect((await sweep()).warnings_sent).toBe(0);
    await use("one", "db_queries_per_day", 1_035);
    expect((await sweep()).details).toMatchObject([{ actions: ["warned:db_queries_per_day:90"] }]);

    await setClock("2031-05-15T00:00:05Z");
    await use("one", "db_queries_per_day", 920, "2031-05-15");
    expect((await sweep()).details).toMatchObject([{ actions: ["warned:db_queries_per_day:80"] }]);
  });

  test("eight sweeps at one moment warn and suspend once", async () => {
    for (const id of ["a", "b", "c"]) await project(id);
    await use("a", "db_queries_per_day", 900);
    await use("b", "db_queries_per_day", CAP);
    const results = await Promise.all(Array.from({ length: 8 }, async () => sweep()));
    const sum = (pick: (page: SweptPage) => number) => results.map(pick).reduce((total, one) => total + one, 0);
    expect([sum(({ warnings_sent }) => warnings_sent), sum(({ projects_suspended }) => projects_suspended)]).toEqual([1, 1]);
    expect((await events()).toSorted()).toEqual(["project.suspended b", "quota.warning a"]);
  });

  test("only active projects are touched: one that is stopped already gets no other reason and no warning", async () => {
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

  test("a new day lifts the day's reasons, at once for requests, and on paper with the first sweep", async () => {
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

  test("a gauge's reason ends when its level is back at the cap, not with the day, and not because nobody reports any more", async () => {
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

  test("a suspension has said it all: back below the cap on the same day, nobody is warned of what was passed on the way up", async () => {
    await project("one");
    await use("one", GAUGE, 1.5 * CAP);
    await sweep();
    await use("one", GAUGE, 0.95 * CAP);
    expect((await sweep()).details).toEqual([{ project_id: "one", exceeded: [], actions: [`lifted:${GAUGE}`] }]);
    expect(await events()).toEqual(["project.suspended one", "project.reactivated one"]);
  });

  test("reasons of abuse and by hand stay, and the project with them; only then there is no event", async () => {
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

  test("who is over the cap again on the new day is stopped again by the same sweep", async () => {
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

  test("a raise of the cap reactivates before its answer returns", async () => {
    await project("one");
    await use("one", "db_queries_per_day", CAP);
    await sweep();
    const { body } = await put("/api/projects/one/caps", { db_queries_per_day: CAP + 1 });
    expect(body).toMatchObject({ status: "ACTIVE", reasons: [] });
    expect((await sweep()).details).toEqual([]);
  });
});
