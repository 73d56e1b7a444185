/** Price of a request, whether the plan allows it, and rate limit headers. No I/O. No clock: `now` is an argument. */
import type { Settings } from "./settings.ts";

export const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Usage of the subscription before a request. */
export interface Usage {
  /** Calls of all clients in the current UTC day. */
  spent: number;
  /** Granted requests in the last 60 seconds. */
  recent: number;
  /** Time of the oldest of them, or null without any. */
  oldestAt: number | null;
}

export type Verdict = "billed" | "free" | "minute_quota" | "daily_quota";

export const utcDay = (now: number): string => new Date(now).toISOString().slice(0, 10);

/** 0: unlimited. */
export const requestsPerMinute = (settings: Settings): number => settings.rate_per_second * 60;

/** Price of a batch. Unknown and repeated ISBNs are billed too. A batch above the plan's maximum costs one call. */
export const priceOfBatch = (isbns: number, settings: Settings): number => {
  if (isbns > settings.max_batch) return 1;
  switch (settings.billing) {
    case "per_request":
      return 1;
    case "per_isbn":
      return Math.max(1, isbns);
  }
};

/** Checks the rate before the daily limit. A refusal counts in neither and is not billed. */
export const decide = (calls: number, usage: Usage, settings: Settings): Verdict => {
  if (calls === 0) return "free";
  const perMinute = requestsPerMinute(settings);
  if (perMinute > 0 && usage.recent >= perMinute) return "minute_quota";
  return usage.spent + calls > settings.daily_limit ? "daily_quota" : "billed";
};

/** Headers `ratelimit` and `ratelimit-policy`. Without a rate limit they only contain the daily limit. */
export const limitHeaders = (usage: Usage, settings: Settings, now: number): Record<string, string> => {
  const perMinute = requestsPerMinute(settings);
  const toReset = Math.ceil((DAY_MS - (now % DAY_MS)) / 1_000);
  const left = Math.max(0, settings.daily_limit - usage.spent);
  const policy = [`"daily";q=${settings.daily_limit};w=86400`];
  const state = [`"daily";r=${left};t=${toReset}`];
  if (perMinute > 0) {
    const toFree = usage.oldestAt === null ? 60 : Math.ceil((usage.oldestAt + MINUTE_MS - now) / 1_000);
    policy.unshift(`"rate";q=${perMinute};w=60`);
    state.unshift(`"rate";r=${Math.max(0, perMinute - usage.recent)};t=${toFree}`);
  }
  return { ratelimit: state.join(", "), "ratelimit-policy": policy.join(", ") };
};
