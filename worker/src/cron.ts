/** What a tick becomes: a job, written down before the tick is acknowledged. jobs/schedule.ts says which. */
import { createDeps } from "./deps.ts";
import { schedules } from "./jobs/schedule.ts";
import { withLogFields } from "./lib/log.ts";

export async function runCron({ cron, scheduledTime }: ScheduledController, env: Env): Promise<void> {
  const { jobs, config, trace } = createDeps(env, () => Date.now());
  const due = schedules(config).filter((each) => each.cron === cron);
  if (due.length === 0) throw new Error(`No job is known for the cron ${JSON.stringify(cron)}`);
  const attributes = { "cron.expression": cron, "cron.scheduled_time": new Date(scheduledTime).toISOString() };
  await withLogFields({ cron, trace_id: trace.traceId }, async () =>
    trace.span("cron", attributes, async ({ traceparent }) => {
      for (const { type, payload } of due) {
        await jobs.enqueueJob(type, payload(scheduledTime), {
          requestedBy: "cron",
          // A tick delivered twice is one job.
          idempotencyKey: `cron:${cron}:${scheduledTime}`,
          cron: { expression: cron, scheduledTime },
          traceparent,
        });
      }
    }),
  );
}
