/** What a tick becomes: a job, written down before the tick is acknowledged. jobs/schedule.ts says which. */
import { createDeps } from "./deps.ts";
import { SCHEDULES } from "./jobs/schedule.ts";

export async function runCron({ cron, scheduledTime }: ScheduledController, env: Env): Promise<void> {
  const schedule = SCHEDULES.find((each) => each.cron === cron);
  if (!schedule) throw new Error(`No job is known for the cron ${JSON.stringify(cron)}`);
  const { jobs } = createDeps(env, () => Date.now());
  await jobs.enqueueJob(schedule.type, schedule.payload(scheduledTime), {
    requestedBy: "cron",
    // A tick delivered twice is one job.
    idempotencyKey: `cron:${cron}:${scheduledTime}`,
    cron: { expression: cron, scheduledTime },
  });
}
