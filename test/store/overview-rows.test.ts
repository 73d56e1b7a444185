/** The rows read for the dashboard and monitoring do not grow with projects or their history. */
import { env } from "cloudflare:workers";
import { beforeAll, expect, test } from "vitest";
import { unfinishedJobs } from "../../worker/src/store/jobs/jobs.ts";
import { latestRuns, storedCounts } from "../../worker/src/store/monitoring/metrics.ts";
import { listCapsNearlyReached, listSuspendedProjects } from "../../worker/src/store/projects/overview.ts";
import { usageOfProjects } from "../../worker/src/store/limits/usage.ts";
import { freshStart } from "../support/worker.ts";
import { makeOrganization } from "../support/tenants/http.ts";
import { meteredDb } from "./support.ts";

const DAY = "2031-05-14";
const NOW = Date.parse("2031-05-14T14:03:11Z");
const PROJECTS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)";

beforeAll(async () => {
  await freshStart();
  await makeOrganization("org");
  const fill = (sql: string) => env.DB.prepare(sql.replace(" SELECT ", ` ${PROJECTS} SELECT `));
  await env.DB.batch([
    fill(
      "INSERT INTO projects (id, organization_id, name, changed_by, created_at, updated_at) SELECT 'p' || i, 'org', 'P' || i, 'test', i, i FROM n",
    ),
    fill("INSERT INTO caps (project_id, cap_type, value, updated_at) SELECT 'p' || i, 'db_queries_per_day', 100, i FROM n"),
    fill(`INSERT INTO counters (project_id, meter, day, used) SELECT 'p' || i, 'db_queries_per_day', '${DAY}', 95 FROM n`),
    fill(
      "INSERT INTO suspensions (project_id, reason, since, actor, lifted_at, lifted_by) SELECT 'p' || i, 'admin', 1, 'admin', 2, 'admin' FROM n",
    ),
    fill(`INSERT INTO jobs (id, type, status, payload, requested_by, root_id, run, max_tries, result, created_at, ended_at, updated_at)
       SELECT 'j' || i, iif(i % 2 = 0, 'check_usage_limits', 'reset_quotas'), 'completed', '{"enforce_limits":true}', 'cron', 'j' || i, 1, 3, '{}', i, i, i FROM n`),
    env.DB.prepare(`INSERT INTO threshold_notices (project_id, cap_type, period, threshold, revision, at, sent)
      VALUES ('p7', 'db_queries_per_day', '${DAY}', 90, 1, 1, 1)`),
    env.DB.prepare("INSERT INTO suspensions (project_id, reason, since, actor) VALUES ('p8', 'admin', 1, 'admin')"),
  ]);
});

const FEW = 80;

test.each<[string, (db: D1Database) => Promise<unknown>, unknown]>([
  [
    "projects close to a cap",
    async (db) => listCapsNearlyReached(db, { day: DAY, now: NOW, percent: 80, limit: 5 }),
    [{ id: "p7", name: "P7", cap_type: "db_queries_per_day", used: 95, cap: 100 }],
  ],
  [
    "suspended projects",
    async (db) => listSuspendedProjects(db, NOW, 5),
    { count: 1, latest: [{ id: "p8", name: "P8", reason: "admin", since: 1 }] },
  ],
  ["jobs in progress", async (db) => unfinishedJobs(db, 5), []],
  ["a page's usage", async (db) => (await usageOfProjects(db, ["p1", "p2"], DAY)).length, 8],
  [
    "the last runs",
    async (db) => latestRuns(db),
    {
      reset_quotas: { succeeded: { started_at: 1_999, ended_at: 1_999, result: "{}" }, failed: null },
      check_usage_limits: { succeeded: { started_at: 2_000, ended_at: 2_000, result: "{}" }, failed: null },
    },
  ],
])("%s are found by few rows", async (_, read, expected) => {
  const { db, rowsRead } = meteredDb();
  expect(await read(db)).toEqual(expected);
  expect(rowsRead()).toBeLessThan(FEW);
});

test("counting jobs reads one index entry per stored job, and nothing else", async () => {
  const { db, rowsRead } = meteredDb();
  expect((await storedCounts(db)).jobs.map(({ count }) => count)).toEqual([1_000, 1_000]);
  expect(rowsRead()).toBeLessThan(2_100);
});
