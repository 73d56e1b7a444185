/**
 * When a project is abused: the rules, on plain numbers. No I/O. No clock. Whole numbers are compared with whole numbers; nothing is
 * divided. Every pattern needs the same evidence: enough requests, in two windows in a row, of a project whose use is known.
 */
import { MINUTE_MS } from "../../lib/time.ts";
import type { AbusePattern } from "../../store/abuse/abuse.ts";
import type { Baseline, Tally, WindowPair } from "../../store/abuse/rates.ts";

export const WINDOW_MINUTES = 5;
const HOUR_MINUTES = 60;

/** In each window: of fewer, a share says nothing. */
export const MIN_REQUESTS = 100;
const MIN_WINDOWS = 2;
/** What is usual is taken from the last seven days: every day of the week is among them. */
const BASELINE_HOURS = 7 * 24;
/** With use, on at least so many days: below that nobody knows what is usual. */
const MIN_BASELINE_HOURS = 12;
const MIN_BASELINE_DAYS = 3;
/** EXCESSIVE_USAGE: more than so many times what is usual. */
export const EXCESS_FACTOR = 10;

/** The last two windows that were complete at a moment, to the minute. */
export function windowsBefore(asOf: number): WindowPair {
  const to = Math.floor(asOf / MINUTE_MS);
  return { from: to - 2 * WINDOW_MINUTES, middle: to - WINDOW_MINUTES, to };
}

/** The hours that two windows are compared with: over before the first of them began. */
export function baselineHours({ from }: WindowPair): readonly [number, number] {
  const to = Math.floor(from / HOUR_MINUTES);
  return [to - BASELINE_HOURS, to];
}

export interface Verdict {
  /** `insufficient`: there is too little to tell. `normal`: there is enough, and it is not so. */
  readonly verdict: "evident" | "normal" | "insufficient";
  readonly why: string;
}

const insufficient = (why: string): Verdict => ({ verdict: "insufficient", why });
const normal = (why: string): Verdict => ({ verdict: "normal", why });
const evident = (why: string): Verdict => ({ verdict: "evident", why });

export interface Measured {
  /** The earlier first. */
  readonly windows: readonly [Tally, Tally];
  readonly baseline: Baseline;
  /** What everybody else asked in the same time; null: the pattern does not ask. */
  readonly others: Tally | null;
}

/** What our own metering says. */
export function judgeMeasured(pattern: AbusePattern, { windows, baseline, others }: Measured): Verdict {
  const counted = pattern === "SUSPICIOUS_PATTERN" ? "probes" : "requests";
  const fewest = Math.min(...windows.map((window) => window[counted]));
  if (fewest < MIN_REQUESTS) {
    const each = windows.map((window) => window[counted]).join(" and ");
    return insufficient(`${each} ${counted} in two windows of ${WINDOW_MINUTES} minutes; at least ${MIN_REQUESTS} are needed in each`);
  }
  if (baseline.hours < MIN_BASELINE_HOURS || baseline.days < MIN_BASELINE_DAYS) {
    const needed = `${MIN_BASELINE_HOURS} hours on ${MIN_BASELINE_DAYS} days`;
    return insufficient(`${baseline.hours} hours of use on ${baseline.days} days are known; at least ${needed} are needed`);
  }
  if (!windows.every((window) => isPattern(pattern, window, baseline))) return normal(whyOf(pattern, windows, baseline));
  const outage = pattern === "ERROR_SPIKE" ? outageIn(windows, others) : null;
  return outage === null ? evident(whyOf(pattern, windows, baseline)) : insufficient(outage);
}

function isPattern(pattern: AbusePattern, { requests, errors, probes }: Tally, baseline: Baseline): boolean {
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
 * Errors that are mostly 5xx may be the provider's or our own: nobody is stopped for them unless everybody else was well at the same time.
 * null: they are the project's.
 */
function outageIn(windows: readonly Tally[], others: Tally | null): string | null {
  const sum = (name: keyof Tally): number => windows.reduce((total, window) => total + window[name], 0);
  const own = sum("errors") - sum("failures");
  if (windows.every(({ requests, errors, failures }) => (errors - failures) * 2 > requests)) return null;
  if (others === null || others.requests < MIN_REQUESTS) {
    return `${sum("failures")} of the errors are 5xx (${own} are not), and too few others asked at the time to tell whose fault they are`;
  }
  return others.failures * 2 > others.requests
    ? `${sum("failures")} of the errors are 5xx, and so were ${others.failures} of ${others.requests} answers to others at the time`
    : null;
}

function whyOf(pattern: AbusePattern, windows: readonly Tally[], baseline: Baseline): string {
  const of = (name: keyof Tally): string => windows.map((window) => window[name]).join(" and ");
  switch (pattern) {
    case "EXCESSIVE_USAGE": {
      const usual = `${baseline.requests} in ${baseline.windows} windows`;
      return `${of("requests")} requests in two windows; usual are ${usual}, and more than ${EXCESS_FACTOR} times that is excessive`;
    }
    case "ERROR_SPIKE":
      return `${of("errors")} errors in ${of("requests")} requests; more than half are a spike`;
    case "SUSPICIOUS_PATTERN":
      return `${of("probes")} probes beside ${of("requests")} requests; more probes than requests are suspicious`;
  }
}

/** Names of numbers that a sender may give; what stands beside them is kept and means nothing here. */
export type GivenMetrics = Readonly<Record<string, number | string>>;

/**
 * What a sender measured, for projects that our own metering knows nothing of: the same rules, so that it must also say of how many requests
 * (in the smaller window), windows and hours of the baseline it speaks.
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
    return insufficient(
      `we measured nothing of this project, and of the given metrics are missing: ${[...missing, ...compared].join(", ")}`,
    );
  }
  if (pattern === "EXCESSIVE_USAGE" && (number("baseline_requests_per_minute") ?? 0) <= 0) {
    return insufficient("a baseline_requests_per_minute of 0 says that nothing is known, and not what is usual");
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
