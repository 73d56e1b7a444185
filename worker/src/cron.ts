/** Creates the jobs of a cron trigger before it is acknowledged. jobs/schedule.ts maps crons to jobs. */
import { createDeps } from "./deps.ts";
import { schedules } from "./jobs/schedule.ts";
import { withLogFields } from "./lib/log.ts";

export async function runCron({ cron, scheduledTime }: ScheduledController, env: Env): Promise<void> {
  const { jobs, config, trace } = createDeps(env, () => Date.now());
  const due = schedules(config).filter((each) => each.cron === cron);
  if (due.length === 0) throw new Error(`Unknown cron ${JSON.stringify(cron)}`);
  const attributes = { "cron.expression": cron, "cron.scheduled_time": new Date(scheduledTime).toISOString() };
  await withLogFields({ cron, trace_id: trace.traceId }, async () =>
    trace.span("cron", attributes, async ({ traceparent }) => {
      for (const { type, payload } of due) {
        await jobs.enqueueJob(type, payload(scheduledTime), {
          requestedBy: "cron",
          // A trigger that is delivered twice creates one job.
          idempotencyKey: `cron:${cron}:${scheduledTime}`,
          cron: { expression: cron, scheduledTime },
          traceparent,
        });
      }
    }),
  );
}
