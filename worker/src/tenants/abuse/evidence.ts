/**
 * The rules for detecting abuse, on plain numbers. No I/O. No clock. Compares integers and never divides. Every pattern needs enough
 * requests in two consecutive windows, and a project with a known baseline.
 */
import { MINUTE_MS } from "../../lib/time.ts";
import type { AbusePattern } from "../../store/abuse/abuse.ts";
import type { Baseline, RequestCounts, WindowPair } from "../../store/abuse/rates.ts";

export const WINDOW_MINUTES = 5;
const HOUR_MINUTES = 60;

/** Minimum in each window. A share of fewer requests is meaningless. */
export const MIN_REQUESTS = 100;
const MIN_WINDOWS = 2;
/** Seven days, so that the baseline includes every weekday. */
const BASELINE_HOURS = 7 * 24;
/** Minimum hours with use, spread over the minimum days. Below that the baseline is unknown. */
const MIN_BASELINE_HOURS = 12;
const MIN_BASELINE_DAYS = 3;
/** EXCESSIVE_USAGE: more than this multiple of the baseline. */
export const EXCESS_FACTOR = 10;

/** The last two complete windows before a time, to the minute. */
export function windowsBefore(asOf: number): WindowPair {
  const to = Math.floor(asOf / MINUTE_MS);
  return { from: to - 2 * WINDOW_MINUTES, middle: to - WINDOW_MINUTES, to };
}

/** The hours that two windows are compared with. They end before the first window starts. */
export function baselineHours({ from }: WindowPair): readonly [number, number] {
  const to = Math.floor(from / HOUR_MINUTES);
  return [to - BASELINE_HOURS, to];
}

export interface Verdict {
  /** `insufficient`: too little data. `normal`: enough data, and no pattern. */
  readonly verdict: "evident" | "normal" | "insufficient";
  readonly why: string;
}

const insufficient = (why: string): Verdict => ({ verdict: "insufficient", why });
const normal = (why: string): Verdict => ({ verdict: "normal", why });
const evident = (why: string): Verdict => ({ verdict: "evident", why });

export interface Measured {
  /** The earlier first. */
  readonly windows: readonly [RequestCounts, RequestCounts];
  readonly baseline: Baseline;
  /** Counts of all other projects in the same windows. null: the pattern does not need them. */
  readonly others: RequestCounts | null;
}

/** Verdict from our own measurements. */
export function judgeMeasured(pattern: AbusePattern, { windows, baseline, others }: Measured): Verdict {
  const counted = pattern === "SUSPICIOUS_PATTERN" ? "probes" : "requests";
  const fewest = Math.min(...windows.map((window) => window[counted]));
  if (fewest < MIN_REQUESTS) {
    const each = windows.map((window) => window[counted]).join(" and ");
    return insufficient(`${each} ${counted} in two windows of ${WINDOW_MINUTES} minutes (each needs at least ${MIN_REQUESTS})`);
  }
  if (baseline.hours < MIN_BASELINE_HOURS || baseline.days < MIN_BASELINE_DAYS) {
    const needed = `${MIN_BASELINE_HOURS} hours on ${MIN_BASELINE_DAYS} days`;
    return insufficient(`the baseline has ${baseline.hours} hours of use on ${baseline.days} days (at least ${needed} are needed)`);
  }
  if (!windows.every((window) => isPattern(pattern, window, baseline))) return normal(whyOf(pattern, windows, baseline));
  const outage = pattern === "ERROR_SPIKE" ? outageIn(windows, others) : null;
  return outage === null ? evident(whyOf(pattern, windows, baseline)) : insufficient(outage);
}

function isPattern(pattern: AbusePattern, { requests, errors, probes }: RequestCounts, baseline: Baseline): boolean {
  switch (pattern) {
    case "EXCESSIVE_USAGE":
      return requests * baseline.windows > EXCESS_FACTOR * baseline.requests;
    case "ERROR_SPIKE":
      return errors * 2 > requests;
    case "SUSPICIOUS_PATTERN":
      return probes > requests;
  }
}

/**
 * Errors that are mostly 5xx may be caused by the provider or the coordinator. They count only if the other projects had few failures.
 * Returns null if the project causes the errors.
 */
function outageIn(windows: readonly RequestCounts[], others: RequestCounts | null): string | null {
  const sum = (name: keyof RequestCounts): number => windows.reduce((total, window) => total + window[name], 0);
  const own = sum("errors") - sum("failures");
  if (windows.every(({ requests, errors, failures }) => (errors - failures) * 2 > requests)) return null;
  if (others === null || others.requests < MIN_REQUESTS) {
    return `${sum("failures")} of the errors are 5xx (${own} are not), and other projects sent too few requests to identify the cause`;
  }
  return others.failures * 2 > others.requests
    ? `${sum("failures")} of the errors are 5xx, like ${others.failures} of ${others.requests} responses to other projects`
    : null;
}

function whyOf(pattern: AbusePattern, windows: readonly RequestCounts[], baseline: Baseline): string {
  const of = (name: keyof RequestCounts): string => windows.map((window) => window[name]).join(" and ");
  switch (pattern) {
    case "EXCESSIVE_USAGE": {
      const usual = `${baseline.requests} in ${baseline.windows} windows`;
      return `${of("requests")} requests in two windows (baseline: ${usual}, excessive: more than ${EXCESS_FACTOR} times that)`;
    }
    case "ERROR_SPIKE":
      return `${of("errors")} errors in ${of("requests")} requests (a spike: more than half)`;
    case "SUSPICIOUS_PATTERN":
      return `${of("probes")} probes and ${of("requests")} requests (suspicious: more probes than requests)`;
  }
}

/** Metrics of a sender, by name. Other names are stored but not evaluated. */
export type GivenMetrics = Readonly<Record<string, number | string>>;

/**
 * Verdict from a sender's metrics, for projects without measurements. The rules are the same, so the sender must also give the number of
 * requests (in the smaller window), windows, and baseline hours and days.
 */
export function judgeGiven(pattern: AbusePattern, given: GivenMetrics): Verdict {
  const number = (name: string): number | null => (typeof given[name] === "number" ? given[name] : null);
  const counted = pattern === "SUSPICIOUS_PATTERN" ? "probes" : "requests";
  const needed = [
    [counted, MIN_REQUESTS],
    ["windows", MIN_WINDOWS],
    ["baseline_hours", MIN_BASELINE_HOURS],
    ["baseline_days", MIN_BASELINE_DAYS],
  ] as const;
  const missing = needed.filter(([name, least]) => (number(name) ?? 0) < least).map(([name, least]) => `${name} of at least ${least}`);
  const compared = COMPARED[pattern].filter((name) => number(name) === null);
  if (missing.length + compared.length > 0) {
    return insufficient(`nothing was measured for this project, and the given metrics lack: ${[...missing, ...compared].join(", ")}`);
  }
  if (pattern === "EXCESSIVE_USAGE" && (number("baseline_requests_per_minute") ?? 0) <= 0) {
    return insufficient("a baseline_requests_per_minute of 0 means that the baseline is unknown");
  }
  const [value, limit] = [number(COMPARED[pattern][0]) ?? 0, givenLimit(pattern, number)];
  const why = `given: ${COMPARED[pattern].map((name) => `${name} ${number(name)}`).join(", ")}`;
  return value > limit ? evident(why) : normal(why);
}

const COMPARED = {
  EXCESSIVE_USAGE: ["requests_per_minute", "baseline_requests_per_minute"],
  ERROR_SPIKE: ["error_rate"],
  SUSPICIOUS_PATTERN: ["probes", "requests"],
} as const satisfies Record<AbusePattern, readonly string[]>;

function givenLimit(pattern: AbusePattern, number: (name: string) => number | null): number {
  switch (pattern) {
    case "EXCESSIVE_USAGE":
      return EXCESS_FACTOR * (number("baseline_requests_per_minute") ?? 0);
    case "ERROR_SPIKE":
      return 0.5;
    case "SUSPICIOUS_PATTERN":
      return number("requests") ?? 0;
  }
}
