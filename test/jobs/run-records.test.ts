import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { failTable, failWrites, healTable, healWrites } from "../library/support.ts";
import { freshStart, setClock } from "../support/worker.ts";
import { ask, ended, handledBy, oneStep, read, triesOf } from "./support.ts";

let workflows: WorkflowIntrospector;
beforeEach(async () => {
  await freshStart();
  workflows = await introspectWorkflow(env.JOBS);
});
afterEach(async () => {
  await workflows.dispose();
  vi.restoreAllMocks();
});

const withoutDelays = async () => workflows.modifyAll(async (instance) => instance.disableRetryDelays());

test("an attempt without a record is reported at the start of the next attempt", async () => {
  await workflows.modifyAll(async (instance) => {
    await instance.disableRetryDelays();
    await instance.mockStepError({ name: "dies" }, new Error("Network connection lost."), 2);
  });
  handledBy(oneStep("dies", async () => ({ success: true })));
  const lost = "Attempt not recorded (timeout or crash).";
  expect(triesOf(await ended((await ask()).body.id))).toEqual([
    `dies 1 interrupted: ${lost}`,
    `dies 2 interrupted: ${lost}`,
    "dies 3 succeeded",
  ]);
});

test("a step whose crash only the platform noticed fails with the platform's reason", async () => {
  await workflows.modifyAll(async (instance) => {
    await instance.disableRetryDelays();
    await instance.mockStepError({ name: "dies" }, new Error("Network connection lost."));
  });
  handledBy(oneStep("dies", async () => ({ success: true })));
  const { id } = (await ask()).body;
  await expect.poll(async () => (await (await env.JOBS.get(id)).status()).status, { timeout: 10_000 }).toBe("errored");
  expect(await read(id)).toMatchObject({ status: "queued" });
  await setClock("2031-05-14T14:05:00Z");
  expect(await read(id)).toMatchObject({ status: "failed", error: "Network connection lost." });
});

describe("while the index is unavailable", () => {
  const effects = vi.fn<(step: string) => void>();
  const handleWith = (work: () => Promise<void> = async () => undefined): void => {
    effects.mockClear();
    handledBy(async (_, job) => {
      await job.step("first", async () => effects("first"));
      await work();
      await job.step("second", async () => effects("second"));
      return { success: true, data: "done" };
    });
  };

  test.each(["jobs", "job_attempts"])("and %s cannot be written, the work runs once, and its result is recorded later", async (table) => {
    await withoutDelays();
    handleWith(async () => failWrites(table));
    const { id } = (await ask()).body;
    await expect.poll(async () => (await (await env.JOBS.get(id)).status()).status, { timeout: 20_000 }).toBe("complete");
    expect(effects.mock.calls).toEqual([["first"], ["second"]]);
    await healWrites(table);
    await setClock("2031-05-14T14:05:00Z");
    expect(await read(id)).toMatchObject({ status: "completed", result: "done" });
  });

  test("from before the first step, the work runs once, and its result is recorded later", async () => {
    await withoutDelays();
    await workflows.modifyAll(async (instance) => instance.disableSleeps());
    handleWith();
    const { id } = (await ask({ delay_seconds: 60 })).body;
    await failTable("jobs");
    await expect.poll(async () => (await (await env.JOBS.get(id)).status()).status, { timeout: 20_000 }).toBe("complete");
    await healTable("jobs");
    expect(effects.mock.calls).toEqual([["first"], ["second"]]);
    await setClock("2031-05-14T14:05:00Z");
    expect(await read(id)).toMatchObject({ status: "completed", result: "done" });
  });
});
