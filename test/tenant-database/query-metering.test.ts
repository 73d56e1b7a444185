import { beforeEach, describe, expect, test, vi } from "vitest";
import { TenantDatabase } from "../../worker/src/index.ts";
import { freshStart, put } from "../support/worker.ts";
import { makeOrganization, makeProject, right } from "../support/tenants/http.ts";
import { counters, periods } from "../support/tenants/rows.ts";
import { objectOf, query } from "./support.ts";

let key: string;

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  key = (await makeProject("shop")).api_key.key;
});

describe("metering of queries", () => {
  const used = async () => ({
    queries: (await counters())["shop db_queries_per_day 2031-05-14"] ?? 0,
    calls: Object.values(await periods()).reduce((sum, [calls]) => sum + calls, 0),
  });

  test.each([
    ["SELECT 1", 200, 1],
    ["SELECT * FROM nowhere", 422, 1],
    ["SELECT 1; SELECT 2", 422, 0],
    ["", 400, 0],
  ])("%j has status %i, and counts as %i", async (sql, status, counted) => {
    expect((await query(sql, {}, key)).status).toBe(status);
    await expect.poll(used).toEqual({ queries: counted, calls: counted });
  });

  test("a write that is refused by read_only or during a backup does not count", async () => {
    expect((await query("CREATE TABLE t(x)", { read_only: true }, key)).status).toBe(422);
    await objectOf("shop").freeze("dump");
    const answer = await query("CREATE TABLE t(x)", {}, key);
    expect({ status: answer.status, code: answer.body.code, retry: answer.headers.get("retry-after") }).toEqual({
      status: 503,
      code: "database_busy",
      retry: "5",
    });
    await expect.poll(used).toEqual({ queries: 0, calls: 0 });
    expect((await query("SELECT 1", {}, key)).status).toBe(200);
  });

  test("a statement without an answer stays counted, because it may have run", async () => {
    vi.spyOn(TenantDatabase.prototype, "query").mockRejectedValue(new Error("unreachable"));
    const { status, body } = await query("SELECT 1", {}, key);
    vi.restoreAllMocks();
    expect({ status, code: body.code, counted: body["counted"] }).toEqual({ status: 503, code: "storage_unavailable", counted: true });
    expect(JSON.stringify(body)).not.toContain("unreachable");
    expect(await used()).toEqual({ queries: 1, calls: 1 });
  });

  test("a query of another project's database is 404, and does not count", async () => {
    const other = (await makeProject("other")).api_key.key;
    expect((await query("SELECT 1", {}, other)).status).toBe(404);
    await expect.poll(counters).toEqual({ "other db_queries_per_day 2031-05-14": 0 });
  });

  test("queries of the administrator do not count", async () => {
    await query("SELECT 1");
    expect(await used()).toEqual({ queries: 0, calls: 0 });
  });

  test("queries above the cap are refused", async () => {
    right(await put("/api/projects/shop/caps", { db_queries_per_day: 1 }));
    expect((await query("SELECT 1", {}, key)).status).toBe(200);
    expect((await query("SELECT 1", {}, key)).body.code).toBe("cap_exceeded");
  });
});
