import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { findProject } from "../../../worker/src/store/projects/projects.ts";
import { suspend as storeSuspension } from "../../../worker/src/store/suspension/suspensions.ts";
import { freshStart, get, post, put, setClock } from "../../support/worker.ts";
import type { Answer } from "../../support/worker.ts";
import {
  allPages,
  audit,
  audited,
  makeOrganization,
  makeProject,
  patch,
  readProject,
  refusal,
  remove,
  right,
  stop,
} from "../../support/tenants/http.ts";
import type { Body, ShownProject } from "../../support/tenants/http.ts";

const NOW = "2031-05-14T14:03:11Z";
const MIDNIGHT = Date.parse("2031-05-15T00:00:00Z");

let key: string;

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  key = (await makeProject("mine")).api_key.key;
});

const suspend = async (reason = "Invoice 4711 is overdue"): Promise<Answer<ShownProject>> =>
  post<ShownProject>("/api/projects/mine/suspend", { reason });
const reactivate = async (reasons?: string[]): Promise<Answer<ShownProject>> =>
  post<ShownProject>("/api/projects/mine/reactivate", { reason: "Paid", ...(reasons ? { reasons } : {}) });
const use = async (): Promise<Answer> => get("/api/authors/top", { token: key });
const reasons = ({ body }: Answer<ShownProject>): string[] => body.reasons.map(({ reason }) => reason);
const past = async (): Promise<Body[]> => right(await get<{ suspensions: Body[] }>("/api/projects/mine/suspensions")).suspensions;

describe("manually", () => {
  test("a project is refused from its next request on, with the reason, until it is reactivated", async () => {
    expect((await use()).status).toBe(200);
    const reason = { reason: "admin", detail: "Invoice 4711 is overdue", since: NOW };
    expect(right(await suspend())).toMatchObject({ status: "SUSPENDED", reasons: [reason] });
    expect(await use()).toMatchObject({ status: 403, body: { code: "project_suspended", reasons: [reason] } });
    expect(right(await reactivate())).toMatchObject({ status: "ACTIVE", reasons: [] });
    expect((await use()).status).toBe(200);
  });

  test("is idempotent: the first start and reason stay, and no further entry is written", async () => {
    const first = right(await suspend());
    await setClock("2031-05-14T15:00:00Z");
    expect(right(await suspend("Another"))).toEqual(first);
    const again = right(await reactivate());
    await setClock("2031-05-14T16:00:00Z");
    expect(right(await reactivate())).toEqual(again);
    expect(await audited("subject=project:mine")).toEqual(
      ["create", "suspend", "reactivate"].map((what) => `project.${what} project:mine`),
    );
  });

  test("by ten concurrent requests happens once", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, async (_, n) => suspend(`N${n}`)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
    expect(await past()).toHaveLength(1);
    expect(await audited("subject=project:mine")).toHaveLength(2);
  });

  test("can be repeated after it was lifted, and the history remains readable", async () => {
    await suspend("First");
    await setClock("2031-05-14T15:00:00Z");
    await reactivate();
    await setClock("2031-05-14T16:00:00Z");
    await suspend("Second");
    expect(await past()).toEqual([
      { reason: "admin", detail: "Second", since: "2031-05-14T16:00:00Z", holds: true, actor: "admin", lifted_at: null, lifted_by: null },
      {
        reason: "admin",
        detail: "First",
        since: NOW,
        holds: false,
        actor: "admin",
        lifted_at: "2031-05-14T15:00:00Z",
        lifted_by: "admin",
      },
    ]);
  });

  test("is added to the other reasons", async () => {
    await stop("mine", "abuse:ERROR_SPIKE");
    await stop("mine", "quota:db_queries_per_day", MIDNIGHT);
    expect(reasons(await suspend()).toSorted()).toEqual(["abuse:ERROR_SPIKE", "admin", "quota:db_queries_per_day"]);
    const [entry] = await audit("project_id=mine");
    expect(entry).toMatchObject({
      actor: "admin",
      action: "project.suspend",
      before: { reasons: ["abuse:ERROR_SPIKE", "quota:db_queries_per_day"] },
      after: { reasons: ["abuse:ERROR_SPIKE", "quota:db_queries_per_day", "admin"], detail: "Invoice 4711 is overdue" },
    });
  });

  test("shows its detail to the project, as the API's description says", async () => {
    const { body } = await get("/openapi.json");
    const paths = body["paths"] as Record<string, unknown>;
    expect(JSON.stringify(paths["/api/projects/{id}/suspend"])).toContain("shown to the project");
  });

  test("is not lifted by a change of the status, whose error names the right request", async () => {
    await suspend();
    const answer = await patch("/api/projects/mine", { status: "ACTIVE", name: "New" });
    expect(refusal(answer)).toEqual({ status: 409, code: "conflict" });
    expect(answer.body["detail"]).toContain("POST /api/projects/mine/reactivate");
    expect(await readProject("mine")).toMatchObject({ status: "SUSPENDED", name: "Project mine" });
    expect(right(await patch("/api/projects/mine", { name: "New" }))).toMatchObject({ status: "SUSPENDED", name: "New" });
  });

  test("of an archived project is refused", async () => {
    right(await remove("/api/projects/mine"));
    expect(refusal(await suspend())).toEqual({ status: 409, code: "conflict" });
    expect(await past()).toEqual([]);
  });
});

describe("reactivating", () => {
  beforeEach(async () => {
    for (const reason of ["abuse:ERROR_SPIKE", "admin", "quota:db_queries_per_day"]) await stop("mine", reason);
  });

  test("lifts all reasons, or only the given ones", async () => {
    expect(reasons(await reactivate(["admin"]))).toEqual(["abuse:ERROR_SPIKE", "quota:db_queries_per_day"]);
    expect(reasons(await reactivate(["abuse:ERROR_SPIKE", "abuse:NEVER_SEEN"]))).toEqual(["quota:db_queries_per_day"]);
    expect(await reactivate()).toMatchObject({ body: { status: "ACTIVE", reasons: [] } });
    expect((await audit("project_id=mine")).slice(0, 3).map(({ before, after }) => [before, after])).toEqual([
      [{ reasons: ["quota:db_queries_per_day"] }, { reasons: [], detail: "Paid" }],
      [{ reasons: ["abuse:ERROR_SPIKE", "quota:db_queries_per_day"] }, { reasons: ["quota:db_queries_per_day"], detail: "Paid" }],
      [
        { reasons: ["abuse:ERROR_SPIKE", "admin", "quota:db_queries_per_day"] },
        { reasons: ["abuse:ERROR_SPIKE", "quota:db_queries_per_day"], detail: "Paid" },
      ],
    ]);
  });

  test("a reason that is not open changes nothing, and is not recorded", async () => {
    expect(reasons(await reactivate(["quota:storage_uploads_per_day"]))).toHaveLength(3);
    expect(await audited("subject=project:mine")).toHaveLength(1);
  });

  test("an unknown reason is refused by name", async () => {
    const { status, body } = await post<{ errors: { path: string }[] }>("/api/projects/mine/reactivate", {
      reason: "Paid",
      reasons: ["ADMIN"],
    });
    expect({ status, paths: body.errors.map(({ path }) => path) }).toEqual({ status: 400, paths: ["reasons.0"] });
  });

  test("does not affect other projects", async () => {
    await makeProject("other");
    await stop("other", "admin");
    right(await reactivate());
    expect(await readProject("other")).toMatchObject({ status: "SUSPENDED" });
  });
});

describe("a reason with an end", () => {
  test("ends automatically at its end, not a millisecond before", async () => {
    await stop("mine", "quota:db_queries_per_day", MIDNIGHT);
    await setClock("2031-05-14T23:59:59.999Z");
    expect(await readProject("mine")).toMatchObject({ status: "SUSPENDED", reasons: [{ until: "2031-05-15T00:00:00Z" }] });
    expect((await use()).status).toBe(403);
    await setClock("2031-05-15T00:00:00Z");
    expect(await readProject("mine")).toMatchObject({ status: "ACTIVE", reasons: [] });
    expect((await use()).status).toBe(200);
    expect(await past()).toMatchObject([{ holds: false, lifted_at: null, until: "2031-05-15T00:00:00Z" }]);
  });

  test("that has ended is not lifted, neither manually nor by a cap", async () => {
    await stop("mine", "quota:db_queries_per_day", MIDNIGHT);
    await stop("mine", "admin");
    await setClock("2031-05-15T00:00:00Z");
    right(await put("/api/projects/mine/caps", { db_queries_per_day: null }));
    right(await reactivate(["admin", "quota:db_queries_per_day"]));
    expect(await past()).toMatchObject([
      { reason: "admin", lifted_by: "admin" },
      { reason: "quota:db_queries_per_day", holds: false, lifted_by: null },
    ]);
  });

  test("that has ended is replaced by the next of its name, and stays without an actor", async () => {
    await stop("mine", "abuse:ERROR_SPIKE", MIDNIGHT);
    const again = async (id: string) => {
      const project = await findProject(env.DB, "mine", Date.now());
      const note = { action: "project.suspend", subject: "project:mine", projectId: "mine", before: null, after: { id } };
      const reason = { reason: "abuse:ERROR_SPIKE", capType: null, detail: id, until: null };
      return project && storeSuspension(env.DB, project, reason, { id, actor: "job:abuse", now: Date.now() }, note);
    };
    expect(await again("while it is open")).toBe(false);
    await setClock("2031-05-15T00:00:00Z");
    expect(await again("first")).toBe(true);
    expect(await again("second")).toBe(false);
    expect(await readProject("mine")).toMatchObject({ status: "SUSPENDED", reasons: [{ detail: "first", since: "2031-05-15T00:00:00Z" }] });
    expect(await past()).toMatchObject([
      { detail: "first", holds: true, lifted_at: null, lifted_by: null },
      { until: "2031-05-15T00:00:00Z", holds: false, lifted_at: null, lifted_by: null },
    ]);
    expect((await audit("subject=project:mine")).map(({ after }) => after?.["id"])).toEqual(["first", undefined]);
    const { events } = right(await get<{ events: Body[] }>("/api/projects/mine/events"));
    expect(events.map(({ type }) => type)).toEqual(["project.suspended"]);
  });

  test("is returned with its cap, and without missing fields", async () => {
    await stop("mine", "quota:db_queries_per_day", MIDNIGHT);
    expect((await readProject("mine")).reasons).toEqual([
      { reason: "quota:db_queries_per_day", cap_type: "db_queries_per_day", since: NOW, until: "2031-05-15T00:00:00Z" },
    ]);
  });
});

test("a project's history is read page by page, and each reason once", async () => {
  await env.DB.prepare(
    `INSERT INTO suspensions (project_id, reason, since, actor, lifted_at, lifted_by)
     SELECT 'mine', 'abuse:' || value, 1, 'job', 2, 'admin' FROM json_each(?)`,
  )
    .bind(JSON.stringify(Array.from({ length: 123 }, (_, n) => n)))
    .run();
  const { found, pages } = await allPages("/api/projects/mine/suspensions", (body) => body["suspensions"] as { reason: string }[]);
  expect(pages).toBe(3);
  expect(found.map(({ reason }) => reason)).toEqual(Array.from({ length: 123 }, (_, n) => `abuse:${122 - n}`));
});
