import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { NonRetryableError } from "cloudflare:workflows";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Problem } from "../../worker/src/errors.ts";
import { HANDLERS } from "../../worker/src/handlers/index.ts";
import { orNull } from "../../worker/src/handlers/context.ts";
import { JOBS } from "../../worker/src/jobs/catalog.ts";
import type { JobExecutionResult } from "../../worker/src/jobs/job-run.ts";
import { freshStart } from "../support/worker.ts";
import { ask, ended, handledBy, oneStep, pause, read, triesOf, until } from "./support.ts";

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

describe("a job whose step", () => {
  test("fails twice completes at the third attempt, and earlier steps run once", async () => {
    await withoutDelays();
    const effects: string[] = [];
    handledBy(async (_, job) => {
      const before = await job.step("before", async () => effects.push("before"));
      const done = await job.step("shaky", async (attempt) => {
        effects.push(`shaky ${attempt}`);
        if (attempt < 3) throw new Error(`not yet ${attempt}`);
        return { attempt };
      });
      return { success: true, data: { before, done } };
    });
    const { status, body } = await ask();
    expect(status).toBe(202);
    const job = await ended(body.id);
    expect(job).toMatchObject({ status: "completed", tries: 3, error: null, result: { before: 1, done: { attempt: 3 } } });
    expect(triesOf(job)).toEqual(["before 1 succeeded", "shaky 1 failed: not yet 1", "shaky 2 failed: not yet 2", "shaky 3 succeeded"]);
    expect(effects).toEqual(["before", "shaky 1", "shaky 2", "shaky 3"]);
  });

  test("always fails has three attempts, 5 s and 10 s apart, and records every error with its time", async () => {
    const at: number[] = [];
    handledBy(
      oneStep("hopeless", async (_, __, attempt) => {
        at.push(performance.now());
        vi.setSystemTime(Date.now() + 1_000);
        throw new Error(`no ${attempt}`);
      }),
    );
    const { body } = await ask();
    const job = await ended(body.id);
    expect(job).toMatchObject({ status: "failed", tries: 3, error: "no 3", result: null });
    expect(job.errors).toEqual([
      { at: "2031-05-14T14:03:12Z", step: "hopeless", attempt: 1, message: "no 1" },
      { at: "2031-05-14T14:03:13Z", step: "hopeless", attempt: 2, message: "no 2" },
      { at: "2031-05-14T14:03:14Z", step: "hopeless", attempt: 3, message: "no 3" },
    ]);
    expect(job.timeline).toEqual([
      { at: "2031-05-14T14:03:11Z", event: "requested by admin" },
      { at: "2031-05-14T14:03:11Z", event: "hopeless: try 1 began" },
      { at: "2031-05-14T14:03:12Z", event: "hopeless: try 1 failed" },
      { at: "2031-05-14T14:03:12Z", event: "hopeless: try 2 began" },
      { at: "2031-05-14T14:03:13Z", event: "hopeless: try 2 failed" },
      { at: "2031-05-14T14:03:13Z", event: "hopeless: try 3 began" },
      { at: "2031-05-14T14:03:14Z", event: "hopeless: try 3 failed" },
      { at: "2031-05-14T14:03:14Z", event: "failed" },
    ]);
    const [first = 0, second = 0, third = 0] = at;
    // Never earlier, and later only on a busy machine.
    for (const [paused, ms] of [
      [second - first, 5_000],
      [third - second, 10_000],
    ] as const) {
      expect(paused).toBeGreaterThan(ms - 50);
      expect(paused).toBeLessThan(ms + 3_500);
    }
    expect((await (await env.JOBS.get(body.id)).status()).status).toBe("errored");
  });

  test("always exceeds its timeout fails, and each attempt reports the timeout", async () => {
    await workflows.modifyAll(async (instance) => {
      await instance.disableRetryDelays();
      await instance.forceStepTimeout({ name: "slow" });
    });
    const work = vi.fn<() => Promise<JobExecutionResult>>(async () => ({ success: true }));
    handledBy(oneStep("slow", work));
    const job = await ended((await ask()).body.id);
    const reason = "The attempt exceeded its timeout of 5 minutes.";
    expect(job).toMatchObject({ status: "failed", tries: 3, error: reason });
    expect(triesOf(job)).toEqual([1, 2, 3].map((attempt) => `slow ${attempt} timed_out: ${reason}`));
    expect(work).not.toHaveBeenCalled();
  });

  test("hangs once continues with the next attempt, and the late result of the hanging one is ignored", async () => {
    await withoutDelays();
    Reflect.set(JOBS.housekeeping, "timeoutMinutes", 1.5 / 60);
    vi.useRealTimers();
    let endFirstAttempt = (): void => undefined;
    const hanging = new Promise<void>((resolve) => {
      endFirstAttempt = resolve;
    });
    handledBy(async (_, job) => {
      const attempt = await job.step("hangs", async (attempt) => {
        if (attempt === 1) await hanging;
        return attempt;
      });
      endFirstAttempt();
      await job.step("later", async () => pause(100));
      return { success: true, data: attempt };
    });
    const job = await ended((await ask()).body.id).finally(() => Reflect.set(JOBS.housekeeping, "timeoutMinutes", 5));
    expect(job).toMatchObject({ status: "completed", result: 2 });
    expect(triesOf(job)).toEqual(["hangs 1 timed_out: The attempt timed out.", "hangs 2 succeeded", "later 1 succeeded"]);
  });

  test.each([
    ["a string", "plain words", 'Thrown value is not an error: "plain words"'],
    ["an object", { code: 7 }, 'Thrown value is not an error: {"code":7}'],
    ["null", null, "Thrown value is not an error: null"],
    ["nothing", undefined, "Thrown value is not an error: undefined"],
    ["an object without a JSON form", { big: 1n }, "Thrown value is not an error: [object Object]"],
    ["an error without a message", new RangeError(), "RangeError"],
  ])("throws %s is retried and reports the value", async (_, thrown, message) => {
    await withoutDelays();
    handledBy(
      oneStep("odd", async () => {
        throw thrown;
      }),
    );
    const job = await ended((await ask()).body.id);
    expect(job).toMatchObject({ status: "failed", tries: 3, error: message });
    expect(triesOf(job)).toEqual([1, 2, 3].map((attempt) => `odd ${attempt} failed: ${message}`));
  });

  test.each([
    ["a permanent problem", new Problem("not_found", "The project does not exist."), "not_found: The project does not exist."],
    ["NonRetryableError", new NonRetryableError("permanent error"), "permanent error"],
  ])("throws %s has one attempt", async (_, thrown, message) => {
    handledBy(
      oneStep("final", async () => {
        throw thrown;
      }),
    );
    const job = await ended((await ask()).body.id);
    expect(job).toMatchObject({ status: "failed", tries: 1, error: message });
    expect(triesOf(job)).toEqual([`final 1 failed: ${message}`]);
  });

  test("throws a temporary problem is retried", async () => {
    await withoutDelays();
    handledBy(
      oneStep("passing", async (_, __, attempt) => {
        if (attempt === 1) throw new Problem("storage_unavailable", "The database did not answer.");
        return { success: true };
      }),
    );
    const job = await ended((await ask()).body.id);
    expect(triesOf(job)).toEqual(["passing 1 failed: storage_unavailable: The database did not answer.", "passing 2 succeeded"]);
    expect(job).toMatchObject({ status: "completed", result: null });
  });

  test("returns no success fails without a retry", async () => {
    handledBy(oneStep("refuses", async () => ({ success: false, data: { half: true }, error: "half done" })));
    const job = await ended((await ask()).body.id);
    expect(job).toMatchObject({ status: "failed", tries: 1, error: "half done", result: { half: true } });
    handledBy(oneStep("silent", async () => ({ success: false })));
    expect(await ended((await ask()).body.id)).toMatchObject({ status: "failed", error: "The handler gave no reason." });
  });

  test("has a result larger than the platform's maximum fails immediately, because a retry would not make it smaller", async () => {
    const work = vi.fn<() => Promise<string>>(async () => "x".repeat(400_000));
    handledBy(async (_, job) => ({ success: true, data: await job.step("large", work) }));
    const job = await ended((await ask()).body.id);
    expect(job).toMatchObject({ status: "failed", error: "The result must have at most 400000 characters." });
    expect(work).toHaveBeenCalledTimes(1);
  });

  test("finally fails can be handled by the handler, which continues", async () => {
    await withoutDelays();
    handledBy(async (_, job) => {
      const lost = await orNull(
        job.step("lost", async () => {
          throw new Error("gone");
        }),
      );
      const undone = await job.step("undo", async () => "undone");
      return { success: true, data: { lost, undone } };
    });
    expect(await ended((await ask()).body.id)).toMatchObject({ status: "completed", result: { lost: null, undone: "undone" } });
  });
});

describe("a handler", () => {
  test("that throws outside its steps fails with the message", async () => {
    handledBy(async () => {
      throw new TypeError("not a step");
    });
    expect(await ended((await ask()).body.id)).toMatchObject({ status: "failed", error: "not a step", attempts: [] });
  });

  test("can use a name twice, for two separate steps", async () => {
    handledBy(async (_, job) => {
      const each = [await job.step("same", async () => "first"), await job.step("same", async () => "second")];
      return { success: true, data: each };
    });
    const job = await ended((await ask()).body.id);
    expect(job.result).toEqual(["first", "second"]);
    expect(job.attempts.map(({ step, nth, attempt }) => [step, nth, attempt])).toEqual([
      ["same", 1, 1],
      ["same", 2, 1],
    ]);
  });

  test("whose result exceeds the platform's maximum fails", async () => {
    handledBy(async () => ({ success: true, data: "x".repeat(400_000) }));
    expect(await ended((await ask()).body.id)).toMatchObject({
      status: "failed",
      error: "The result must have at most 400000 characters.",
    });
  });
});

describe("a job with one attempt", () => {
  test("fails at the first failure", async () => {
    handledBy(
      oneStep("once", async () => {
        throw new Error("no");
      }),
    );
    expect(triesOf(await ended((await ask({ max_attempts: 1 })).body.id))).toEqual(["once 1 failed: no"]);
  });
});

test("a delayed job starts after its delay, and is scheduled until then", async () => {
  const work = vi.fn<() => Promise<JobExecutionResult>>(async () => ({ success: true }));
  handledBy(oneStep("late", work));
  const { body } = await ask({ delay_seconds: 2 });
  expect(body).toMatchObject({ status: "scheduled", scheduled_for: "2031-05-14T14:03:13Z", started_at: null });
  await pause(700);
  expect(await read(body.id)).toMatchObject({ status: "scheduled" });
  expect(work).not.toHaveBeenCalled();
  expect(await ended(body.id)).toMatchObject({ status: "completed" });
});

test("a job that sleeps between its steps is waiting, and resumes automatically", async () => {
  handledBy(async (_, job) => {
    const first = await job.step("first", async () => job.deps.clock());
    await job.sleepUntil("a second", first + 1_000);
    await job.sleepUntil("a time that has passed", first - 1_000);
    await job.step("second", async () => undefined);
    return { success: true };
  });
  const { id } = (await ask()).body;
  await until(id, ({ status }) => status === "waiting");
  expect(triesOf(await ended(id))).toEqual(["first 1 succeeded", "second 1 succeeded"]);
});

test("log lines carry the job, its request and its trace", async () => {
  const lines = vi.spyOn(console, "log").mockImplementation(() => undefined);
  handledBy(oneStep("only", async () => ({ success: true })));
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const { body } = await ask({}, { "x-request-id": "find-me", traceparent: `00-${trace}-00f067aa0ba902b7-01` });
  expect(body).toMatchObject({ request_id: "find-me", trace_id: trace });
  await ended(body.id);
  const logged = lines.mock.calls.map(([text]) => JSON.parse(String(text)) as Record<string, unknown>);
  const about = { level: "info", job_id: body.id, job_type: "housekeeping", request_id: "find-me", trace_id: trace };
  expect(logged.filter(({ job_id }) => job_id === body.id)).toEqual([
    { ...about, message: "[Housekeeping] Step started", step: "only", attempt: 1 },
    { ...about, message: "[Housekeeping] Job completed" },
  ]);
});

test.each(["", "00-0", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`, `00-${"a".repeat(32)}-${"0".repeat(16)}-01`])(
  "an invalid trace context (%j) is replaced by a new one",
  async (traceparent) => {
    handledBy(async () => ({ success: true }));
    expect((await ask({}, { traceparent })).body).toMatchObject({ trace_id: expect.stringMatching(/^(?!0{32}|a{32})[0-9a-f]{32}$/u) });
  },
);

test("the registry has a handler for every type of the catalog", () => {
  expect(Object.keys(HANDLERS).toSorted()).toEqual(Object.keys(JOBS).toSorted());
});
