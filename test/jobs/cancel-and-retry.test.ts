import { introspectWorkflow } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { countRows, failTable, failWrites, healTable, healWrites } from "../library/support.ts";
import { postWith } from "../routes/support.ts";
import { concurrently, freshStart, post, setClock } from "../support/worker.ts";
import { ask, ended, handledBy, pause, read, until } from "./support.ts";
import type { Job } from "./support.ts";

const effects = vi.fn<(what: string) => void>();

beforeEach(async () => {
  await freshStart();
  effects.mockClear();
  handledBy(async (_, job) => {
    await job.step("work", async () => effects(job.id));
    return { success: true };
  });
});
afterEach(() => void vi.restoreAllMocks());

describe("a cancellation", () => {
  test("of a delayed job prevents its start", async () => {
    const { id } = (await ask({ delay_seconds: 1 })).body;
    expect(await post(`/api/jobs/${id}/cancel`)).toMatchObject({
      status: 200,
      body: { status: "cancelled", ended_at: expect.any(String) },
    });
    await pause(1_500);
    expect(effects).not.toHaveBeenCalled();
    expect(await read(id)).toMatchObject({ status: "cancelled", attempts: [] });
    expect((await (await env.JOBS.get(id)).status()).status).toBe("terminated");
    expect(await post(`/api/jobs/${id}/cancel`)).toMatchObject({ status: 200, body: { status: "cancelled" } });
  });

  test("of a job without an instance prevents its start by the relay", async () => {
    const broken = { create: async () => Promise.reject(new Error("internal error")), get: async (id: string) => env.JOBS.get(id) };
    const { body } = await postWith({ JOBS: broken }, "/api/jobs", { type: "housekeeping", payload: {} });
    const id = String(body["id"]);
    expect((await post(`/api/jobs/${id}/cancel`)).status).toBe(200);
    await setClock("2031-05-14T14:10:00Z");
    expect(await read(id)).toMatchObject({ status: "cancelled" });
    await expect(env.JOBS.get(id)).rejects.toThrow("not_found");
  });

  test.each(["a running job", "a running job whose instance cannot be stopped"])(
    "of %s lets the current step end, and starts no other",
    async (kind) => {
      let finishStep = (): void => undefined;
      const stepMayEnd = new Promise<void>((resolve) => {
        finishStep = resolve;
      });
      handledBy(async (_, job) => {
        await job.step("first", async () => {
          effects("first");
          await stepMayEnd;
        });
        await job.step("second", async () => effects("second"));
        return { success: true };
      });
      const { id } = (await ask()).body;
      await until(id, ({ attempts }) => attempts.length === 1);
      const brokenEngine = { JOBS: { get: async () => Promise.reject(new Error("internal error")) } };
      const answer =
        kind === "a running job" ? await post(`/api/jobs/${id}/cancel`) : await postWith(brokenEngine, `/api/jobs/${id}/cancel`, undefined);
      expect(answer).toMatchObject({ status: 200, body: { status: "cancelled" } });
      finishStep();
      await pause(300);
      expect(effects.mock.calls).toEqual([["first"]]);
      const job = await read(id);
      expect(job).toMatchObject({ status: "cancelled", result: null, error: null });
      expect(job.attempts).toMatchObject([{ step: "first", outcome: "interrupted", error: "The job was cancelled." }]);
    },
  );

  test("of a job that sleeps between steps terminates its instance", async () => {
    handledBy(async (_, job) => {
      await job.step("first", async () => effects("first"));
      await job.sleepUntil("an hour", Date.now() + 3_600_000);
      await job.step("second", async () => effects("second"));
      return { success: true };
    });
    const { id } = (await ask()).body;
    await until(id, ({ status }) => status === "waiting");
    expect((await post(`/api/jobs/${id}/cancel`)).status).toBe(200);
    expect((await (await env.JOBS.get(id)).status()).status).toBe("terminated");
  });

  test("of an ended job is 409, and keeps its status", async () => {
    const { id } = (await ask()).body;
    await ended(id);
    expect(await post(`/api/jobs/${id}/cancel`)).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect(await read(id)).toMatchObject({ status: "completed" });
  });

  test("of an ended job keeps its result, even if the index has not recorded it yet", async () => {
    const workflows = await introspectWorkflow(env.JOBS);
    await workflows.modifyAll(async (instance) => instance.disableRetryDelays());
    handledBy(async (_, job) => {
      await job.step("work", async () => failWrites("jobs"));
      return { success: true, data: "done" };
    });
    const { id } = (await ask()).body;
    await expect.poll(async () => (await (await env.JOBS.get(id)).status()).status, { timeout: 45_000 }).toBe("complete");
    await healWrites("jobs");
    expect(await post(`/api/jobs/${id}/cancel`)).toMatchObject({ status: 409 });
    expect(await read(id)).toMatchObject({ status: "completed", result: "done" });
    await workflows.dispose();
  });

  test("changes nothing if the index is unavailable", async () => {
    const { id } = (await ask({ delay_seconds: 60 })).body;
    await failTable("jobs");
    expect((await post(`/api/jobs/${id}/cancel`)).status).toBe(503);
    await healTable("jobs");
    expect(await read(id)).toMatchObject({ status: "scheduled" });
  });
});

describe("a retry", () => {
  const failed = async (): Promise<string> => {
    handledBy(async () => ({ success: false, error: "no" }));
    const { id } = (await ask({ payload: { provider_count: false }, max_attempts: 2, project_id: "p1" })).body;
    await ended(id);
    return id;
  };

  test("runs a failed job again as a new job", async () => {
    const id = await failed();
    handledBy(async (payload) => ({ success: true, data: payload }));
    const { status, headers, body } = await post<Job>(`/api/jobs/${id}/retry`);
    expect({ status, location: headers.get("location") }).toEqual({ status: 202, location: `/api/jobs/${id}-r2` });
    expect(body).toMatchObject({ id: `${id}-r2`, run: 2, retry_of: id, max_attempts: 2, project_id: "p1", tries: 0, error: null });
    expect(await ended(`${id}-r2`)).toMatchObject({ status: "completed", result: { provider_count: false } });
    expect(await read(id)).toMatchObject({ status: "failed" });
  });

  test("creates one job for concurrent requests", async () => {
    const id = await failed();
    handledBy(async (_, job) => {
      await job.step("work", async () => effects(job.id));
      return { success: true };
    });
    const answers = await concurrently(10, 10, async () => post<Job>(`/api/jobs/${id}/retry`));
    expect(answers.filter(({ status }) => status === 202).length).toBeGreaterThan(0);
    await ended(`${id}-r2`);
    expect(effects.mock.calls).toEqual([[`${id}-r2`]]);
    expect(await countRows("jobs")).toBe(2);
  });

  test("of a job that was already retried is 409 with the id of that retry, which can be retried", async () => {
    const id = await failed();
    await post(`/api/jobs/${id}/retry`);
    await ended(`${id}-r2`);
    expect(await post(`/api/jobs/${id}/retry`)).toMatchObject({ status: 409, body: { code: "conflict", retried_as: `${id}-r2` } });
    expect(await post(`/api/jobs/${id}-r2/retry`)).toMatchObject({ status: 202, body: { id: `${id}-r3`, run: 3, retry_of: `${id}-r2` } });
  });

  test("starts a cancelled job immediately, without its delay", async () => {
    const { id } = (await ask({ delay_seconds: 3_600 })).body;
    await post(`/api/jobs/${id}/cancel`);
    expect(await post(`/api/jobs/${id}/retry`)).toMatchObject({ status: 202, body: { status: "queued", scheduled_for: null } });
    expect(await ended(`${id}-r2`)).toMatchObject({ status: "completed" });
  });

  test("of a waiting or completed job is 409", async () => {
    const waiting = (await ask({ delay_seconds: 60 })).body.id;
    expect(await post(`/api/jobs/${waiting}/retry`)).toMatchObject({ status: 409, body: { code: "conflict" } });
    const done = (await ask()).body.id;
    await ended(done);
    expect(await post(`/api/jobs/${done}/retry`)).toMatchObject({ status: 409 });
  });
});
