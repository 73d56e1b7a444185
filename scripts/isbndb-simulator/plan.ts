/** What a request costs, whether the subscription grants it, and what the headers say about it. No I/O. No clock: `now` is given. */
import type { Settings } from "./settings.ts";

export const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** The subscription as one request meets it. */
export interface Standing {
  /** Calls counted in the current UTC day, whoever made them. */
  spent: number;
  /** Granted requests in the last 60 seconds. */
  recent: number;
  /** When the oldest of those was granted; null without any. */
  oldestAt: number | null;
}

export type Verdict = "billed" | "free" | "minute_quota" | "daily_quota";

export const utcDay = (now: number): string => new Date(now).toISOString().slice(0, 10);

/** Zero is unlimited. */
export const requestsPerMinute = (settings: Settings): number => settings.rate_per_second * 60;

/** Unknown ISBNs and ISBNs named twice are paid for like the others; a batch too large for the plan is one refused request. */
export const priceOfBatch = (isbns: number, settings: Settings): number => {
  if (isbns > settings.max_batch) return 1;
  switch (settings.billing) {
    case "per_request":
      return 1;
    case "per_isbn":
      return Math.max(1, isbns);
  }
};

/** The minute is asked first and a refusal counts in neither: what was refused has cost nothing and fills no window. */
export const decide = (calls: number, standing: Standing, settings: Settings): Verdict => {
  if (calls === 0) return "free";
  const perMinute = requestsPerMinute(settings);
  if (perMinute > 0 && standing.recent >= perMinute) return "minute_quota";
  return standing.spent + calls > settings.daily_limit ? "daily_quota" : "billed";
};

/** `ratelimit` and `ratelimit-policy`; without a rate, only the day is named. */
export const limitHeaders = (standing: Standing, settings: Settings, now: number): Record<string, string> => {
  const perMinute = requestsPerMinute(settings);
  const toReset = Math.ceil((DAY_MS - (now % DAY_MS)) / 1_000);
  const left = Math.max(0, settings.daily_limit - standing.spent);
  const policy = [`"daily";q=${settings.daily_limit};w=86400`];
  const state = [`"daily";r=${left};t=${toReset}`];
  if (perMinute > 0) {
    const toFree = standing.oldestAt === null ? 60 : Math.ceil((standing.oldestAt + MINUTE_MS - now) / 1_000);
    policy.unshift(`"rate";q=${perMinute};w=60`);
    state.unshift(`"rate";r=${Math.max(0, perMinute - standing.recent)};t=${toFree}`);
  }
  return { ratelimit: state.join(", "), "ratelimit-policy": policy.join(", ") };
};
