import { createScheduledController } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import { HANDLERS } from "../../worker/src/handlers/index.ts";
import worker from "../../worker/src/index.ts";
import { JOBS } from "../../worker/src/jobs/catalog.ts";
import { SCHEDULES } from "../../worker/src/jobs/schedule.ts";
import { failWrites, fault, healWrites } from "../library/support.ts";
import { callWith } from "../routes/support.ts";
import { ADMIN_TOKEN, AFTERNOON, freshStart, get, post, quotaStatus, setClock, simulator } from "../support/worker.ts";
import { ask, ended, handledBy, read, triesOf, until } from "../jobs/support.ts";
import type { Job } from "../jobs/support.ts";

const real = { ...HANDLERS };
beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

const later = (ms: number): string => new Date(Date.parse(AFTERNOON) + ms).toISOString();
const DAY_MS = 24 * 60 * 60 * 1_000;
const runHousekeeping = async (payload: Record<string, unknown> = {}): Promise<Job> => {
  vi.restoreAllMocks();
  return ended((await ask({ payload })).body.id);
};
const tick = async (cron: string, time: string): Promise<void> =>
  worker.scheduled(createScheduledController({ cron, scheduledTime: new Date(time) }), env);
const everyJob = async (): Promise<Job[]> => (await get<{ jobs: Job[] }>("/api/jobs?limit=100")).body.jobs;

describe("the relay", () => {
  test("does not touch sleeping jobs or new jobs", async () => {
    const sleeping = (await ask({ type: "harvest", delay_seconds: 3_600 })).body.id;
    await setClock(later(10 * 60_000));
    const recent = (await ask({ type: "harvest", delay_seconds: 3_600 })).body.id;
    expect((await runHousekeeping()).result).toMatchObject({ relayed: { looked_at: 1, started: 0, ended: 0, woken: 0 } });
    expect((await runHousekeeping()).result).toMatchObject({ relayed: { looked_at: 0 } });
    await setClock(later(15 * 60_000));
    expect((await runHousekeeping()).result).toMatchObject({ relayed: { looked_at: 2 } });
    expect([(await read(sleeping)).status, (await read(recent)).status]).toEqual(["scheduled", "scheduled"]);
  });

  test("fails a started job whose instance has disappeared", async () => {
    handledBy(async (_, job) => {
      await job.step("first", async () => undefined);
      await job.sleepUntil("long", Date.now() + 3_600_000);
      return { success: true };
    });
    const { id } = (await ask()).body;
    await until(id, ({ status }) => status === "waiting");
    await env.JOBS.deleteBatch([id]);
    await setClock(later(61_000));
    expect((await runHousekeeping()).result).toMatchObject({ relayed: { looked_at: 1, ended: 1 } });
    expect(await read(id)).toMatchObject({ status: "failed", error: "The instance has disappeared." });
  });

  test("records that the instance was stopped by an operator", async () => {
    const { id } = (await ask({ type: "harvest", delay_seconds: 3_600 })).body;
    await (await env.JOBS.get(id)).terminate();
    await setClock(later(61_000));
    await runHousekeeping();
    expect(await read(id)).toMatchObject({ status: "cancelled" });
  });

  test("continues with the other jobs if one instance cannot be read", async () => {
    const ids = [(await ask({ type: "harvest", delay_seconds: 60 })).body.id, (await ask({ type: "harvest", delay_seconds: 60 })).body.id];
    for (const id of ids) await (await env.JOBS.get(id)).terminate();
    await setClock(later(61_000));
    const get = vi.fn<(id: string) => Promise<WorkflowInstance>>(async (id) => {
      if (id === ids[0]) throw new Error("internal error");
      return env.JOBS.get(id);
    });
    const { relay } = createDeps({ ...env, JOBS: { get } as never }, () => Date.now());
    expect(await relay.relay()).toEqual({ looked_at: 2, started: 0, ended: 1, woken: 0 });
    expect((await everyJob()).map(({ status }) => status).toSorted()).toEqual(["cancelled", "scheduled"]);
  });

  test("shows a job as in the index if its instance cannot be read", async () => {
    const { id } = (await ask({ type: "harvest", delay_seconds: 3_600 })).body;
    await setClock(later(61_000));
    const get = async (): Promise<never> => Promise.reject(new Error("internal error"));
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    expect(await callWith({ JOBS: { get } }, `/api/jobs/${id}`, { headers })).toMatchObject({ status: 200, body: { status: "scheduled" } });
  });
});

describe("a wake-up after a restart", () => {
  test("resumes sleeping jobs, repeats no effect, and does not touch jobs with later activity", async () => {
    const effects = vi.fn<(what: string) => void>();
    handledBy(async (payload, job) => {
      if (payload.restarted_at !== undefined) return real.housekeeping(payload, job);
      await job.step("first", async () => effects("first"));
      await job.sleepUntil("a while", Date.parse(AFTERNOON) + 1_500);
      await job.step("second", async () => effects("second"));
      return { success: true };
    });
    const { id } = (await ask()).body;
    await until(id, ({ status }) => status === "waiting");
    await setClock(later(1_000));
    const restarted = (await ask({ payload: { restarted_at: later(500) } })).body.id;
    expect((await ended(restarted)).result).toMatchObject({ woken: 1 });
    const again = (await ask({ payload: { restarted_at: later(500) } })).body.id;
    expect((await ended(again)).result).toMatchObject({ woken: 0 });
    expect(triesOf(await ended(id))).toEqual(["first 1 succeeded", "second 1 succeeded"]);
    expect(effects.mock.calls).toEqual([["first"], ["second"]]);
    const before = (await ask({ payload: { restarted_at: AFTERNOON } })).body.id;
    expect((await ended(before)).result).toMatchObject({ woken: 0 });
  });

  test("resumes an instance whose pause was interrupted", async () => {
    handledBy(async (payload, job) => {
      if (payload.restarted_at !== undefined) return real.housekeeping(payload, job);
      await job.sleepUntil("a while", Date.parse(AFTERNOON) + 1_000);
      return { success: true };
    });
    const { id } = (await ask()).body;
    await until(id, ({ status }) => status === "waiting");
    await (await env.JOBS.get(id)).pause();
    await expect.poll(async () => (await (await env.JOBS.get(id)).status()).status).toBe("paused");
    await setClock(later(1_000));
    await ended((await ask({ payload: { restarted_at: later(500) } })).body.id);
    expect(await ended(id)).toMatchObject({ status: "completed" });
  });
});

describe("retention", () => {
  test("deletes an expired job with its attempts, by status and type", async () => {
    const end = async (type: "harvest" | "housekeeping", status: string): Promise<string> => {
      const { id } = (await ask({ type, delay_seconds: 3_600 })).body;
      await post(`/api/jobs/${id}/cancel`);
      await env.DB.prepare("UPDATE jobs SET status = ? WHERE id = ?").bind(status, id).run();
      await env.DB.prepare("INSERT INTO job_attempts (job_id, step, nth, attempt) VALUES (?, 'work', 1, 1)").bind(id).run();
      return id;
    };
    const ended = {
      done: await end("harvest", "completed"),
      failed: await end("harvest", "failed"),
      cancelled: await end("harvest", "cancelled"),
      swept: await end("housekeeping", "completed"),
    };
    const keptAfter = async (ms: number): Promise<string[]> => {
      await setClock(later(ms));
      await runHousekeeping();
      const ids = new Set((await everyJob()).map(({ id }) => id));
      return Object.entries(ended).flatMap(([name, id]) => (ids.has(id) ? [name] : []));
    };
    expect(JOBS.harvest.keptDays).toEqual({ completed: 7, failed: 30, cancelled: 7 });
    expect(await keptAfter(DAY_MS)).toEqual(["done", "failed", "cancelled", "swept"]);
    expect(await keptAfter(DAY_MS + 1)).toEqual(["done", "failed", "cancelled"]);
    expect(await keptAfter(7 * DAY_MS + 1)).toEqual(["failed"]);
    expect(await keptAfter(30 * DAY_MS + 1)).toEqual([]);
    expect(await env.DB.prepare("SELECT count(*) AS n FROM job_attempts WHERE step = 'work'").first("n")).toBe(0);
  });

  test("frees the id, so the same key creates a new job", async () => {
    handledBy(async () => ({ success: true }));
    const { id } = (await ask({ idempotency_key: "k" })).body;
    await ended(id);
    await setClock(later(2 * DAY_MS));
    expect((await runHousekeeping()).result).toMatchObject({ removed: { jobs: 1 } });
    handledBy(async () => ({ success: true, data: "second" }));
    expect((await ask({ idempotency_key: "k" })).body).toMatchObject({ id, status: "queued" });
    expect(await ended(id)).toMatchObject({ result: "second" });
  });

  test("deletes a backlog in batches, even if the platform does not delete its instances", async () => {
    const fill = async (count: number): Promise<void> => {
      const sql = `INSERT INTO jobs (id, type, status, payload, requested_by, root_id, run, max_tries, created_at, ended_at, updated_at)
        SELECT 'old-' || value, 'harvest', 'completed', '{}', 'admin', 'x', 1, 1, 0, 0, 0 FROM json_each(?)`;
      await env.DB.prepare(sql)
        .bind(JSON.stringify(Array.from({ length: count }, (_, n) => n)))
        .run();
    };
    await fill(120);
    expect((await runHousekeeping()).result).toMatchObject({ removed: { jobs: 120 } });
    await fill(150);
    const deleteBatch = async (): Promise<never> => Promise.reject(new Error("internal error"));
    const { relay } = createDeps({ ...env, JOBS: { deleteBatch } as never }, () => Date.now());
    expect(await relay.removeExpired()).toEqual({ removed: 100, more: true });
    expect(await relay.removeExpired()).toEqual({ removed: 50, more: false });
    expect(await relay.removeExpired()).toEqual({ removed: 0, more: false });
  });
});

describe("the provider's own count", () => {
  test("becomes part of the usage without calls through the coordinator", async () => {
    await quotaStatus();
    await simulator.control("POST", "/spend", { calls: 70 });
    expect((await runHousekeeping({ provider_count: true })).result).toMatchObject({ provider_count: { upstream_spent: 70 } });
    expect(await quotaStatus()).toMatchObject({ used: 70, upstream: { spent: 70, untracked: 70 } });
  });

  test("that is unavailable fails the job, and does not block the other parts", async () => {
    await ended((await ask({ payload: {} })).body.id);
    await fault({ kind: "status", status: 500, path: "/key", times: 0 });
    const { id } = (await ask({ payload: { provider_count: true }, max_attempts: 1 })).body;
    expect(await ended(id)).toMatchObject({
      status: "failed",
      error: "These parts failed: provider count.",
      result: { relayed: { looked_at: 0 }, removed: { jobs: 0 }, provider_count: null },
    });
  });

  test("is reported without the key, for any response of the provider", async () => {
    const lines = (["log", "warn", "error"] as const).map((level) => vi.spyOn(console, level));
    await fault({ kind: "status", status: 401, path: "/key", times: 0, body: { message: `bad key ${env.ISBNDB_API_KEY}` } });
    const { id } = (await ask({ payload: { provider_count: true }, max_attempts: 1 })).body;
    const output = [JSON.stringify(await ended(id)), ...lines.flatMap(({ mock }) => mock.calls.flat().map(String))];
    expect(output.filter((text) => text.includes(env.ISBNDB_API_KEY) || text.includes(env.ADMIN_TOKEN))).toEqual([]);
  });

  test("is not requested otherwise", async () => {
    await quotaStatus();
    const countRequests = async (): Promise<number> => (await simulator.control<{ path: string }[]>("GET", "/requests")).length;
    const before = await countRequests();
    await runHousekeeping({ provider_count: false });
    await runHousekeeping();
    expect(await countRequests()).toBe(before);
  });
});

describe("ticks", () => {
  test("create their job once, also after repeated deliveries", async () => {
    await Promise.all([tick("*/5 * * * *", AFTERNOON), tick("*/5 * * * *", AFTERNOON)]);
    await tick("*/5 * * * *", AFTERNOON);
    const [job, ...others] = await everyJob();
    expect(others).toEqual([]);
    expect(await ended(job?.id ?? "")).toMatchObject({
      type: "housekeeping",
      status: "completed",
      requested_by: "cron",
      payload: { provider_count: false, retention: false },
      scheduled_for: AFTERNOON,
    });
    await tick("*/5 * * * *", later(300_000));
    expect(await everyJob()).toHaveLength(2);
  });

  test("include retention and the provider's count at five past each hour", async () => {
    const payloadAt = SCHEDULES[1].payload;
    const times = [0, 5, 10, 55].map((minute) => payloadAt(Date.UTC(2031, 4, 14, 15, minute)));
    expect(times).toEqual([false, true, false, false].map((hourly) => ({ provider_count: hourly, retention: hourly })));
  });

  test("are not acknowledged if they cannot be recorded, and succeed when they are delivered again", async () => {
    await failWrites("jobs");
    await expect(tick("*/5 * * * *", AFTERNOON)).rejects.toThrow("The database did not answer.");
    await healWrites("jobs");
    await tick("*/5 * * * *", AFTERNOON);
    expect(await everyJob()).toHaveLength(1);
  });

  test("are listed in wrangler.jsonc, each with its job", async () => {
    const { body } = await get<{ schedules: { cron: string }[] }>("/api/jobs/schedules");
    expect(body.schedules.map(({ cron }) => cron).toSorted()).toEqual(env.TEST_CRONS.toSorted());
  });

  test("are listed with their last and next run", async () => {
    const list = async () => (await get<{ schedules: Record<string, unknown>[] }>("/api/jobs/schedules")).body.schedules;
    expect(await list()).toEqual([
      { cron: "*/30 * * * *", type: "harvest", description: expect.any(String), last_run: null, next_run: "2031-05-14T14:30:00Z" },
      { cron: "*/5 * * * *", type: "housekeeping", description: expect.any(String), last_run: null, next_run: "2031-05-14T14:05:00Z" },
      { cron: "0 * * * *", type: "check_usage_limits", description: expect.any(String), last_run: null, next_run: "2031-05-14T15:00:00Z" },
      { cron: "0 0 * * *", type: "reset_quotas", description: expect.any(String), last_run: null, next_run: "2031-05-15T00:00:00Z" },
    ]);
    await tick("*/5 * * * *", "2031-05-14T13:55:00Z");
    await tick("*/5 * * * *", "2031-05-14T14:00:00Z");
    await ask({ type: "harvest", delay_seconds: 60 });
    await setClock("2031-05-14T23:59:59Z");
    await Promise.all((await everyJob()).filter(({ type }) => type === "housekeeping").map(async ({ id }) => ended(id)));
    expect(await list()).toMatchObject([
      { last_run: null, next_run: "2031-05-15T00:00:00Z" },
      { last_run: { scheduled_for: "2031-05-14T14:00:00Z", status: "completed" }, next_run: "2031-05-15T00:00:00Z" },
      { last_run: null, next_run: "2031-05-15T00:00:00Z" },
      { last_run: null, next_run: "2031-05-15T00:00:00Z" },
    ]);
  });
});
