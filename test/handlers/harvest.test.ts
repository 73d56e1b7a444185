import { createScheduledController } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import worker from "../../worker/src/index.ts";
import { countRows, failTable, fault, healTable, requestsArrived, sent } from "../library/support.ts";
import { freshStart, get, isbns, post, put, quotaStatus, settings } from "../support/worker.ts";
import { ask, ended, pause, read, triesOf, until } from "../jobs/support.ts";
import type { Job } from "../jobs/support.ts";

beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());
const tick = async (cron: string, time: string): Promise<void> =>
  worker.scheduled(createScheduledController({ cron, scheduledTime: new Date(time) }), env);
const everyJob = async (): Promise<Job[]> => (await get<{ jobs: Job[] }>("/api/jobs?limit=100")).body.jobs;

describe("the harvest as a job", () => {
  const jobsOf = async (): Promise<Job[]> => (await everyJob()).filter(({ type }) => type === "harvest").toReversed();
  const all = async (): Promise<Job[]> => {
    let seen = -1;
    for (let jobs = await jobsOf(); jobs.length !== seen; jobs = await jobsOf()) {
      seen = jobs.length;
      for (const { id } of jobs) await ended(id);
    }
    return Promise.all((await jobsOf()).map(async ({ id }) => read(id)));
  };

  test("continues with a new job before D1 refuses statements, and processes each target once", async () => {
    const authors = Array.from({ length: 125 }, (_, n) => `Chained Author ${n}`);
    await post("/api/harvest/targets", { authors });
    await tick("*/30 * * * *", "2031-05-14T14:00:00Z");
    await all();
    const jobs: Job[] = [];
    let next = (await jobsOf()).find(({ requested_by }) => requested_by === "cron")?.id ?? null;
    while (next !== null) {
      const job = await read(next);
      jobs.push(job);
      next = (job.result as { next: string | null }).next;
    }
    const runs = jobs.map(({ result }) => (result as { run: { targets: number; calls: number; stopped: string } }).run);
    expect(runs.map(({ stopped }) => stopped)).toEqual(["enough_for_one_run", "enough_for_one_run", "nothing_due"]);
    expect(runs.slice(0, 2).every(({ calls }) => calls >= 50 && calls <= 75)).toBe(true);
    expect(runs.reduce((sum, { targets }) => sum + targets, 0)).toBe(125);
    expect(jobs.map(({ requested_by }) => requested_by)).toEqual(["cron", `job:${jobs[0]?.id}`, `job:${jobs[1]?.id}`]);
    expect(jobs.map(({ payload }) => payload)).toEqual([{}, { until: "2031-05-14T14:28:00.000Z" }, { until: "2031-05-14T14:28:00.000Z" }]);
    const pages = (await sent()).map(({ path }) => path);
    expect(new Set(pages).size).toBe(pages.length);
    expect(await quotaStatus()).toMatchObject({ used: pages.length, callers: [{ caller: "cron.harvest", used: pages.length }] });
  });

  test("passes on the requester and the trace", async () => {
    await post("/api/harvest/targets", { authors: Array.from({ length: 61 }, (_, n) => `Traced Author ${n}`) });
    const trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    await ask({ type: "harvest" }, { "x-request-id": "find-me", traceparent: `00-${trace_id}-00f067aa0ba902b7-01` });
    const about = { request_id: "find-me", trace_id };
    expect(await all()).toMatchObject([about, about]);
  });

  test("starts no further run shortly before the next scheduled time, or when the quota is exhausted", async () => {
    await post("/api/harvest/targets", { authors: Array.from({ length: 70 }, (_, n) => `Author ${n}`) });
    await tick("*/30 * * * *", "2031-05-14T13:35:00Z");
    expect((await all()).map(({ result }) => result)).toMatchObject([{ run: { stopped: "enough_for_one_run" }, next: null }]);
    await settings({ background_floor: 0 });
    await put("/api/quota/usage", { used: 13_000 });
    const { id } = (await ask({ type: "harvest" })).body;
    expect((await ended(id)).result).toMatchObject({ run: { stopped: "quota_exhausted" }, next: null });
  });

  test("that cannot start because the database is unavailable is retried", async () => {
    await post("/api/harvest/targets", { isbns: isbns(0, 3) });
    await failTable("harvest_runs");
    const { id } = (await ask({ type: "harvest" })).body;
    await until(id, ({ attempts }) => attempts[0]?.outcome === "failed");
    await healTable("harvest_runs");
    const job = await ended(id);
    expect(triesOf(job)).toEqual(["run 1 failed: storage_unavailable: The database did not answer.", "run 2 succeeded"]);
    expect(job.result).toMatchObject({ run: { id: `${id}.2`, targets: 3 } });
  });

  test("skips targets of a cancelled run while they stay reserved", async () => {
    await fault({ kind: "hang_after_billing", path: "/author/", hang_ms: 1_000 });
    await post("/api/harvest/targets", { authors: ["Reserved"] });
    const { id } = (await ask({ type: "harvest" })).body;
    await requestsArrived(1);
    expect((await post(`/api/jobs/${id}/cancel`)).status).toBe(200);
    const next = (await ask({ type: "harvest" })).body.id;
    expect(await ended(next)).toMatchObject({ result: { run: { targets: 0, stopped: "nothing_due" } } });
    await pause(1_200);
    expect(await sent()).toHaveLength(1);
    expect(await countRows("jobs")).toBe(2);
  });
});
