import { beforeEach, describe, expect, test } from "vitest";
import { call, freshStart, get, post, put, setClock } from "../../support/worker.ts";
import {
  audit,
  audited,
  makeOrganization,
  makeProject,
  patch,
  readProject,
  refusal,
  remove,
  right,
  rows,
  stop,
} from "../../support/tenants/http.ts";
import type { Body } from "../../support/tenants/http.ts";

const NOW = "2031-05-14T14:03:11Z";
const DEFAULT_CAPS = {
  db_queries_per_day: 10_000,
  realtime_connections: 100,
  storage_uploads_per_day: 1_000,
  function_invocations_per_day: 5_000,
};

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
});

describe("a project is created", () => {
  test("with a name alone: an id, the default caps, no share, and a first key", async () => {
    const { status, headers, body } = await post("/api/projects", { organization_id: "org", name: "Reading list" });
    const project = body["project"] as Body;
    expect({ status, location: headers.get("location") }).toEqual({ status: 201, location: `/api/projects/${String(project["id"])}` });
    expect(project).toEqual({
      id: expect.stringMatching(/^proj_[0-9A-Za-z]{12}$/u),
      organization_id: "org",
      name: "Reading list",
      owner_id: null,
      region: null,
      status: "ACTIVE",
      reasons: [],
      caps: DEFAULT_CAPS,
      upstream_share: { calls_per_day: null, share_mode: "default" },
      created_at: NOW,
      updated_at: NOW,
      provisioning: {
        status: "pending",
        job_id: expect.stringMatching(/^provision_project-[0-9a-f]{40}$/u),
        steps: ["database", "auth", "realtime", "storage", "key"].map((step) => ({ step, status: "pending", at: null })),
        error: null,
      },
    });
    expect(body["api_key"]).toMatchObject({ name: "default", mode: "live", scopes: ["read", "enrich", "database"], expires_at: null });
    const { provisioning, ...ready } = await readProject(String(project["id"]));
    expect({ ...project, provisioning }).toEqual({ ...ready, provisioning: { ...(provisioning as Body), status: "done" } });
  });

  test("with all that was said", async () => {
    const more = {
      owner_id: "user-7",
      region: "weur",
      caps: { db_queries_per_day: null, realtime_connections: 0, storage_uploads_per_day: 1e12 },
      calls_per_day: 0,
      key: { name: "CI", mode: "test", scopes: ["read"], expires_at: "2032-01-01T00:00:00Z" },
    };
    const { project, api_key } = await makeProject("mine", more);
    expect(project).toMatchObject({
      owner_id: "user-7",
      region: "weur",
      caps: { ...DEFAULT_CAPS, ...more.caps },
      upstream_share: { calls_per_day: 0, share_mode: "fixed" },
    });
    expect(api_key).toMatchObject({ ...more.key, key: expect.stringMatching(/^qc_test_/u) });
  });

  test("with the key that works, and that is never shown again", async () => {
    const { api_key } = await makeProject("mine", { key: { scopes: ["read", "admin"] } });
    expect(await get("/api/projects/mine", { token: api_key.key })).toMatchObject({ status: 200, body: { id: "mine" } });
    const shown = await Promise.all(["", "/keys", `/keys/${api_key.id}`, "/usage"].map(async (path) => get(`/api/projects/mine${path}`)));
    expect(JSON.stringify([shown, await audit()])).not.toContain(api_key.key.split("_")[3]);
  });

  test.each(["-", "_x", "__proto__", "constructor", "7", "x".repeat(64)])("under the id %j", async (id) => {
    await makeProject(id);
    expect(await readProject(id)).toMatchObject({ id, caps: DEFAULT_CAPS });
    expect((await get(`/api/projects/${id}/usage`)).body).toMatchObject({ project_id: id });
  });

  test.each([{ status: "ACTIVE" }, { status: "ARCHIVED" }, { status: "DELETED" }])(
    "but not under the id of another, though that is %j",
    async ({ status }) => {
      await makeProject("mine");
      if (status !== "ACTIVE") right(await remove(`/api/projects/mine?permanent=${String(status === "DELETED")}`));
      const before = await readProject("mine");
      const taken = await post("/api/projects", { id: "mine", organization_id: "org", name: "Other" });
      expect({ ...(refusal(taken) as Body), detail: taken.body["detail"] }).toEqual({
        status: 409,
        code: "conflict",
        detail: 'The project "mine" exists already.',
      });
      expect(await readProject("mine")).toEqual(before);
      expect(await rows("SELECT (SELECT count(*) FROM api_keys) AS keys, (SELECT count(*) FROM caps) AS caps")).toEqual([
        { keys: 1, caps: 4 },
      ]);
    },
  );

  test("but not for an organisation that is archived or not there: 422 that names it, and nothing is written", async () => {
    await makeOrganization("old");
    right(await remove("/api/organizations/old"));
    for (const [organization_id, why] of [
      ["old", "it is archived"],
      ["nobody", "there is none"],
    ]) {
      const { status, body } = await post("/api/projects", { organization_id, name: "Orphan" });
      expect({ status, code: body["code"], detail: body["detail"] }).toEqual({
        status: 422,
        code: "unprocessable",
        detail: `organization_id: "${organization_id}" cannot own a project: ${why}.`,
      });
    }
    expect(await rows("SELECT id FROM projects UNION ALL SELECT id FROM api_keys")).toEqual([]);
    expect(await audited("project_id=orphan")).toEqual([]);
  });

  test("once, when many ask for the same id at one moment: one key, one row of each cap, one note", async () => {
    const ask = async (n: number) => post("/api/projects", { id: "mine", organization_id: "org", name: `N${n}` });
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, n) => ask(n)));
    const having = (status: number): number => answers.filter((answer) => answer.status === status).length;
    expect({ made: having(201), refused: having(409) }).toEqual({ made: 1, refused: 19 });
    expect(await rows("SELECT (SELECT count(*) FROM api_keys) AS keys, (SELECT count(*) FROM caps) AS caps")).toEqual([
      { keys: 1, caps: 4 },
    ]);
    expect(await audited("subject=project:mine")).toEqual(["project.create project:mine"]);
  });
});

describe("what is wrong is named", () => {
  const base = { organization_id: "org", name: "Right" };

  test.each([
    [{}, ["organization_id", "name"]],
    [{ ...base, organization_id: "a b" }, ["organization_id"]],
    [{ ...base, id: "a.b" }, ["id"]],
    [{ ...base, name: " " }, ["name"]],
    [{ ...base, owner_id: "" }, ["owner_id"]],
    [{ ...base, owner_id: "\uDC00" }, ["owner_id"]],
    [{ ...base, owner_id: "a\0b" }, ["owner_id"]],
    [{ ...base, owner_id: "x".repeat(201) }, ["owner_id"]],
    [{ ...base, owner_id: 7 }, ["owner_id"]],
    [{ ...base, region: "\n" }, ["region"]],
    [{ ...base, region: "eu-west" }, ["region"]],
    [{ ...base, caps: null }, ["caps"]],
    [{ ...base, caps: { realtime: 1 } }, ["caps.realtime"]],
    [{ ...base, caps: { db_queries_per_day: -1 } }, ["caps.db_queries_per_day"]],
    [{ ...base, caps: { db_queries_per_day: "unlimited" } }, ["caps.db_queries_per_day"]],
    [{ ...base, caps: { db_queries_per_day: 0.5, api_calls: 7 } }, ["caps.db_queries_per_day", "caps.api_calls"]],
    [{ ...base, calls_per_day: 100_000_001 }, ["calls_per_day"]],
    [{ ...base, calls_per_day: true }, ["calls_per_day"]],
    [{ ...base, key: { scopes: [] } }, ["key.scopes"]],
    [{ ...base, key: { scopes: ["read", "read"] } }, ["key.scopes"]],
    [{ ...base, key: { scopes: ["root"] } }, ["key.scopes.0"]],
    [{ ...base, key: { mode: "prod" } }, ["key.mode"]],
    [{ ...base, key: { expires_at: "tomorrow" } }, ["key.expires_at"]],
    [{ ...base, key: { secret: "x" } }, ["key.secret"]],
    [{ ...base, status: "ACTIVE", plan: 1 }, ["status", "plan"]],
  ])("%j: 400 for %j", async (body, paths) => {
    expect(refusal(await post("/api/projects", body))).toEqual({ status: 400, code: "invalid_request", paths });
    expect(await rows("SELECT id FROM projects")).toEqual([]);
  });

  test.each([
    ["PATCH", "", { name: null }, ["name"]],
    ["PATCH", "", { caps: {} }, ["caps"]],
    ["PATCH", "", { organization_id: "other" }, ["organization_id"]],
    ["PATCH", "", { status: "SUSPENDED" }, ["status"]],
    ["PATCH", "", { status: "DELETED" }, ["status"]],
    ["DELETE", "?permanent=yes", undefined, ["permanent"]],
    ["DELETE", "?permanent=TRUE", undefined, ["permanent"]],
    ["PUT", "/upstream-share", {}, ["calls_per_day"]],
    ["PUT", "/upstream-share", { calls_per_day: -1 }, ["calls_per_day"]],
    ["PUT", "/upstream-share", { calls_per_day: 5, share_mode: "unlimited" }, ["calls_per_day"]],
    ["PUT", "/upstream-share", { share_mode: "fixed" }, ["calls_per_day"]],
    ["PUT", "/upstream-share", { calls_per_day: 1, per: "day" }, ["per"]],
    ["POST", "/suspend", {}, ["reason"]],
    ["POST", "/suspend", { reason: " \t" }, ["reason"]],
    ["POST", "/suspend", { reason: "x".repeat(501) }, ["reason"]],
    ["POST", "/reactivate", { reason: "Paid", reasons: [] }, ["reasons"]],
    ["POST", "/reactivate", { reason: "Paid", reasons: "admin" }, ["reasons"]],
    ["POST", "/reactivate", { reasons: ["admin"] }, ["reason"]],
  ])("%s %s with %j: 400 for %j, and nothing is changed", async (method, path, body, paths) => {
    const { project } = await makeProject("mine");
    expect(refusal(await call(method, `/api/projects/mine${path}`, body))).toEqual({ status: 400, code: "invalid_request", paths });
    expect(await readProject("mine")).toEqual(project);
  });

  test.each([
    ["GET", ""],
    ["PATCH", "", { name: "New" }],
    ["DELETE", ""],
    ["PUT", "/caps", {}],
    ["PUT", "/upstream-share", { calls_per_day: 1 }],
    ["POST", "/suspend", { reason: "Test" }],
    ["POST", "/reactivate", { reason: "Test" }],
    ["GET", "/usage"],
    ["GET", "/evaluations"],
    ["GET", "/suspensions"],
    ["GET", "/keys"],
  ])("%s of a project that is not there%s: 404", async (method, path, body?: unknown) => {
    expect(refusal(await call(method, `/api/projects/nothing${path}`, body))).toEqual({ status: 404, code: "not_found" });
  });
});

describe("a project is changed", () => {
  beforeEach(async () => void (await makeProject("mine", { owner_id: "me", region: "weur", calls_per_day: 5 })));

  test("in what was said, and in nothing else; null takes away, and absent is as it was", async () => {
    await setClock("2031-05-14T15:00:00Z");
    expect(right(await patch("/api/projects/mine", { name: "New" }))).toMatchObject({ name: "New", owner_id: "me", region: "weur" });
    const taken = right(await patch("/api/projects/mine", { owner_id: null, region: null }));
    expect(taken).toMatchObject({ name: "New", owner_id: null, region: null, created_at: NOW, updated_at: "2031-05-14T15:00:00Z" });
    expect(right(await put("/api/projects/mine/upstream-share", { calls_per_day: 0 }))).toMatchObject({
      upstream_share: { calls_per_day: 0 },
    });
    expect(right(await put("/api/projects/mine/upstream-share", { share_mode: "unlimited" }))).toMatchObject({
      upstream_share: { calls_per_day: null, share_mode: "unlimited" },
    });
    expect(right(await put("/api/projects/mine/upstream-share", { calls_per_day: null }))).toEqual({
      ...taken,
      upstream_share: { calls_per_day: null, share_mode: "default" },
    });
  });

  test("to what it is already: nothing happens, and nothing is noted", async () => {
    await setClock("2031-05-14T15:00:00Z");
    const same = [{}, { name: "Project mine" }, { owner_id: "me" }, { region: "weur" }, { status: "ACTIVE" }];
    for (const change of same) expect(right(await patch("/api/projects/mine", change))).toMatchObject({ updated_at: NOW });
    expect(right(await put("/api/projects/mine/upstream-share", { calls_per_day: 5 }))).toMatchObject({ updated_at: NOW });
    expect(await audited("subject=project:mine")).toEqual(["project.create project:mine"]);
  });

  test("archived and brought back; twice answers the same", async () => {
    const first = right(await remove("/api/projects/mine"));
    expect(first).toMatchObject({ status: "ARCHIVED" });
    await setClock("2031-05-14T15:00:00Z");
    expect(right(await remove("/api/projects/mine"))).toEqual(first);
    expect(right(await patch("/api/projects/mine", { status: "ARCHIVED" }))).toEqual(first);
    expect(right(await patch("/api/projects/mine", { status: "ACTIVE" }))).toMatchObject({ status: "ACTIVE" });
    expect(await audited("subject=project:mine")).toEqual(["create", "archive", "restore"].map((what) => `project.${what} project:mine`));
  });

  test("is not brought back into an archived organisation", async () => {
    right(await remove("/api/projects/mine"));
    right(await remove("/api/organizations/org"));
    expect(refusal(await patch("/api/projects/mine", { status: "ACTIVE" }))).toEqual({ status: 422, code: "unprocessable" });
    expect(right(await patch("/api/projects/mine", { name: "Still" }))).toMatchObject({ status: "ARCHIVED", name: "Still" });
    right(await patch("/api/organizations/org", { status: "ACTIVE" }));
    expect(right(await patch("/api/projects/mine", { status: "ACTIVE" }))).toMatchObject({ status: "ACTIVE" });
  });

  test("deleted, it is still shown, and nothing changes it any more; deleting twice answers the same", async () => {
    await stop("mine", "abuse:ERROR_SPIKE");
    const first = right(await remove("/api/projects/mine?permanent=true"));
    expect(first).toMatchObject({ status: "DELETED" });
    expect(right(await remove("/api/projects/mine?permanent=true"))).toEqual(first);
    for (const [method, path, body] of [
      ["PATCH", "", { name: "New" }],
      ["PATCH", "", { status: "ACTIVE" }],
      ["DELETE", "", undefined],
      ["PUT", "/caps", { db_queries_per_day: 1 }],
      ["PUT", "/upstream-share", { calls_per_day: 1 }],
      ["POST", "/suspend", { reason: "Test" }],
      ["POST", "/reactivate", { reason: "Test" }],
      ["POST", "/keys", { name: "New" }],
    ] as const) {
      const answer = await call(method, `/api/projects/mine${path}`, body);
      expect({ path, ...(refusal(answer) as Body) }).toEqual({ path, status: 409, code: "conflict" });
    }
    expect(await readProject("mine")).toEqual(first);
    expect(await audited("subject=project:mine")).toEqual(["project.create project:mine", "project.delete project:mine"]);
  });

  test("an archived project is deleted too, and keeps its caps and past", async () => {
    right(await remove("/api/projects/mine"));
    expect(right(await remove("/api/projects/mine?permanent=true"))).toMatchObject({ status: "DELETED", caps: DEFAULT_CAPS });
  });
});

describe("twenty changes at one moment", () => {
  test("are each applied once or refused clearly, and the notes chain into one another", async () => {
    await makeProject("mine");
    const ask = async (n: number) =>
      n % 2 === 0 ? patch("/api/projects/mine", { name: `N${n}` }) : patch("/api/projects/mine", { owner_id: `r${n}` });
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, n) => ask(n)));
    const refused = answers.filter(({ status }) => status !== 200);
    for (const each of refused) {
      expect(refusal(each)).toEqual({ status: 409, code: "conflict" });
      expect(each.headers.get("retry-after")).toBe("1");
    }
    const entries = (await audit("subject=project:mine")).toReversed();
    expect(entries).toHaveLength(1 + answers.length - refused.length);
    const [created, ...changes] = entries;
    const { organization_id: _, caps: __, key_id: ___, ...first } = created?.after ?? {};
    let now: Body = first;
    for (const { action, before, after } of changes) {
      expect({ action, before }).toEqual({ action: "project.change", before: now });
      expect(Object.entries(after ?? {}).filter(([name, value]) => value !== now[name])).toHaveLength(1);
      now = after ?? {};
    }
    expect(await readProject("mine")).toMatchObject({ name: now["name"], owner_id: now["owner_id"] });
    expect(new Set(entries.map(({ operation }) => operation)).size).toBe(entries.length);
    expect(refused.length).toBeLessThan(10);
  });
});
