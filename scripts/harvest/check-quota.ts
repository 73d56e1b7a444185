/** Output of `--check-quota`. No I/O. The time is an argument. */
import type { QuotaStatus } from "./answers.ts";
import { clockTime, quantity, formatCount, span } from "./words.ts";

export function quotaLines(status: QuotaStatus, now: number): string[] {
  const { date, used, safety_limit, percentage_used, daily_limit, reserved, remaining, reset_at, can_make_calls, callers } = status;
  const { calls_per_hour, exhausted_at } = status.forecast;
  const end = exhausted_at === null ? "quota will last today" : `quota runs out at ${clockTime(exhausted_at)}`;
  const usage = callers.map(({ caller, used }) => `${caller} ${formatCount(used)}`).join(", ");
  return [
    `Day          ${date} (UTC)`,
    `Used         ${formatCount(used)} of ${formatCount(safety_limit)} (${percentage_used}%), the provider sells ${formatCount(daily_limit)}`,
    `Left         ${formatCount(remaining)}${reserved > 0 ? `, ${formatCount(reserved)} reserved` : ""}`,
    `Last hour    ${quantity(calls_per_hour, "call")}, ${end}`,
    `Callers      ${usage === "" ? "none yet" : usage}`,
    `Reset        at ${clockTime(reset_at)}, in ${span(Date.parse(reset_at) - now)}`,
    ...(status.enforcement === "enforce" ? [] : [`Enforcement  ${status.enforcement} (no call is refused)`]),
    ...(status.source === "ledger" ? [] : [`As of        ${status.as_of} (ledger unavailable)`]),
    can_make_calls ? "Calls can be made." : "No call can be made.",
  ];
}
