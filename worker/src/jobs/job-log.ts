/** Log lines of one job, such as `[CheckUsageLimits] Sweep started`, with the fields that identify the job. */
import { log } from "../lib/log.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface JobLog {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** `check_usage_limits` as `CheckUsageLimits`. */
const nameOf = (type: string): string =>
  type
    .split("_")
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join("");

export function jobLog(type: string, about: Fields): JobLog {
  const line =
    (level: keyof JobLog) =>
    (message: string, fields: Fields = {}) =>
      log[level](`[${nameOf(type)}] ${message}`, { ...about, ...fields });
  return { info: line("info"), warn: line("warn"), error: line("error") };
}
