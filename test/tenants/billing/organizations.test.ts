import { beforeEach, describe, expect, test } from "vitest";
import { callWith } from "../../routes/support.ts";
import { ADMIN_TOKEN, call, freshStart, get, post, setClock } from "../../support/worker.ts";
import { audited, makeOrganization, makeProject, outrun, patch, refusal, remove, right, rows } from "../../support/tenants/http.ts";
import type { Body } from "../../support/tenants/http.ts";

const NOW = "2031-05-14T14:03:11Z";

beforeEach(async () => freshStart());

const one = async (id: string): Promise<Body> => right(await get(`/api/organizations/${id}`));

describe("an organization is created", () => {
  test("with all fields, and is found again", async () => {
    const given = { id: "acme", name: " Alexandria Readers ", billing_anchor: "2031-01-31T09:30:00Z", quotas: { api_calls: 100_000 } };
    const { status, headers, body } = await post("/api/organizations", given);
    expect({ status, location: headers.get("location") }).toEqual({ status: 201, location: "/api/organizations/acme" });
    expect(body).toEqual({
      id: "acme",
      name: "Alexandria Readers",
      status: "ACTIVE",
      billing_anchor: "2031-01-31T09:30:00Z",
      quotas: { api_calls: 100_000 },
      period: { index: 3, starts_at: "2031-04-30T09:30:00Z", ends_at: "2031-05-31T09:30:00Z", api_calls: 0 },
      created_at: NOW,
      updated_at: NOW,
    });
    const period = { ...(body["period"] as Body), adjustments: 0, closed_at: null };
    expect(await one("acme")).toEqual({ ...body, periods: [period] });
  });

  test("with a name only: an id is generated, the periods begin now, and no limit applies", async () => {
    const body = right(await post("/api/organizations", { name: "Bare" }));
    expect(body).toMatchObject({
      id: expect.stringMatching(/^org_[0-9A-Za-z]{12}$/u),
      billing_anchor: NOW,
      quotas: { api_calls: null },
      period: { index: 0, starts_at: NOW, ends_at: "2031-06-14T14:03:11Z", api_calls: 0 },
    });
  });

  test.each([
    [{ quotas: {} }, null],
    [{ quotas: { api_calls: null } }, null],
    [{ quotas: { api_calls: 0 } }, 0],
    [{ quotas: { api_calls: 1e12 } }, 1e12],
  ])("with %j: the allowance is %j", async (given, api_calls) => {
    expect(await makeOrganization("acme", given)).toMatchObject({ quotas: { api_calls } });
    expect(await one("acme")).toMatchObject({ quotas: { api_calls } });
  });

  test.each([
    ["1970-01-01T00:00:00Z", "2031-05-01T00:00:00Z"],
    ["2024-02-29T23:59:59Z", "2031-04-29T23:59:59Z"],
    ["2031-05-14T14:03:11.000Z", NOW],
    ["2030-12-31T23:59:59Z", "2031-04-30T23:59:59Z"],
  ])("anchored at %s, its period begins at %s", async (billing_anchor, starts_at) => {
    const body = await makeOrganization("acme", { billing_anchor });
    expect(body).toMatchObject({ billing_anchor: billing_anchor.replace(".000", ""), period: { starts_at } });
    expect(await rows("SELECT count(*) AS n, min(ends_at - starts_at > 27 * 86400000) AS whole FROM billing_periods")).toEqual([
      { n: 2, whole: 1 },
    ]);
    expect(await one("acme")).toMatchObject({ period: { starts_at }, periods: [{ starts_at }] });
  });

  test.each(["2031-05-14T14:03:12Z", "9999-12-31T23:59:59Z"])("not with a future anchor: %s", async (billing_anchor) => {
    const answer = await post("/api/organizations", { id: "acme", name: "Early", billing_anchor });
    expect(refusal(answer)).toEqual({ status: 422, code: "unprocessable", paths: ["billing_anchor"] });
    expect((await get("/api/organizations/acme")).status).toBe(404);
  });

  test.each(["a", "A-1_b", "_", "-", "__proto__", "constructor", "0", "x".repeat(64)])("under the id %j", async (id) => {
    expect(await makeOrganization(id)).toMatchObject({ id });
    expect(await one(id)).toMatchObject({ id, name: `Organization ${id}` });
    expect(refusal(await post("/api/organizations", { id, name: "Another" }))).toEqual({ status: 409, code: "conflict" });
    expect(await one(id)).toMatchObject({ name: `Organization ${id}` });
  });

  test("ids that differ in case are different", async () => {
    await makeOrganization("acme");
    expect((await post("/api/organizations", { id: "ACME", name: "Other" })).status).toBe(201);
  });

  test.each(["Ärzte & Söhne 'GmbH' \"%_\" 📚", "a\u200Dا", "👩‍👩‍👧", "x".repeat(200), "'; DROP TABLE organizations; --"])(
    "under the name %j",
    async (name) => {
      await makeOrganization("acme", { name });
      expect(await one("acme")).toMatchObject({ name });
    },
  );

  test("once, when many requests create the same id concurrently", async () => {
    const ask = async (n: number) =>
      post("/api/organizations", { id: "acme", name: `N${n}`, billing_anchor: `2030-0${(n % 9) + 1}-01T00:00:00Z` });
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, n) => ask(n)));
    const made = answers.filter(({ status }) => status === 201);
    expect({ made: made.length, refused: answers.filter(({ status }) => status === 409).length }).toEqual({ made: 1, refused: 19 });
    expect(await one("acme")).toMatchObject({ name: made[0]?.body["name"] });
    expect(await rows("SELECT count(*) AS n FROM billing_periods")).toEqual([{ n: 2 }]);
    expect(await audited()).toEqual(["organization.create organization:acme"]);
  });
});

describe("an invalid field is named", () => {
  const name = "Right";

  test.each([
    [{}, ["name"]],
    [{ name: "" }, ["name"]],
    [{ name: "  " }, ["name"]],
    [{ name: "\u200B" }, ["name"]],
    [{ name: "\u3000\u00A0" }, ["name"]],
    [{ name: "two\nlines" }, ["name"]],
    [{ name: "two\u2028lines" }, ["name"]],
    [{ name: "nul\0" }, ["name"]],
    [{ name: "\uD800" }, ["name"]],
    [{ name: "x".repeat(201) }, ["name"]],
    [{ name: null }, ["name"]],
    [{ name: 7 }, ["name"]],
    [{ name, id: "" }, ["id"]],
    [{ name, id: null }, ["id"]],
    [{ name, id: "a b" }, ["id"]],
    [{ name, id: "ä" }, ["id"]],
    [{ name, id: "a/b" }, ["id"]],
    [{ name, id: "a\n" }, ["id"]],
    [{ name, id: "x".repeat(65) }, ["id"]],
    [{ name, billing_anchor: null }, ["billing_anchor"]],
    [{ name, billing_anchor: "2031-01-01" }, ["billing_anchor"]],
    [{ name, billing_anchor: "2031-01-01T00:00:00+02:00" }, ["billing_anchor"]],
    [{ name, billing_anchor: "2031-01-01T00:00:00" }, ["billing_anchor"]],
    [{ name, billing_anchor: "2031-01-01T00:00:00.500Z" }, ["billing_anchor"]],
    [{ name, billing_anchor: "2031-02-29T00:00:00Z" }, ["billing_anchor"]],
    [{ name, billing_anchor: "2031-01-01T24:00:00Z" }, ["billing_anchor"]],
    [{ name, billing_anchor: "0050-01-31T00:00:00Z" }, ["billing_anchor"]],
    [{ name, billing_anchor: "1969-12-31T23:59:59Z" }, ["billing_anchor"]],
    [{ name, billing_anchor: "+010000-01-01T00:00:00Z" }, ["billing_anchor"]],
    [{ name, billing_anchor: 0 }, ["billing_anchor"]],
    [{ name, quotas: null }, ["quotas"]],
    [{ name, quotas: { api_calls: -1 } }, ["quotas.api_calls"]],
    [{ name, quotas: { api_calls: 1.5 } }, ["quotas.api_calls"]],
    [{ name, quotas: { api_calls: "7" } }, ["quotas.api_calls"]],
    [{ name, quotas: { api_calls: 1e12 + 1 } }, ["quotas.api_calls"]],
    [{ name, quotas: { api_cals: 7 } }, ["quotas.api_cals"]],
    [{ name, monthly: 7, plan: "gold" }, ["monthly", "plan"]],
  ])("%j: 400 for %j", async (body, paths) => {
    expect(refusal(await post("/api/organizations", body))).toEqual({ status: 400, code: "invalid_request", paths });
    expect(await rows("SELECT * FROM organizations")).toEqual([]);
  });

  test("an unknown field, with its value and a suggestion", async () => {
    const { body } = await post("/api/organizations", { name, quotas: { api_cals: 7 } });
    const message = "is not a known field. Did you mean `api_calls`?";
    expect(body["errors"]).toEqual([{ path: "quotas.api_cals", message, value: 7 }]);
    expect(body["detail"]).toBe("`quotas.api_cals` is not a known field (got 7). Did you mean `api_calls`?");
  });

  test("__proto__ is a field like any other", async () => {
    expect(refusal(await post("/api/organizations", '{"name": "Right", "__proto__": {"id": "x"}}'))).toMatchObject({ status: 400 });
  });

  test.each(["id", "name", "quotas", "unknown"])("a value nested a hundred thousand times in %s", async (member) => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const rest = member === "name" ? "" : ', "name": "Right"';
    expect(await post("/api/organizations", `{"${member}": ${deep}${rest}}`)).toMatchObject({
      status: 400,
      body: { code: "invalid_request" },
    });
  });
});

describe("an organization is changed", () => {
  beforeEach(async () => void (await makeOrganization("acme", { quotas: { api_calls: 10 } })));

  test("in the given fields only: null is unlimited, and absent fields keep their value", async () => {
    await setClock("2031-05-14T15:00:00Z");
    expect(right(await patch("/api/organizations/acme", { name: "New" }))).toMatchObject({
      name: "New",
      quotas: { api_calls: 10 },
      created_at: NOW,
      updated_at: "2031-05-14T15:00:00Z",
    });
    expect(right(await patch("/api/organizations/acme", { quotas: { api_calls: null } }))).toMatchObject({
      name: "New",
      quotas: { api_calls: null },
    });
    expect(right(await patch("/api/organizations/acme", { quotas: { api_calls: 0 } }))).toMatchObject({ quotas: { api_calls: 0 } });
  });

  test("to its current values: no change and no audit entry", async () => {
    await setClock("2031-05-14T15:00:00Z");
    for (const same of [{}, { name: "Organization acme" }, { quotas: { api_calls: 10 } }, { status: "ACTIVE" }]) {
      expect(right(await patch("/api/organizations/acme", same))).toMatchObject({ updated_at: NOW });
    }
    expect(await audited("subject=organization:acme")).toEqual(["organization.create organization:acme"]);
  });

  test.each([
    [{ name: null }, ["name"]],
    [{ quotas: {} }, ["quotas.api_calls"]],
    [{ quotas: null }, ["quotas"]],
    [{ billing_anchor: NOW }, ["billing_anchor"]],
    [{ id: "other" }, ["id"]],
    [{ status: "DELETED" }, ["status"]],
    [{ status: "active" }, ["status"]],
  ])("with %j: 400 for %j", async (body, paths) => {
    expect(refusal(await patch("/api/organizations/acme", body))).toEqual({ status: 400, code: "invalid_request", paths });
  });

  test("archived, it can be renamed and restored, and both are idempotent", async () => {
    const first = right(await remove("/api/organizations/acme"));
    expect(first).toMatchObject({ status: "ARCHIVED" });
    await setClock("2031-05-14T15:00:00Z");
    expect(right(await remove("/api/organizations/acme"))).toEqual(first);
    expect(right(await patch("/api/organizations/acme", { status: "ARCHIVED" }))).toEqual(first);
    expect(right(await patch("/api/organizations/acme", { name: "Late" }))).toMatchObject({ status: "ARCHIVED", name: "Late" });
    expect(right(await patch("/api/organizations/acme", { status: "ACTIVE", name: "Back" }))).toMatchObject({
      status: "ACTIVE",
      name: "Back",
    });
    expect(await audited("subject=organization:acme")).toEqual(
      ["create", "archive", "change", "restore"].map((what) => `organization.${what} organization:acme`),
    );
  });

  test("is archived only when no project is active, and the refusal has their number", async () => {
    await makeProject("p", { organization_id: "acme" });
    await makeProject("q", { organization_id: "acme" });
    const refused = await remove("/api/organizations/acme");
    expect(refusal(refused)).toEqual({ status: 409, code: "conflict" });
    expect(refused.body["detail"]).toBe("The organization has 2 active projects. Archive them first.");
    expect((await patch("/api/organizations/acme", { status: "ARCHIVED", name: "Half" })).status).toBe(409);
    right(await remove("/api/projects/p"));
    right(await post("/api/projects/q/suspend", { reason: "Test" }));
    expect((await remove("/api/organizations/acme")).body["detail"]).toBe("The organization has 1 active project. Archive it first.");
    right(await remove("/api/projects/q?permanent=true"));
    expect(right(await remove("/api/organizations/acme"))).toMatchObject({ status: "ARCHIVED", name: "Organization acme" });
  });

  test("is not archived if a project is created between the read and the write", async () => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const DB = outrun(async () => makeProject("late", { organization_id: "acme" }));
    const refused = await callWith({ DB }, "/api/organizations/acme", { method: "DELETE", headers });
    expect({ status: refused.status, detail: refused.body["detail"] }).toEqual({
      status: 409,
      detail: "The organization has 1 active project. Archive it first.",
    });
    expect(await one("acme")).toMatchObject({ status: "ACTIVE" });
    expect(await audited("subject=organization:acme")).toHaveLength(1);
  });

  test("and keeps the concurrent changes of other fields", async () => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const DB = outrun(async () => patch("/api/organizations/acme", { quotas: { api_calls: 77 } }));
    const answer = await callWith({ DB }, "/api/organizations/acme", { method: "PATCH", headers, body: '{"name": "New"}' });
    expect(answer).toMatchObject({ status: 200, body: { name: "New", quotas: { api_calls: 77 } } });
  });

  test("a project is never active in an archived organization, in either order of concurrent changes", async () => {
    for (let round = 0; round < 5; round += 1) {
      await makeOrganization(`o${round}`);
      const [archived, made] = await Promise.all([
        remove(`/api/organizations/o${round}`),
        post("/api/projects", { id: `p${round}`, organization_id: `o${round}`, name: "Race" }),
      ]);
      expect([
        [200, 422],
        [409, 201],
      ]).toContainEqual([archived.status, made.status]);
    }
  });

  test("lists usage by period, newest first, and at most twelve", async () => {
    await rows("UPDATE billing_periods SET api_calls = 7, adjustments = 2 WHERE period_index = 0");
    await setClock("2031-06-20T00:00:00Z");
    const body = await one("acme");
    expect(body).toMatchObject({ period: { index: 1, api_calls: 0 }, periods: [{ index: 1 }, { index: 0, api_calls: 7, adjustments: 2 }] });
    await rows(`INSERT INTO billing_periods (organization_id, period_index, starts_at, ends_at)
      SELECT 'acme', -value, -value * 1000, -value * 1000 + 1000 FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14]')`);
    expect((await one("acme"))["periods"]).toHaveLength(12);
  });
});

test.each(["nothing", "%27", "..", "a%20b", "x".repeat(65)])("of %j: 404 or 400, and never another organization", async (id) => {
  await makeOrganization("acme");
  const status = id === "nothing" ? 404 : id === ".." ? 404 : 400;
  expect((await get(`/api/organizations/${id}`)).status).toBe(status);
  expect((await call("PATCH", `/api/organizations/${id}`, { name: "New" })).status).toBe(status);
  expect((await remove(`/api/organizations/${id}`)).status).toBe(status);
});
