/** `--check-quota`: the status for people. No I/O. The time is given. */
import type { QuotaStatus } from "./answers.ts";
import { clockTime, counted, grouped, span } from "./words.ts";

export function quotaLines(status: QuotaStatus, now: number): string[] {
  const { date, used, safety_limit, percentage_used, daily_limit, reserved, remaining, reset_at, can_make_calls, callers } = status;
  const { calls_per_hour, exhausted_at } = status.forecast;
  const end = exhausted_at === null ? "the day will last" : `used up at ${clockTime(exhausted_at)} at this pace`;
  const spenders = callers.map(({ caller, used }) => `${caller} ${grouped(used)}`).join(", ");
  return [
    `Day          ${date} (UTC)`,
    `Used         ${grouped(used)} of ${grouped(safety_limit)} (${percentage_used} %); the provider sells ${grouped(daily_limit)}`,
    `Left         ${grouped(remaining)}${reserved > 0 ? `; ${grouped(reserved)} more are reserved` : ""}`,
    `Last hour    ${counted(calls_per_hour, "call")}; ${end}`,
    `Spent by     ${spenders === "" ? "nobody yet" : spenders}`,
    `New calls    at ${clockTime(reset_at)}, in ${span(Date.parse(reset_at) - now)}`,
    ...(status.enforcement === "enforce" ? [] : [`Enforcement  ${status.enforcement}: nothing is refused`]),
    ...(status.source === "ledger" ? [] : [`As of        ${status.as_of}: the ledger did not answer`]),
    can_make_calls ? "Calls can be made." : "No call can be made.",
  ];
}
