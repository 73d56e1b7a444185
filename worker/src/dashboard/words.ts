/** Verdict and warnings about the quota, as sentences. No I/O. No clock. */
import type { QuotaStatus } from "../quota/index.ts";
import { HOUR_MS, dayOf, endOfDay } from "../lib/time.ts";
import { clockTime, quantity, dayName, duration, formatCount } from "./format.ts";

export type Level = "good" | "info" | "warn" | "bad";

export interface Notice {
  readonly level: Level;
  readonly title: string;
  readonly detail: string;
}

const notice = (level: Level, title: string, detail: string): Notice => ({ level, title, detail });

/** Whether the quota lasts until the reset. */
export function verdictOf(status: QuotaStatus, now: number): Notice {
  const { used, safety_limit: limit, remaining, forecast, enforcement } = status;
  const untilReset = duration(endOfDay(now) - now);
  if (status.date !== dayOf(now)) {
    const last = `The last known state is from ${dayName(status.date, now)}. A new day has begun since.`;
    return notice("warn", "Remaining quota is unknown", last);
  }
  if (status.source === "snapshot" && !status.can_make_calls) {
    const last = `At the last snapshot ${quantity(remaining, "call")} of ${formatCount(limit)} were left.`;
    return notice("bad", "Calls are paused", `The ledger does not respond, so no call is granted. ${last}`);
  }
  if (used >= limit && enforcement === "enforce") {
    return notice("bad", "Today's calls are used up", `No call is granted until 00:00 UTC, in ${untilReset}.`);
  }
  if (used >= limit) {
    const over = used > limit ? `Usage is ${quantity(used - limit, "call")} over the limit` : "The limit is reached";
    return notice("bad", "Today's calls are used up, calls continue", `${over}. The limit is not enforced, so calls are still granted.`);
  }
  if (remaining === 0) {
    const reserved = `Open reservations hold ${quantity(status.reserved, "call")}. They are charged or released within minutes.`;
    return notice("warn", "All remaining calls are reserved", reserved);
  }
  if (forecast.exhausted_at !== null) return endsEarly(status, Date.parse(forecast.exhausted_at), now);
  const lasts = (reason: string): Notice => notice("good", "Today's quota will last", reason);
  if (forecast.calls_per_hour === 0) {
    return lasts(`No calls in the last hour. ${formatCount(remaining)} of ${formatCount(limit)} calls are left.`);
  }
  const leftAtEnd = Math.max(0, Math.floor(limit - used - forecast.calls_per_hour * ((endOfDay(now) - now) / HOUR_MS)));
  const pace = `At ${quantity(forecast.calls_per_hour, "call")} an hour`;
  return lasts(`${pace}, about ${formatCount(leftAtEnd)} will be left at 00:00 UTC, in ${untilReset}.`);
}

function endsEarly({ forecast, remaining: left }: QuotaStatus, at: number, now: number): Notice {
  const pace = `At ${quantity(forecast.calls_per_hour, "call")} an hour`;
  const spent = `${pace}, the remaining ${formatCount(left)} run out ${duration(endOfDay(now) - at)} before the reset.`;
  return notice(at - now <= HOUR_MS ? "bad" : "warn", `Quota runs out at ${clockTime(at)}`, spent);
}

/** Warnings for operators, most severe first. */
export function noticesOf(status: QuotaStatus, now: number): readonly Notice[] {
  const all = [source, enforcement, aboveQuota, nearlyUsedUp, untracked, floor, recovered].map((noticeOf) => noticeOf(status, now));
  return all.filter((notice) => notice !== null);
}

function source({ source: from, age_seconds: age = 0 }: QuotaStatus): Notice | null {
  if (from === "ledger") return null;
  const title = `The ledger does not respond, this snapshot is ${duration(age * 1_000)} old`;
  return notice("bad", title, "It usually recovers automatically. See the log for the cause.");
}

function enforcement({ enforcement: mode }: QuotaStatus): Notice | null {
  switch (mode) {
    case "enforce":
      return null;
    case "observe":
      return notice("warn", "Observe mode, no call is refused", "Calls over the limit are counted and logged.");
    case "off":
      return notice("bad", "Enforcement is off, no call is refused", "Calls are only counted. They continue even if the ledger fails.");
  }
}

function aboveQuota({ used, daily_limit: sold }: QuotaStatus): Notice | null {
  if (used <= sold) return null;
  const detail = `${quantity(used - sold, "call")} above the daily quota of ${formatCount(sold)}. The provider may refuse them or bill them separately.`;
  return notice("bad", "Usage exceeds the provider's quota", detail);
}

/** Warns about current usage. The forecast only covers the last hour. */
function nearlyUsedUp({ percentage_used: percent, used, safety_limit: limit, remaining }: QuotaStatus): Notice | null {
  if (percent < 80 || used >= limit) return null;
  return notice("warn", `${percent}% of today's calls are used`, `${quantity(remaining, "call")} left of ${formatCount(limit)}.`);
}

function untracked({ callers }: QuotaStatus): Notice | null {
  const calls = callers.find(({ caller }) => caller === "untracked")?.used ?? 0;
  if (calls <= 0) return null;
  const title = `${quantity(calls, "call")} made outside this service`;
  return notice("warn", title, "Another program uses the provider's key. These calls count as used.");
}

function floor({ background, remaining }: QuotaStatus, now: number): Notice | null {
  if (remaining === 0 || background.remaining > 0) return null;
  const kept = `The last ${formatCount(background.floor)} calls are for interactive callers`;
  return notice("info", "Background work waits", `${kept}. This floor shrinks to 0 by 00:00 UTC, in ${duration(endOfDay(now) - now)}.`);
}

function recovered({ recovered: isRecovered }: QuotaStatus): Notice | null {
  if (isRecovered !== true) return null;
  const detail = "Today's count comes from the last snapshot or the provider. This notice disappears tomorrow.";
  return notice("info", "Ledger storage was empty", detail);
}
