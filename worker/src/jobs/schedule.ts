/** Which cron asks for which job. The expressions stand in wrangler.jsonc too. No I/O. No clock. */
import { Cron } from "croner";
import type { JobPayloadInput, JobType } from "./catalog.ts";

/** Away from midnight, where the provider's count may still be yesterday's. */
const PROVIDER_COUNT_MINUTE = 5;

export interface Schedule<Type extends JobType = JobType> {
  readonly cron: string;
  readonly type: Type;
  /** In the API's words. */
  readonly description: string;
  /** Of the job that a tick asks for; `scheduledTime` in epoch milliseconds. */
  readonly payload: (scheduledTime: number) => JobPayloadInput<Type>;
}

const schedule = <Type extends JobType>(entry: Schedule<Type>): Schedule<Type> => entry;

/** One line a cron. None by the number of a weekday: the platform counts from Sunday = 1, croner from Sunday = 0. */
export const SCHEDULES = [
  schedule({ cron: "*/30 * * * *", type: "harvest", description: "Fetch what is due", payload: () => ({}) }),
  schedule({
    cron: "*/5 * * * *",
    type: "housekeeping",
    description: "Relay and retention; at five past each hour the provider's own count",
    payload: (scheduledTime) => ({ provider_count: new Date(scheduledTime).getUTCMinutes() === PROVIDER_COUNT_MINUTE }),
  }),
] as const;

/** The first time after `now` that a cron fires, in UTC; epoch milliseconds. */
export function nextRun(cron: string, now: number): number | null {
  return new Cron(cron, { timezone: "UTC", mode: "5-part", paused: true }).nextRun(new Date(now))?.getTime() ?? null;
}
