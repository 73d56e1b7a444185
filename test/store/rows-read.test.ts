/** The rows read by requests do not grow with the history of a project or the number of others. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { byWith, enrichWith } from "../support/tenants/keys.ts";
import { makeOrganization, makeProject, rows, stop } from "../support/tenants/http.ts";
import type { MadeProject } from "../support/tenants/http.ts";
import { freshStart, isbns, post } from "../support/worker.ts";
import { getMetered, meteredDb } from "./support.ts";

const NOW = Date.parse("2031-05-14T14:03:11Z");
const NUMBERS = (count: number) => `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;

/** Maximum rows for a request of one row or one page. A scan of any table below reads thousands. */
const FEW = 80;

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org", { billing_anchor: "2001-01-01T00:00:00Z" });
});

describe("admission", () => {
  let made: MadeProject;

  beforeEach(async () => {
    await post("/api/enrich/batch-direct", { isbns: isbns(0, 1) });
    made = await makeProject("old");
    const end = `SELECT 'quota:db_queries_per_day', i, i + 1, 'job', i + 1, 'job'`;
    const lifted = `INSERT INTO suspensions (project_id, reason, since, until, actor, lifted_at, lifted_by) SELECT 'old', * FROM (${end} FROM n)`;
    const versions = `INSERT INTO api_key_versions (key_id, version, hash, expires_at, created_at)
      SELECT ?, i + 1, 'hash ' || i, 1, 1 FROM n`;
    const periods = `INSERT INTO billing_periods (organization_id, period_index, starts_at, ends_at, closed_at)
      SELECT 'org', i, i, i + 1, i + 1 FROM n`;
    await env.DB.batch([
      env.DB.prepare(`${NUMBERS(365)} ${lifted}`),
      env.DB.prepare(`${NUMBERS(365)} ${versions}`).bind(made.api_key.id),
      env.DB.prepare(`${NUMBERS(240)} ${periods}`),
    ]);
  });

  test("reads a bounded number of rows, regardless of past suspensions, rotations and billing periods", async () => {
    const { db, rowsRead } = meteredDb();
    expect((await enrichWith({ DB: db }, made.api_key.key, isbns(0, 1))).status).toBe(200);
    expect(rowsRead()).toBeLessThan(FEW);
  });

  test("for information about itself, too", async () => {
    const { status, rowsRead } = await getMetered("/api/projects/old", made.api_key.key);
    expect({ status, few: rowsRead < FEW ? "few" : rowsRead }).toEqual({ status: 200, few: "few" });
  });

  test("reports that a version expires although it is not the newest, and the open reasons", async () => {
    const { headers } = await byWith({}, made.api_key.key, "GET", "/api/authors/top");
    expect(headers.get("x-api-key-expires")).toBeNull();
    await rows("UPDATE api_key_versions SET expires_at = ? WHERE version = 1", NOW + 3_600_000);
    const again = await byWith({}, made.api_key.key, "GET", "/api/authors/top");
    expect(again.headers.get("x-api-key-expires")).toBe("2031-05-14T15:03:11Z");
    await stop("old", "abuse:ERROR_SPIKE");
    expect(await byWith({}, made.api_key.key, "GET", "/api/authors/top")).toMatchObject({
      status: 403,
      body: { reasons: [{ reason: "abuse:ERROR_SPIKE" }] },
    });
  });
});

describe("a list", () => {
  const few = async (path: string) => {
    const { status, rowsRead, body } = await getMetered(path);
    const [list] = Object.values(body);
    return {
      path,
      status,
      found: (list as unknown[]).length,
      read: rowsRead < 20 * FEW && rowsRead < FEW + 20 * (list as unknown[]).length,
    };
  };
  const cursor = (value: unknown): string => btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  beforeEach(async () => {
    await makeOrganization("small");
    for (const id of ["one", "two"]) await makeProject(id, { organization_id: "small" });
    const many = [
      `INSERT INTO projects (id, organization_id, name, changed_by, created_at, updated_at)
        SELECT 'p' || i, 'org', 'P', 'test', ${NOW} + i, 1 FROM n`,
      `INSERT INTO organizations (id, name, billing_anchor, changed_by, created_at, updated_at)
        SELECT 'o' || i, 'O', 0, 'test', ${NOW} + i, 1 FROM n`,
      `INSERT INTO audit_log (operation, at, actor, action, subject, project_id, before, after)
        SELECT 'op', 1, 'admin', 'test', 'project:p' || i, 'p' || i, 'null', 'null' FROM n`,
      `INSERT INTO suspensions (project_id, reason, since, actor, lifted_at) SELECT 'one', 'admin', i, 'admin', i FROM n`,
      `INSERT INTO evaluations (project_id, run, at, cap_type, period, revision, decision, dry_run)
        SELECT 'one', 'r' || i, i, 'db_queries_per_day', '2031-05-14', 1, 'warned', 0 FROM n`,
      `INSERT INTO events (id, type, project_id, data, created_at) SELECT 'e' || i, 'quota.warning', 'one', '{}', i FROM n`,
      `INSERT INTO abuse_detections (run, project_id, pattern, at, as_of, decision, why, evidence, enforce, inputs)
        SELECT 'r' || i, 'one', 'ERROR_SPIKE', i, i, 'normal', 'w', 'measured', 1, '{}' FROM n`,
      `INSERT INTO signals (source, key, status, project_id, metrics, enforce, started_at, received_at, outcome)
        SELECT iif(i = 3000, 'grafana', 'datadog'), i, 'firing', 'p' || i, '{}', 1, i, i, 'no_pattern' FROM n`,
      `INSERT INTO api_keys (id, project_id, name, mode, scopes, revoked_at, created_at)
        SELECT printf('k%09d', i), 'one', 'K', 'live', '[]', 1, i FROM n`,
      `INSERT INTO backups (id, project_id, export_type, status, job_id, requested_by, changed_by, created_at, updated_at)
        SELECT 'b' || i, 'one', 'full', CASE WHEN i % 400 = 0 THEN 'failed' ELSE 'verified' END, 'j', 'admin', 'test', i, i FROM n`,
    ];
    await env.DB.batch(many.map((sql) => env.DB.prepare(`${NUMBERS(4_000)} ${sql}`)));
    await stop("one", "admin");
    await stop("p7", "admin");
  });

  test.each([
    ["projects?organization_id=small", 2],
    ["projects?organization_id=small&status=ACTIVE", 1],
    ["projects?organization_id=small&status=SUSPENDED", 1],
    ["projects?status=SUSPENDED", 2],
    ["projects?status=ARCHIVED", 0],
    ["projects?status=DELETED", 0],
    ["projects?organization_id=small&status=DELETED", 0],
    ["projects?limit=10", 10],
    ["organizations?limit=10", 10],
    ["organizations?status=ACTIVE&limit=10", 10],
    ["organizations?status=ARCHIVED", 0],
    ["audit?limit=10", 10],
    ["audit?project_id=p5", 1],
    ["audit?subject=project:p5", 1],
    ["audit?project_id=p5&subject=project:p5", 1],
    ["projects/one/suspensions?limit=10", 10],
    ["projects/one/evaluations?limit=10", 10],
    ["projects/one/events?limit=10", 10],
    ["projects/one/keys?limit=10", 10],
    ["projects/one/detections?limit=10", 10],
    ["monitoring/signals?limit=10", 10],
    ["monitoring/signals?source=grafana", 1],
    ["monitoring/signals?project_id=p5", 1],
    ["monitoring/signals?project_id=p5&source=datadog", 1],
    ["projects/one/backups?limit=10", 10],
    ["projects/one/backups?status=failed&limit=10", 10],
    ["projects/two/backups", 0],
  ])("/api/%s reads few more rows than it returns", async (path, found) => {
    expect(await few(`/api/${path}`)).toEqual({ path: `/api/${path}`, status: 200, found, read: true });
  });

  test.each([
    ["projects", cursor([NOW + 20, "p20"])],
    ["organizations", cursor([NOW + 20, "o20"])],
    ["audit", cursor(20)],
    ["audit?project_id=p5", cursor(10_000)],
    ["projects/one/suspensions", cursor(20)],
    ["projects/one/evaluations", cursor(20)],
    ["projects/one/events", cursor(20)],
    ["projects/one/keys", cursor([20, "k000000020"])],
    ["projects/one/detections", cursor(20)],
    ["monitoring/signals", cursor(20)],
  ])("a late page of /api/%s does not start at the first", async (path, at) => {
    const address = `/api/${path}${path.includes("?") ? "&" : "?"}limit=5&cursor=${at}`;
    expect(await few(address)).toEqual({ path: address, status: 200, found: path.includes("?") ? 1 : 5, read: true });
  });
});
