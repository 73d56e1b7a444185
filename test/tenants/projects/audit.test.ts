import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { failTable, healTable } from "../../library/support.ts";
import { ADMIN_TOKEN, call, freshStart, get, post, put } from "../../support/worker.ts";
import {
  allPages,
  audit,
  audited,
  count,
  makeOrganization,
  makeProject,
  patch,
  remove,
  right,
  rows,
  stop,
} from "../../support/tenants/http.ts";
import type { Body, Entry } from "../../support/tenants/http.ts";

const NOW = "2031-05-14T14:03:11Z";

beforeEach(async () => {
  await freshStart();
  await rows("DELETE FROM audit_log");
});
afterEach(() => void vi.restoreAllMocks());

const latest = async (query = ""): Promise<Entry | undefined> => (await audit(query))[0];
const noted = async (): Promise<unknown[]> =>
  (await audit())
    .toReversed()
    .map(({ actor, action, subject, project_id, before, after }) => [actor, action, subject, project_id, before, after]);

test("every change of an organization or project is recorded: actor, action, before and after", async () => {
  await makeOrganization("org", { quotas: { api_calls: 10 } });
  right(await patch("/api/organizations/org", { name: "New", quotas: { api_calls: null } }));
  const { api_key } = await makeProject("mine", {
    calls_per_day: 5,
    key: { name: "web", mode: "test", scopes: ["read"], expires_at: "2031-06-01T00:00:00Z" },
  });
  right(await patch("/api/projects/mine", { owner_id: "me" }));
  right(await put("/api/projects/mine/caps", { db_queries_per_day: 7, realtime_connections: 100 }));
  right(await put("/api/projects/mine/upstream-share", { calls_per_day: null }));
  right(await post("/api/projects/mine/suspend", { reason: "Overdue" }));
  right(await post("/api/projects/mine/reactivate", { reason: "Paid" }));
  right(await remove("/api/projects/mine"));
  right(await patch("/api/projects/mine", { status: "ACTIVE" }));
  right(await remove("/api/projects/mine?permanent=true"));
  right(await remove("/api/organizations/org"));
  right(await patch("/api/organizations/org", { status: "ACTIVE" }));

  const [first, renamed] = [
    { name: "Organization org", status: "ACTIVE", api_calls: 10 },
    { name: "New", status: "ACTIVE", api_calls: null },
  ];
  const made = { name: "Project mine", owner_id: null, region: null, lifecycle: "ACTIVE", calls_per_day: 5, share_mode: "fixed" };
  const caps = {
    db_queries_per_day: 10_000,
    realtime_connections: 100,
    storage_uploads_per_day: 1_000,
    function_invocations_per_day: 5_000,
  };
  const owned = { ...made, owner_id: "me" };
  const free = { ...owned, calls_per_day: null, share_mode: "default" };
  const [ofOrg, ofMine] = [["organization:org", null] as const, ["project:mine", "mine"] as const];
  expect(await noted()).toEqual([
    ["admin", "organization.create", ...ofOrg, null, { ...first, billing_anchor: NOW }],
    ["admin", "organization.change", ...ofOrg, first, renamed],
    ["admin", "project.create", ...ofMine, null, { ...made, organization_id: "org", caps, key_id: api_key.id }],
    [
      "admin",
      "key.create",
      `key:${api_key.id}`,
      "mine",
      null,
      { name: "web", mode: "test", scopes: ["read"], expires_at: "2031-06-01T00:00:00Z" },
    ],
    ["admin", "project.change", ...ofMine, made, owned],
    ["admin", "project.caps", ...ofMine, { db_queries_per_day: 10_000 }, { db_queries_per_day: 7 }],
    ["admin", "project.change", ...ofMine, owned, free],
    ["admin", "project.suspend", ...ofMine, { reasons: [] }, { reasons: ["admin"], detail: "Overdue" }],
    ["admin", "project.reactivate", ...ofMine, { reasons: ["admin"] }, { reasons: [], detail: "Paid" }],
    ["admin", "project.archive", ...ofMine, free, { ...free, lifecycle: "ARCHIVED" }],
    ["admin", "project.restore", ...ofMine, { ...free, lifecycle: "ARCHIVED" }, free],
    ["admin", "project.delete", ...ofMine, free, { ...free, lifecycle: "DELETED" }],
    ["admin", "organization.archive", ...ofOrg, renamed, { ...renamed, status: "ARCHIVED" }],
    ["admin", "organization.restore", ...ofOrg, { ...renamed, status: "ARCHIVED" }, renamed],
  ]);
  // The first key is created with its project: one operation, two entries.
  expect(new Set((await audit()).map(({ operation }) => operation)).size).toBe(13);
});

test("a raise of caps that lifts reasons has those before and after, and a change that lifts none has none", async () => {
  await makeOrganization("org");
  await makeProject("mine");
  const caps = async (body: Body) => right(await put("/api/projects/mine/caps", body));
  const until = Date.parse("2031-05-15T00:00:00Z");
  await stop("mine", "abuse:ERROR_SPIKE");
  await stop("mine", "quota:db_queries_per_day", until);
  await stop("mine", "quota:storage_uploads_per_day", until);
  await stop("mine", "quota:function_invocations_per_day", Date.parse(NOW));
  await count("mine", "db_queries_per_day", 10_000);
  await caps({ db_queries_per_day: 10_000, function_invocations_per_day: 9_000 });
  await caps({ db_queries_per_day: 9_999 });
  await caps({ db_queries_per_day: 20_000, storage_uploads_per_day: null, realtime_connections: null });
  await caps({ storage_uploads_per_day: 5 });
  const [abuse, queries, uploads] = ["abuse:ERROR_SPIKE", "quota:db_queries_per_day", "quota:storage_uploads_per_day"];
  const changes = (await audit("subject=project:mine")).filter(({ action }) => action === "project.caps").toReversed();
  expect(changes.map(({ before, after }) => [before, after])).toEqual([
    [{ function_invocations_per_day: 5_000 }, { function_invocations_per_day: 9_000 }],
    [{ db_queries_per_day: 10_000 }, { db_queries_per_day: 9_999 }],
    [
      { db_queries_per_day: 9_999, storage_uploads_per_day: 1_000, realtime_connections: 100, reasons: [abuse, queries, uploads] },
      { db_queries_per_day: 20_000, storage_uploads_per_day: null, realtime_connections: null, reasons: [abuse] },
    ],
    [{ storage_uploads_per_day: null }, { storage_uploads_per_day: 5 }],
  ]);
});

test("a project's key is recorded as the actor of its changes", async () => {
  await makeOrganization("org");
  const { api_key } = await makeProject("mine", { key: { scopes: ["admin"] } });
  right(await post("/api/projects/mine/keys", { name: "Second" }, { token: api_key.key }));
  expect(await latest()).toMatchObject({ actor: `key:${api_key.id}`, action: "key.create", project_id: "mine", at: NOW });
});

test("refused requests and those without a change are not recorded", async () => {
  await makeOrganization("org");
  await makeProject("mine");
  const before = await audited();
  await post("/api/organizations", { id: "org", name: "Twice" });
  await post("/api/projects", { id: "mine", organization_id: "org", name: "Twice" });
  await post("/api/projects", { id: "orphan", organization_id: "nobody", name: "Orphan" });
  await remove("/api/organizations/org");
  await patch("/api/projects/mine", { name: "" });
  await patch("/api/projects/mine", { name: "Project mine" });
  await put("/api/projects/mine/caps", {});
  await post("/api/projects/mine/reactivate", { reason: "A free request" });
  await call("GET", "/api/projects/mine");
  expect(await audited()).toEqual(before);
});

describe("the audit log", () => {
  beforeEach(async () => {
    await makeOrganization("org");
    await makeProject("a");
    await makeProject("ab");
    right(await put("/api/quota/usage", { used: 1 }));
  });

  test("is filtered by project, by subject, and by both", async () => {
    const key = right(await post("/api/projects/a/keys", { name: "Second" }));
    const first = expect.stringMatching(/^key\.create key:\w{10}$/u) as unknown;
    expect(await audited("project_id=a")).toEqual(["project.create project:a", first, `key.create key:${String(key["id"])}`]);
    expect(await audited("subject=project:ab")).toEqual(["project.create project:ab"]);
    expect(await audited("subject=organization:org")).toEqual(["organization.create organization:org"]);
    expect(await audited("subject=quota:isbndb")).toEqual(["quota.usage.set quota:isbndb"]);
    expect(await audited(`project_id=a&subject=key:${String(key["id"])}`)).toHaveLength(1);
    expect(await audited("project_id=a&subject=project:ab")).toEqual([]);
    expect(await audited("subject=project:%25")).toEqual([]);
    expect(await audited("project_id=A")).toEqual([]);
  });

  test("is read page by page while new entries arrive, each entry once", async () => {
    await env.DB.prepare(
      `INSERT INTO audit_log (operation, at, actor, action, subject, before, after)
       SELECT 'op-' || value, 0, 'test', 'test', 'test', 'null', '{}' FROM json_each(?)`,
    )
      .bind(JSON.stringify(Array.from({ length: 250 }, (_, n) => n)))
      .run();
    const { found } = await allPages(
      "/api/audit?limit=60",
      (body) => body["entries"] as Entry[],
      async (page) => makeProject(`new${page}`).then(() => undefined),
    );
    expect(found.map(({ operation }) => operation).slice(0, 250)).toEqual(Array.from({ length: 250 }, (_, n) => `op-${249 - n}`));
    expect(found).toHaveLength(256);
  });

  test("contains no key, no hash and no secret", async () => {
    const { api_key } = await makeProject("keys", { key: { scopes: ["admin", "read"] } });
    const rotated = right(await post<{ key: string; id: string }>(`/api/projects/keys/keys/${api_key.id}/rotate`, {}));
    const second = right(await post<{ key: string; id: string }>("/api/projects/keys/keys", { name: "Second" }, { token: api_key.key }));
    right(await remove(`/api/projects/keys/keys/${second.id}`));
    await count("keys", "db_queries_per_day", 1);
    const all = JSON.stringify([await audit(), await rows("SELECT * FROM audit_log")]);
    const hashes = (await rows("SELECT hash FROM api_key_versions")).map(({ hash }) => String(hash));
    expect(hashes.length).toBeGreaterThan(4);
    const secrets = [api_key.key, rotated.key, second.key].map((key) => key.split("_")[3] ?? "none");
    for (const secret of [...secrets, ...hashes, ADMIN_TOKEN, env.KEY_PEPPER, env.ISBNDB_API_KEY]) expect(all).not.toContain(secret);
  });

  test("that does not answer is 503, never empty", async () => {
    await failTable("audit_log");
    expect(await get("/api/audit")).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
    await healTable("audit_log");
    expect(await audited()).toHaveLength(6);
  });
});
