/** The job of each cron. wrangler.jsonc lists the same expressions. No I/O. No clock. */
import { Cron } from "croner";
import type { JobPayloadInput, JobType } from "./catalog.ts";

/** Not at midnight, when the provider's count may still be yesterday's. */
const HOURLY_MINUTE = 5;

export interface Schedule<Type extends JobType = JobType> {
  readonly cron: string;
  readonly type: Type;
  /** Shown in the API. */
  readonly description: string;
  /** Payload of the job. `scheduledTime`: epoch milliseconds. */
  readonly payload: (scheduledTime: number) => JobPayloadInput<Type>;
}

const schedule = <Type extends JobType>(entry: Schedule<Type>): Schedule<Type> => entry;

/** Do not use weekday numbers: Sunday is 1 for the platform, and 0 for croner. */
export const SCHEDULES = [
  schedule({ cron: "*/30 * * * *", type: "harvest", description: "Fetch due targets", payload: () => ({}) }),
  schedule({
    cron: "*/5 * * * *",
    type: "housekeeping",
    description: "Relay. At five past each hour also retention and the provider's count",
    payload: (scheduledTime) => {
      const hourly = new Date(scheduledTime).getUTCMinutes() === HOURLY_MINUTE;
      return { provider_count: hourly, retention: hourly };
    },
  }),
  schedule({
    cron: "0 * * * *",
    type: "check_usage_limits",
    description: "Compare the usage of every project with its caps",
    payload: () => ({}),
  }),
  schedule({ cron: "0 0 * * *", type: "reset_quotas", description: "Close the billing periods that have ended", payload: () => ({}) }),
] as const;

/** The configured crons. The monthly reset has its own schedule. */
export function schedules(config: { readonly reset: { readonly schedule: string } }): readonly Schedule[] {
  return SCHEDULES.map((each) => (each.type === "reset_quotas" ? { ...each, cron: config.reset.schedule } : each));
}

/** Next run of a cron after `now`, in UTC. Epoch milliseconds. */
export function nextRun(cron: string, now: number): number | null {
  return new Cron(cron, { timezone: "UTC", mode: "5-part", paused: true }).nextRun(new Date(now))?.getTime() ?? null;
}
