/** Turns a cron tick into a job, which is stored before the tick is acknowledged. jobs/schedule.ts maps crons to jobs. */
import { createDeps } from "./deps.ts";
import { schedules } from "./jobs/schedule.ts";
import { withLogFields } from "./lib/log.ts";

export async function runCron({ cron, scheduledTime }: ScheduledController, env: Env): Promise<void> {
  const { jobs, config, trace } = createDeps(env, () => Date.now());
  const due = schedules(config).filter((each) => each.cron === cron);
  if (due.length === 0) throw new Error(`The cron ${JSON.stringify(cron)} has no job`);
  const attributes = { "cron.expression": cron, "cron.scheduled_time": new Date(scheduledTime).toISOString() };
  await withLogFields({ cron, trace_id: trace.traceId }, async () =>
    trace.span("cron", attributes, async ({ traceparent }) => {
      for (const { type, payload } of due) {
        await jobs.enqueueJob(type, payload(scheduledTime), {
          requestedBy: "cron",
          // A tick that is delivered twice adds one job.
          idempotencyKey: `cron:${cron}:${scheduledTime}`,
          cron: { expression: cron, scheduledTime },
          traceparent,
        });
      }
    }),
  );
}
