import { beforeAll, describe, expect, test } from "vitest";
import { call, freshStart, post } from "../../support/worker.ts";
import { makeOrganization, makeProject, readProject, refusal, rows } from "../../support/tenants/http.ts";
import type { ShownProject } from "../../support/tenants/http.ts";

// No request below changes anything.
async function begin(): Promise<void> {
  await freshStart();
  await makeOrganization("org");
}

describe("errors name the wrong field", () => {
  beforeAll(begin);

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
});

describe("of an existing project, errors name the wrong field", () => {
  let project: ShownProject;
  beforeAll(async () => {
    await begin();
    ({ project } = await makeProject("mine"));
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
    ["PUT", "/upstream-share", { calls_per_day: 5, share_mode: "unlimited" }, ["calls_per_day"]],
    ["PUT", "/upstream-share", { share_mode: "fixed" }, ["calls_per_day"]],
    ["PUT", "/upstream-share", { calls_per_day: -1 }, ["calls_per_day"]],
    ["PUT", "/upstream-share", { calls_per_day: 1, per: "day" }, ["per"]],
    ["POST", "/suspend", {}, ["reason"]],
    ["POST", "/suspend", { reason: " \t" }, ["reason"]],
    ["POST", "/suspend", { reason: "x".repeat(501) }, ["reason"]],
    ["POST", "/reactivate", { reason: "Paid", reasons: [] }, ["reasons"]],
    ["POST", "/reactivate", { reason: "Paid", reasons: "admin" }, ["reasons"]],
    ["POST", "/reactivate", { reasons: ["admin"] }, ["reason"]],
  ])("%s %s with %j: 400 for %j, and nothing is changed", async (method, path, body, paths) => {
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
  ])("%s of an unknown project%s: 404", async (method, path, body?: unknown) => {
    expect(refusal(await call(method, `/api/projects/nothing${path}`, body))).toEqual({ status: 404, code: "not_found" });
  });
});
