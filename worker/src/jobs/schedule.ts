/** Which cron asks for which job. The expressions stand in wrangler.jsonc too. No I/O. No clock. */
import { Cron } from "croner";
import type { JobPayloadInput, JobType } from "./catalog.ts";

/** Away from midnight, where the provider's count may still be yesterday's. */
const HOURLY_MINUTE = 5;

export interface Schedule<Type extends JobType = JobType> {
  readonly cron: string;
  readonly type: Type;
  /** In the API's words. */
  readonly description: string;
  /** Of the job that a tick asks for; `scheduledTime` in epoch milliseconds. */
  readonly payload: (scheduledTime: number) => JobPayloadInput<Type>;
}

const schedule = <Type extends JobType>(entry: Schedule<Type>): Schedule<Type> => entry;

/** One line a job. None by the number of a weekday: the platform counts from Sunday = 1, croner from Sunday = 0. */
export const SCHEDULES = [
  schedule({ cron: "*/30 * * * *", type: "harvest", description: "Fetch what is due", payload: () => ({}) }),
  schedule({
    cron: "*/5 * * * *",
    type: "housekeeping",
    description: "Relay; at five past each hour retention and the provider's own count",
    payload: (scheduledTime) => {
      const hourly = new Date(scheduledTime).getUTCMinutes() === HOURLY_MINUTE;
      return { provider_count: hourly, retention: hourly };
    },
  }),
  schedule({
    cron: "0 * * * *",
    type: "check_usage_limits",
    description: "Compare every project's use with its caps",
    payload: () => ({}),
  }),
  schedule({ cron: "0 0 * * *", type: "reset_quotas", description: "Close the billing periods that have ended", payload: () => ({}) }),
] as const;

/** As configured: the monthly reset has a schedule of its own. */
export function schedules(config: { readonly reset: { readonly schedule: string } }): readonly Schedule[] {
  return SCHEDULES.map((each) => (each.type === "reset_quotas" ? { ...each, cron: config.reset.schedule } : each));
}

/** The first time after `now` that a cron fires, in UTC; epoch milliseconds. */
export function nextRun(cron: string, now: number): number | null {
  return new Cron(cron, { timezone: "UTC", mode: "5-part", paused: true }).nextRun(new Date(now))?.getTime() ?? null;
}
