import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { failTable, failWrites, healTable } from "../../library/support.ts";
import { callWith } from "../../routes/support.ts";
import { ADMIN_TOKEN, call, freshStart, get, post, put, quotaStatus, setClock } from "../../support/worker.ts";
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

test("every change of an organisation or project is noted: who, what, before and after", async () => {
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
    { name: "Organisation org", status: "ACTIVE", api_calls: 10 },
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
  // The first key is made with its project: one operation, two entries.
  expect(new Set((await audit()).map(({ operation }) => operation)).size).toBe(13);
});

test("a raise of caps that lifts reasons names those that held before and after, and a change that lifts none names none", async () => {
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

test("a project's key that manages keys is named as who did it", async () => {
  await makeOrganization("org");
  const { api_key } = await makeProject("mine", { key: { scopes: ["admin"] } });
  right(await post("/api/projects/mine/keys", { name: "Second" }, { token: api_key.key }));
  expect(await latest()).toMatchObject({ actor: `key:${api_key.id}`, action: "key.create", project_id: "mine", at: NOW });
});

test("what was refused, or changed nothing, is not noted", async () => {
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
  await post("/api/projects/mine/reactivate", { reason: "For nothing" });
  await call("GET", "/api/projects/mine");
  expect(await audited()).toEqual(before);
});

describe("the quota's operation", () => {
  const quota = ["admin", "quota:isbndb", null] as const;
  const is = (action: string, before: unknown, after: unknown) => [quota[0], action, quota[1], quota[2], before, after];
  const inForce = { daily_limit: 15_000, safety_buffer: 2_000, background_floor: 1_000, rate_per_second: 0, enforcement: "enforce" };

  test("is noted beside all other changes, as the ledger had it before and after", async () => {
    right(await put("/api/quota/settings", { daily_limit: 9_000, enforcement: "observe" }));
    right(await call("DELETE", "/api/quota/settings"));
    right(await put("/api/quota/usage", { used: 40 }));
    right(await put("/api/quota/usage", { used: 30 }));
    right(await post("/api/quota/reset"));
    const changed = { ...inForce, daily_limit: 9_000, enforcement: "observe" };
    expect(await noted()).toEqual([
      is("quota.settings.change", inForce, changed),
      is("quota.settings.restore", changed, { ...inForce, rate_per_second: 3 }),
      is("quota.usage.set", { used: 0 }, { used: 40 }),
      is("quota.usage.set", { used: 40 }, { used: 30 }),
      is("quota.usage.reset", { used: 30, untracked: 0, callers: [{ caller: "operator", used: 30 }] }, { used: 0 }),
    ]);
  });

  test("is the same in the quota's history, in the API's words", async () => {
    right(await put("/api/quota/settings", { safety_buffer: 1_000 }));
    const [noted_, told] = [await latest(), (await get<{ operations: Body[] }>("/api/quota/history?days=1")).body.operations[0]];
    expect(told).toEqual({
      at: NOW,
      action: "settings.change",
      actor: "admin",
      before: noted_?.before,
      after: { ...inForce, safety_buffer: 1_000 },
    });
  });

  test("of the last moment of a day is noted too", async () => {
    await setClock("2031-05-14T23:59:59.999Z");
    const lookedUpTomorrow = {
      getByName: (name: string) => {
        const stub = env.QUOTA_LEDGER.getByName(name);
        return {
          setUsage: async (...given: Parameters<typeof stub.setUsage>) => stub.setUsage(...given),
          history: async (days: number) => {
            await setClock("2031-05-15T00:00:00.001Z");
            return stub.history(days);
          },
        };
      },
    };
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const answer = await callWith({ QUOTA_LEDGER: lookedUpTomorrow }, "/api/quota/usage", { method: "PUT", headers, body: '{"used": 7}' });
    expect(answer.body).toMatchObject({ used: 7, date: "2031-05-14" });
    expect(await latest()).toMatchObject({ action: "quota.usage.set", after: { used: 7 } });
  });

  test("that was refused is not noted", async () => {
    expect((await put("/api/quota/settings", { daily_limit: 1 })).status).toBe(422);
    expect((await put("/api/quota/usage", { used: -1 })).status).toBe(400);
    expect((await put("/api/quota/usage", { used: 1 }, { token: null })).status).toBe(401);
    expect(await audit()).toEqual([]);
  });

  test("at one moment by many is noted once each, with its own before and after", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, async (_, n) => put("/api/quota/usage", { used: n + 1 })));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const entries = await audit();
    expect(entries.map(({ after }) => after?.["used"]).toSorted((a, b) => Number(a) - Number(b))).toEqual(answers.map((_, n) => n + 1));
    // The ledger decided one after the other: each began where another ended.
    const befores = entries.map(({ before }) => before?.["used"]);
    expect(new Set(befores).size).toBe(12);
    expect(befores).toContain(0);
  });

  test.each(["INSERT", "everything"])("goes on although the audit log cannot be written (%s), and the log says so", async (what) => {
    await (what === "INSERT" ? failWrites("audit_log") : failTable("audit_log"));
    const line = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json", "x-request-id": "find-me" };
    const body = JSON.stringify({ used: 70 });
    const answer = await callWith({}, "/api/quota/usage", { method: "PUT", headers, body });
    expect({ status: answer.status, used: answer.body["used"] }).toEqual({ status: 200, used: 70 });
    const logged = line.mock.calls.map(([text]) => JSON.parse(String(text)) as Body);
    expect(logged).toContainEqual(
      expect.objectContaining({
        message: "A change of the quota could not be copied into the audit log; the ledger's history has it",
        request_id: "find-me",
      }),
    );
    expect((await quotaStatus()).used).toBe(70);
    const { operations } = (await get<{ operations: Body[] }>("/api/quota/history?days=1")).body;
    expect(operations[0]).toMatchObject({ action: "usage.set", after: { used: 70 } });
  });

  test("does not wait for a database that hangs", async () => {
    const hanging = new Proxy(env.DB, {
      get: (target, name) =>
        name === "prepare"
          ? () => ({ bind: () => ({ run: async () => new Promise(() => undefined) }) })
          : ((Reflect.get(target, name) as CallableFunction).bind(target) as unknown),
    });
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const began = performance.now();
    const answer = await callWith({ DB: hanging }, "/api/quota/reset", {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    expect(answer.status).toBe(200);
    expect(performance.now() - began).toBeLessThan(4_000);
  });

  test("while the ledger is away: the switch that was turned is noted, with a before that nobody knows", async () => {
    const away = {
      getByName: () => {
        throw new Error("The ledger is away");
      },
    };
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const turn = async (enforcement: string) =>
      callWith({ QUOTA_LEDGER: away }, "/api/quota/settings", { method: "PUT", headers, body: JSON.stringify({ enforcement }) });
    expect(await turn("off")).toMatchObject({ status: 200, body: { applied_to: "switch" } });
    expect(await noted()).toEqual([is("quota.settings.switch", null, { enforcement: "off" })]);
    const refused = await callWith({ QUOTA_LEDGER: away }, "/api/quota/usage", { method: "PUT", headers, body: '{"used": 1}' });
    expect(refused.status).toBe(503);
    expect(await noted()).toHaveLength(1);
  });
});

describe("the audit log", () => {
  beforeEach(async () => {
    await makeOrganization("org");
    await makeProject("a");
    await makeProject("ab");
    right(await put("/api/quota/usage", { used: 1 }));
  });

  test("is asked for by project, by subject, and by both", async () => {
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

  test("is read page by page while changes go on, each entry once", async () => {
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

  test("holds no key, no hash and no secret", async () => {
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

  test("that does not answer is 503, never an empty one", async () => {
    await failTable("audit_log");
    expect(await get("/api/audit")).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
    await healTable("audit_log");
    expect(await audited()).toHaveLength(6);
  });
});
