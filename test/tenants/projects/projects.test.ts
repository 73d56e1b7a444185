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
  test("with a name only: an id, the default caps, no share, and a first key", async () => {
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

  test("with all fields", async () => {
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

  test("with a working key, which is returned only once", async () => {
    const { api_key } = await makeProject("mine", { key: { scopes: ["read", "admin"] } });
    expect(await get("/api/projects/mine", { token: api_key.key })).toMatchObject({ status: 200, body: { id: "mine" } });
    const responses = await Promise.all(
      ["", "/keys", `/keys/${api_key.id}`, "/usage"].map(async (path) => get(`/api/projects/mine${path}`)),
    );
    expect(JSON.stringify([responses, await audit()])).not.toContain(api_key.key.split("_")[3]);
  });

  test.each(["-", "_x", "__proto__", "constructor", "7", "x".repeat(64)])("under the id %j", async (id) => {
    await makeProject(id);
    expect(await readProject(id)).toMatchObject({ id, caps: DEFAULT_CAPS });
    expect((await get(`/api/projects/${id}/usage`)).body).toMatchObject({ project_id: id });
  });

  test.each([{ status: "ACTIVE" }, { status: "ARCHIVED" }, { status: "DELETED" }])(
    "but not under another project's id, even %j",
    async ({ status }) => {
      await makeProject("mine");
      if (status !== "ACTIVE") right(await remove(`/api/projects/mine?permanent=${String(status === "DELETED")}`));
      const before = await readProject("mine");
      const taken = await post("/api/projects", { id: "mine", organization_id: "org", name: "Other" });
      expect({ ...(refusal(taken) as Body), detail: taken.body["detail"] }).toEqual({
        status: 409,
        code: "conflict",
        detail: 'The project "mine" already exists.',
      });
      expect(await readProject("mine")).toEqual(before);
      expect(await rows("SELECT (SELECT count(*) FROM api_keys) AS keys, (SELECT count(*) FROM caps) AS caps")).toEqual([
        { keys: 1, caps: 4 },
      ]);
    },
  );

  test("but not for an archived or unknown organization: 422 names it, and no row is written", async () => {
    await makeOrganization("old");
    right(await remove("/api/organizations/old"));
    for (const [organization_id, why] of [
      ["old", "it is archived"],
      ["unknown", "it does not exist"],
    ]) {
      const { status, body } = await post("/api/projects", { organization_id, name: "Orphan" });
      expect({ status, code: body["code"], detail: body["detail"] }).toEqual({
        status: 422,
        code: "unprocessable",
        detail: `The organization "${organization_id}" cannot own a project, because ${why}.`,
      });
    }
    expect(await rows("SELECT id FROM projects UNION ALL SELECT id FROM api_keys")).toEqual([]);
    expect(await audited("project_id=orphan")).toEqual([]);
  });

  test("once, when many requests create the same id concurrently: one key, one row per cap, one audit entry", async () => {
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

describe("a project is changed", () => {
  beforeEach(async () => void (await makeProject("mine", { owner_id: "me", region: "weur", calls_per_day: 5 })));

  test("in the given fields only: null removes a value, and absent fields keep theirs", async () => {
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

  test("to its current values: no change and no audit entry", async () => {
    await setClock("2031-05-14T15:00:00Z");
    const same = [{}, { name: "Project mine" }, { owner_id: "me" }, { region: "weur" }, { status: "ACTIVE" }];
    for (const change of same) expect(right(await patch("/api/projects/mine", change))).toMatchObject({ updated_at: NOW });
    expect(right(await put("/api/projects/mine/upstream-share", { calls_per_day: 5 }))).toMatchObject({ updated_at: NOW });
    expect(await audited("subject=project:mine")).toEqual(["project.create project:mine"]);
  });

  test("archived and restored, idempotently", async () => {
    const first = right(await remove("/api/projects/mine"));
    expect(first).toMatchObject({ status: "ARCHIVED" });
    await setClock("2031-05-14T15:00:00Z");
    expect(right(await remove("/api/projects/mine"))).toEqual(first);
    expect(right(await patch("/api/projects/mine", { status: "ARCHIVED" }))).toEqual(first);
    expect(right(await patch("/api/projects/mine", { status: "ACTIVE" }))).toMatchObject({ status: "ACTIVE" });
    expect(await audited("subject=project:mine")).toEqual(["create", "archive", "restore"].map((what) => `project.${what} project:mine`));
  });

  test("is not restored in an archived organization", async () => {
    right(await remove("/api/projects/mine"));
    right(await remove("/api/organizations/org"));
    expect(refusal(await patch("/api/projects/mine", { status: "ACTIVE" }))).toEqual({ status: 422, code: "unprocessable" });
    expect(right(await patch("/api/projects/mine", { name: "Still" }))).toMatchObject({ status: "ARCHIVED", name: "Still" });
    right(await patch("/api/organizations/org", { status: "ACTIVE" }));
    expect(right(await patch("/api/projects/mine", { status: "ACTIVE" }))).toMatchObject({ status: "ACTIVE" });
  });

  test("deleted, it can still be read but not changed, and deleting is idempotent", async () => {
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

  test("an archived project is deleted too, and keeps its caps and history", async () => {
    right(await remove("/api/projects/mine"));
    expect(right(await remove("/api/projects/mine?permanent=true"))).toMatchObject({ status: "DELETED", caps: DEFAULT_CAPS });
  });
});

describe("twenty concurrent changes", () => {
  test("are each applied once or refused clearly, with consistent audit entries", async () => {
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
