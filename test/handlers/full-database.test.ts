import { createScheduledController } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import worker from "../../worker/src/index.ts";
import { ended } from "../jobs/support.ts";
import type { Job } from "../jobs/support.ts";
import { fillDatabase } from "../support/full-database.ts";
import { enrichWith } from "../support/tenants/keys.ts";
import { makeOrganization, makeProject } from "../support/tenants/http.ts";
import { AFTERNOON, freshStart, get, isbns, setClock } from "../support/worker.ts";

beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

const DAY_MS = 24 * 60 * 60 * 1_000;
const NOW = Date.parse(AFTERNOON);
const prepare = env.DB.prepare.bind(env.DB);
const numberOf = async (sql: string): Promise<number> => (await prepare(sql).first<number>(sql.includes(" n FROM") ? "n" : "used")) ?? 0;
const countOf = async (table: string): Promise<number> => numberOf(`SELECT count(*) AS n FROM ${table}`);
const tick = async (cron: string, time: string): Promise<void> =>
  worker.scheduled(createScheduledController({ cron, scheduledTime: new Date(time) }), env);

/** Usage events and audit entries whose retention has ended, and one event of today. */
async function fillWithExpired(): Promise<void> {
  const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)";
  const insert = `INSERT INTO events (id, type, project_id, data, created_at, dispatched_at) SELECT 'e' || i, 'quota.warning', 'shop', '{}', ?, 1 FROM n`;
  await env.DB.batch([
    env.DB.prepare(`${numbers} ${insert}`).bind(NOW - 91 * DAY_MS),
    env.DB.prepare(
      "INSERT INTO events (id, type, project_id, data, created_at, dispatched_at) VALUES ('new', 'quota.warning', 'shop', '{}', ?, 1)",
    ).bind(NOW),
  ]);
}

describe("a full database", () => {
  test("is freed by the next tick without a job, and jobs start again", async () => {
    await makeOrganization("org");
    await makeProject("shop");
    await fillWithExpired();
    fillDatabase(async () => (await countOf("events")) > 5_000);
    await expect(tick("0 * * * *", "2031-05-14T14:00:00Z")).rejects.toThrow("The database is full.");
    expect(await countOf("jobs")).toBe(0);
    await tick("*/5 * * * *", "2031-05-14T14:05:00Z");
    expect(await numberOf("SELECT count(*) AS n FROM events WHERE id = 'new'")).toBe(1);
    expect(await countOf("events")).toBe(1);
    const { jobs } = (await get<{ jobs: Job[] }>("/api/jobs")).body;
    expect(jobs.map(({ type }) => type)).toEqual(["housekeeping"]);
    expect(await ended(jobs[0]?.id ?? "")).toMatchObject({ status: "completed" });
    await tick("0 * * * *", "2031-05-14T15:00:00Z");
  });

  test("that nothing can free fails the tick, and keeps everything that is not expired", async () => {
    await makeOrganization("org");
    await makeProject("shop");
    await env.DB.prepare("INSERT INTO events (id, type, project_id, data, created_at) VALUES ('new', 'quota.warning', 'shop', '{}', ?)")
      .bind(NOW)
      .run();
    fillDatabase(() => true);
    await expect(tick("*/5 * * * *", "2031-05-14T14:05:00Z")).rejects.toThrow("The database is full.");
    expect(await countOf("events")).toBe(1);
    expect(await countOf("projects")).toBe(1);
  });

  test("starts recorded jobs without an instance as soon as there is room", async () => {
    const JOBS = { create: async () => Promise.reject(new Error("internal error")) };
    const { jobs } = createDeps({ ...env, JOBS: JOBS as never }, () => Date.now());
    const { id } = await jobs.enqueueJob("harvest", {}, { requestedBy: "admin" });
    await fillWithExpired();
    await setClock("2031-05-14T14:05:00Z");
    fillDatabase(async () => (await countOf("events")) > 5_000);
    await tick("*/5 * * * *", "2031-05-14T14:05:00Z");
    expect(await ended(id)).toMatchObject({ status: "completed" });
  });

  test("answers 503 to projects and loses no count", async () => {
    await makeOrganization("org");
    const { api_key } = await makeProject("shop");
    const admissions = "SELECT coalesce(sum(used), 0) AS used FROM counters WHERE meter = 'function_invocations_per_day'";
    expect((await enrichWith({}, api_key.key, isbns(1, 1))).status).toBe(200);
    expect(await numberOf(admissions)).toBe(1);
    let full = true;
    fillDatabase(() => full);
    const refused = await enrichWith({}, api_key.key, isbns(1, 1));
    expect({ status: refused.status, body: refused.body }).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
    expect(refused.headers.get("retry-after")).toBe("5");
    expect(await numberOf(admissions)).toBe(1);
    full = false;
    expect((await enrichWith({}, api_key.key, isbns(1, 1))).status).toBe(200);
    expect(await numberOf(admissions)).toBe(2);
  });
});
