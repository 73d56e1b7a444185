/** What the numbers mean, in sentences. No I/O. No clock. */
import type { QuotaStatus } from "../quota/index.ts";
import { HOUR_MS, dayOf, endOfDay } from "../lib/time.ts";
import { clockTime, counted, dayName, duration, grouped } from "./format.ts";

export type Level = "good" | "info" | "warn" | "bad";

export interface Said {
  readonly level: Level;
  readonly title: string;
  readonly detail: string;
}

const said = (level: Level, title: string, detail: string): Said => ({ level, title, detail });

/** The answer to "will the day last?". */
export function verdictOf(status: QuotaStatus, now: number): Said {
  const { used, safety_limit: limit, remaining, forecast, enforcement } = status;
  const untilReset = duration(endOfDay(now) - now);
  if (status.date !== dayOf(now)) {
    const last = `The last state that is known is of ${dayName(status.date, now)}, and a new day has begun since.`;
    return said("warn", "Nobody knows how much is left today", last);
  }
  if (status.source === "snapshot" && !status.can_make_calls) {
    const last = `When it last did, ${counted(remaining, "call")} of ${grouped(limit)} were left.`;
    return said("bad", "Nothing is sent at this moment", `The ledger does not answer, and without its word nothing is granted. ${last}`);
  }
  if (used >= limit && enforcement === "enforce") {
    return said("bad", "Today's calls are used up", `Nothing more is granted until 00:00 UTC, in ${untilReset}.`);
  }
  if (used >= limit) {
    const over = used > limit ? `${counted(used - limit, "call")} beyond the safety limit` : "The safety limit is reached";
    return said("bad", "Today's calls are used up, and calls go on", `${over}; what is asked for is granted all the same.`);
  }
  if (remaining === 0) {
    const held = `${counted(status.reserved, "call")} held by open reservations: they are given back or charged within minutes.`;
    return said("warn", "All that is left is reserved", held);
  }
  if (forecast.exhausted_at !== null) return endsEarly(status, Date.parse(forecast.exhausted_at), now);
  const lasts = (why: string): Said => said("good", "The day will last", why);
  if (forecast.calls_per_hour === 0) {
    return lasts(`Nothing was spent in the last hour; ${grouped(remaining)} of ${grouped(limit)} calls are left.`);
  }
  const leftAtEnd = Math.max(0, Math.floor(limit - used - forecast.calls_per_hour * ((endOfDay(now) - now) / HOUR_MS)));
  const pace = `At ${counted(forecast.calls_per_hour, "call")} an hour`;
  return lasts(`${pace} about ${grouped(leftAtEnd)} will be left at 00:00 UTC, in ${untilReset}.`);
}

function endsEarly({ forecast, safety_remaining: left }: QuotaStatus, at: number, now: number): Said {
  const pace = `At ${counted(forecast.calls_per_hour, "call")} an hour`;
  const spent = `${pace} the ${grouped(left)} that are left are spent ${duration(endOfDay(now) - at)} before new ones come.`;
  return said(at - now <= HOUR_MS ? "bad" : "warn", `At this pace the day ends at ${clockTime(at)}`, spent);
}

/** All that an operator should know besides, the gravest first. */
export function noticesOf(status: QuotaStatus, now: number): readonly Said[] {
  const all = [source, enforcement, overSold, nearlyGone, untracked, floor, recovered].map((noticeOf) => noticeOf(status, now));
  return all.filter((notice) => notice !== null);
}

function source({ source: from, age_seconds: age = 0 }: QuotaStatus): Said | null {
  if (from === "ledger") return null;
  const title = `Status comes from a snapshot ${duration(age * 1_000)} old: the ledger does not answer`;
  return said("bad", title, "It heals by itself; the log says why it fails.");
}

function enforcement({ enforcement: mode }: QuotaStatus): Said | null {
  switch (mode) {
    case "enforce":
      return null;
    case "observe":
      return said("warn", "Observing: nothing is refused", "What would be refused is counted and logged.");
    case "off":
      return said("bad", "Enforcement is off: nothing is refused", "Calls are only counted, and go on even when the ledger fails.");
  }
}

function overSold({ used, daily_limit: sold }: QuotaStatus): Said | null {
  if (used <= sold) return null;
  const detail = `${counted(used - sold, "call")} more than the ${grouped(sold)} of a day: the provider refuses them or bills them apart.`;
  return said("bad", "More is used than the provider sells", detail);
}

/** The forecast looks an hour back; this looks at what is there. */
function nearlyGone({ percentage_used: percent, used, safety_limit: limit, remaining }: QuotaStatus): Said | null {
  if (percent < 80 || used >= limit) return null;
  return said("warn", `${percent} % of today's calls are used`, `${counted(remaining, "call")} left of ${grouped(limit)}.`);
}

function untracked({ callers }: QuotaStatus): Said | null {
  const calls = callers.find(({ caller }) => caller === "untracked")?.used ?? 0;
  if (calls <= 0) return null;
  const title = `The provider counted ${counted(calls, "call")} that nobody of us reported`;
  return said("warn", title, "Somebody uses the key without asking. Their calls are part of what is used.");
}

function floor({ background, remaining }: QuotaStatus, now: number): Said | null {
  if (remaining === 0 || background.remaining > 0) return null;
  const kept = `The last ${grouped(background.floor)} are kept for interactive callers`;
  return said("info", "Background work waits", `${kept}; what is kept shrinks to 0 by 00:00 UTC, in ${duration(endOfDay(now) - now)}.`);
}

function recovered({ recovered: was }: QuotaStatus): Said | null {
  if (was !== true) return null;
  const detail = "Today's count was taken from the last snapshot or from the provider. Tomorrow this notice is gone.";
  return said("info", "The ledger's store was empty", detail);
}
