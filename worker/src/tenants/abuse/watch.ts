/** Looking for abuse by ourselves: what was asked in the last minutes, compared with what is usual. */
import { HOUR_MS, MINUTE_MS } from "../../lib/time.ts";
import type { Deps } from "../../deps.ts";
import { log } from "../../lib/log.ts";
import type { AbusePattern } from "../../store/abuse/abuse.ts";
import { findAbuseCandidates, rollUpHours } from "../../store/abuse/rates.ts";
import type { Candidate } from "../../store/abuse/rates.ts";
import { EXCESS_FACTOR, MIN_REQUESTS, WINDOW_MINUTES, baselineHours, windowsBefore } from "./evidence.ts";

/** An hour is summed up when its last windows have been judged, so that what is flagged stays out. */
const SUMMED_UP_AFTER_MS = 15 * MINUTE_MS;
/** As long as minutes are kept: after an outage the hours of that time are summed up too. */
const SUMMED_UP_WITHIN_MS = 48 * HOUR_MS;
/** Each is a job; more at once are an outage rather than abuse, and the rest is found again. */
const MAX_CANDIDATES = 50;

/** Projects that look like a pattern, each a job whose id says project, pattern and windows: looked for twice, it is one. */
export async function lookForAbuse({
  db,
  clock,
  jobs,
  config,
}: Pick<Deps, "db" | "clock" | "jobs" | "config">): Promise<{ readonly jobs: number }> {
  const now = clock();
  await rollUpHours(db, Math.floor((now - SUMMED_UP_WITHIN_MS) / HOUR_MS), Math.floor((now - SUMMED_UP_AFTER_MS) / HOUR_MS));
  const window = WINDOW_MINUTES * MINUTE_MS;
  const asOf = Math.floor(now / window) * window;
  const pair = windowsBefore(asOf);
  const rules = { minRequests: MIN_REQUESTS, factor: EXCESS_FACTOR, hours: baselineHours(pair) };
  const candidates = await findAbuseCandidates(db, pair, rules, now, MAX_CANDIDATES);
  if (candidates.length === MAX_CANDIDATES) log.warn("Many projects look abused at once", { at_least: MAX_CANDIDATES });
  let asked = 0;
  for (const candidate of candidates) {
    for (const patternType of patternsOf(candidate)) {
      const projectId = candidate.project_id;
      const key = `${projectId}:${patternType}:${asOf}`;
      const wanted = { projectId, patternType, enforceAction: config.abuse.enforce, asOf };
      const { created } = await jobs.enqueueAutoSuspendJob(wanted, { requestedBy: "housekeeping", idempotencyKey: key });
      asked += Number(created);
    }
  }
  return { jobs: asked };
}

const patternsOf = ({ excessive, errors, probes }: Candidate): AbusePattern[] => [
  ...(excessive === 1 ? (["EXCESSIVE_USAGE"] as const) : []),
  ...(errors === 1 ? (["ERROR_SPIKE"] as const) : []),
  ...(probes === 1 ? (["SUSPICIOUS_PATTERN"] as const) : []),
];
