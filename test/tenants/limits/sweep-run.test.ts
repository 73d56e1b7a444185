import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { freshStart, get, setClock } from "../../support/worker.ts";
import { CAP, DAY, GAUGE, organization, project, use, sweep, statusOf } from "./support.ts";

beforeEach(async () => freshStart());

/** Rows of every table that a sweep may write. */
const written = async (): Promise<Record<string, unknown[]>> => {
  const tables = ["suspensions", "threshold_notices", "events", "counters", "gauges", "caps", "projects", "audit_log"];
  const rows = await env.DB.batch(tables.map((table) => env.DB.prepare(`SELECT * FROM ${table}`)));
  return Object.fromEntries(tables.map((table, index) => [table, rows[index]?.results ?? []]));
};

describe("a run", () => {
  beforeEach(organization);

  test("of selected projects or caps reads nothing else", async () => {
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

  test("that is dry writes only evaluations, and its plan equals the following real run", async () => {
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

  test("that repeats a page reports the same, and acts once", async () => {
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

  test("reports damaged projects, and processes the others", async () => {
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

  test("is explained by evaluations, with the inputs of each decision", async () => {
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
