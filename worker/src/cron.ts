/**
 * Turns a cron tick into a job, which is stored before the tick is acknowledged. jobs/schedule.ts maps crons to jobs. A database that
 * accepts no job must not keep housekeeping from making room in it.
 */
import { createDeps } from "./deps.ts";
import type { Deps } from "./deps.ts";
import { Problem } from "./errors.ts";
import { removeWithoutJob } from "./handlers/housekeeping.ts";
import { schedules } from "./jobs/schedule.ts";
import type { Schedule } from "./jobs/schedule.ts";
import { withLogFields } from "./lib/log.ts";

export async function runCron({ cron, scheduledTime }: ScheduledController, env: Env): Promise<void> {
  const deps = createDeps(env, () => Date.now());
  const { config, trace } = deps;
  const due = schedules(config).filter((each) => each.cron === cron);
  if (due.length === 0) throw new Error(`The cron ${JSON.stringify(cron)} has no job`);
  const attributes = { "cron.expression": cron, "cron.scheduled_time": new Date(scheduledTime).toISOString() };
  await withLogFields({ cron, trace_id: trace.traceId }, async () =>
    trace.span("cron", attributes, async (span) => {
      for (const schedule of due) await request({ ...deps, trace: span }, schedule, scheduledTime);
    }),
  );
}

async function request(deps: Deps, { cron, type, payload }: Schedule, scheduledTime: number): Promise<void> {
  const enqueue = async () =>
    deps.jobs.enqueueJob(type, payload(scheduledTime), {
      requestedBy: "cron",
      // A tick that is delivered twice adds one job.
      idempotencyKey: `cron:${cron}:${scheduledTime}`,
      cron: { expression: cron, scheduledTime },
      traceparent: deps.trace.traceparent,
    });
  try {
    await enqueue();
  } catch (error) {
    if (type !== "housekeeping" || !(error instanceof Problem) || error.code !== "storage_unavailable") throw error;
    await removeWithoutJob(deps);
    await enqueue();
  }
}
