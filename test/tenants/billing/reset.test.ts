import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import { resetPage } from "../../../worker/src/tenants/billing/reset.ts";
import { freshStart, get, post, setClock } from "../../support/worker.ts";
import { report } from "../../support/tenants/rows.ts";

beforeEach(async () => freshStart("2031-01-31T12:00:00Z"));

const deps = () => createDeps(env, () => Date.now());

interface Period {
  readonly index: number;
  readonly starts_at: string;
  readonly ends_at: string;
  readonly api_calls: number;
  readonly adjustments: number;
  readonly closed_at: string | null;
}

interface Organization {
  readonly period: { readonly index: number; readonly api_calls: number };
  readonly periods: Period[];
}

const organization = async (id: string, anchor: string): Promise<void> => {
  const { status } = await post("/api/organizations", { id, name: id, billing_anchor: anchor, quotas: { api_calls: 100 } });
  if (status !== 201) throw new Error(String(status));
};

const project = async (id: string, organizationId: string): Promise<void> => {
  await post("/api/projects", { id, organization_id: organizationId, name: id });
};

const read = async (id: string): Promise<Organization> => (await get<Organization>(`/api/organizations/${id}`)).body;
const periods = async (id: string): Promise<[string, string, boolean][]> =>
  (await read(id)).periods.map(({ starts_at, ends_at, closed_at }) => [starts_at, ends_at, closed_at !== null]);

let runs = 0;
const reset = async () => {
  runs += 1;
  const total = { organizations: 0, periods_closed: 0, suspensions_lifted: 0, errors: [] as unknown[] };
  for (let after = ""; ;) {
    const page = await resetPage(deps(), `run-${runs}`, after);
    if (page === null) return total;
    total.organizations += page.organizations;
    total.periods_closed += page.periods_closed;
    total.suspensions_lifted += page.suspensions_lifted;
    total.errors.push(...page.errors);
    after = page.last;
  }
};

const NOTHING = { organizations: 0, periods_closed: 0, suspensions_lifted: 0, errors: [] };

describe("the monthly reset", () => {
  test("does nothing before a period's end, and closes it at its end", async () => {
    await organization("org", "2031-01-31T00:00:00Z");
    await setClock("2031-02-27T23:59:59Z");
    expect(await reset()).toEqual(NOTHING);
    await setClock("2031-02-28T00:00:00Z");
    expect(await reset()).toEqual({ ...NOTHING, organizations: 1, periods_closed: 1 });
    expect(await periods("org")).toEqual([
      ["2031-02-28T00:00:00Z", "2031-03-31T00:00:00Z", false],
      ["2031-01-31T00:00:00Z", "2031-02-28T00:00:00Z", true],
    ]);
    // The next period exists too, so that no request has to create it.
    expect(await env.DB.prepare("SELECT max(period_index) AS latest FROM billing_periods").first<number>("latest")).toBe(2);
    expect(await reset()).toEqual(NOTHING);
  });

  test("creates three closed periods and the current one from the anchor after an outage of three months", async () => {
    await organization("org", "2031-01-31T00:00:00Z");
    await setClock("2031-05-01T06:00:00Z");
    expect(await reset()).toEqual({ ...NOTHING, organizations: 1, periods_closed: 3 });
    expect(await periods("org")).toEqual([
      ["2031-04-30T00:00:00Z", "2031-05-31T00:00:00Z", false],
      ["2031-03-31T00:00:00Z", "2031-04-30T00:00:00Z", true],
      ["2031-02-28T00:00:00Z", "2031-03-31T00:00:00Z", true],
      ["2031-01-31T00:00:00Z", "2031-02-28T00:00:00Z", true],
    ]);
    expect(await reset()).toEqual(NOTHING);
  });

  test("fills gaps between periods that requests created", async () => {
    await organization("org", "2031-01-31T00:00:00Z");
    await project("p", "org");
    await setClock("2031-06-15T00:00:00Z");
    await report([{ id: "1", project_id: "p", type: "api_calls", quantity: 7 }]);
    expect((await read("org")).period).toMatchObject({ index: 4, api_calls: 7 });
    expect(await reset()).toMatchObject({ periods_closed: 4 });
    expect((await read("org")).periods.map(({ index, api_calls }) => [index, api_calls])).toEqual([
      [4, 7],
      [3, 0],
      [2, 0],
      [1, 0],
      [0, 0],
    ]);
  });

  test("closes each period once when two resets run concurrently", async () => {
    for (const id of ["a", "b", "c"]) await organization(id, "2031-01-31T00:00:00Z");
    await setClock("2031-03-01T00:00:00Z");
    const closed = (await Promise.all([reset(), reset(), reset()])).map(({ periods_closed }) => periods_closed);
    expect(closed.reduce((sum, one) => sum + one, 0)).toBe(3);
  });

  test("turns later reports for a closed period into adjustments, so that its total never changes", async () => {
    await organization("org", "2031-01-31T00:00:00Z");
    await project("p", "org");
    await report([{ id: "in-time", project_id: "p", type: "api_calls", quantity: 5 }]);
    await setClock("2031-02-28T00:00:00Z");
    await reset();
    const late = { id: "late", project_id: "p", type: "api_calls", quantity: 3, occurred_at: "2031-02-27T23:59:59Z" };
    expect((await report([late])).late).toBe(1);
    expect((await read("org")).periods.map(({ api_calls, adjustments }) => [api_calls, adjustments])).toEqual([
      [0, 0],
      [5, 3],
    ]);
  });

  test("lifts ended daily reasons, and no others", async () => {
    await organization("org", "2031-01-31T00:00:00Z");
    for (const id of ["over", "still", "by-hand"]) await project(id, "org");
    const sql = "INSERT INTO suspensions (project_id, reason, cap_type, since, until, actor) VALUES (?, ?, ?, 1, ?, 'sweep')";
    const midnight = Date.parse("2031-02-28T00:00:00Z");
    const day = "quota:db_queries_per_day";
    await env.DB.batch([
      env.DB.prepare(sql).bind("over", day, "db_queries_per_day", midnight),
      env.DB.prepare(sql).bind("still", "quota:realtime_connections", "realtime_connections", null),
      env.DB.prepare(sql).bind("by-hand", day, "db_queries_per_day", midnight),
      env.DB.prepare(sql).bind("by-hand", "admin", null, null),
    ]);
    await setClock("2031-02-28T00:00:00Z");
    expect(await reset()).toMatchObject({ suspensions_lifted: 2 });
    const status = async (id: string) => (await get(`/api/projects/${id}`)).body["status"];
    expect([await status("over"), await status("still"), await status("by-hand")]).toEqual(["ACTIVE", "SUSPENDED", "SUSPENDED"]);
    const { results } = await env.DB.prepare("SELECT type, project_id FROM events").all();
    expect(results).toEqual([{ type: "project.reactivated", project_id: "over" }]);
  });

  test("reports a damaged organization and resets the others", async () => {
    for (const id of ["a", "b"]) await organization(id, "2031-01-31T00:00:00Z");
    await env.DB.prepare("UPDATE organizations SET billing_anchor = 'then' WHERE id = 'a'").run();
    await setClock("2031-03-01T00:00:00Z");
    expect(await reset()).toEqual({
      ...NOTHING,
      organizations: 1,
      periods_closed: 1,
      errors: [{ organization_id: "a", error: "its billing anchor is not a valid time" }],
    });
  });

  test("resets more organizations than fit in one page", async () => {
    const anchor = Date.parse("2031-01-31T00:00:00Z");
    const add = `INSERT INTO organizations (id, name, billing_anchor, changed_by, created_at, updated_at)
      SELECT 'org-' || value, value, ?1, 'test', ?1, ?1 FROM json_each(?2)`;
    const ids = JSON.stringify(Array.from({ length: 1_203 }, (_, index) => index));
    await env.DB.prepare(add).bind(anchor, ids).run();
    expect(await reset()).toMatchObject({ organizations: 1_203, periods_closed: 0 });
    await setClock("2031-03-01T00:00:00Z");
    expect(await reset()).toMatchObject({ organizations: 1_203, periods_closed: 1_203 });
    expect(await reset()).toEqual(NOTHING);
  });
});
