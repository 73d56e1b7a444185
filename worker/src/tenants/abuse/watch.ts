/** Detects abuse from the coordinator's own measurements: compares the last minutes with the baseline. */
import { HOUR_MS, MINUTE_MS } from "../../lib/time.ts";
import type { Deps } from "../../deps.ts";
import { log } from "../../lib/log.ts";
import type { AbusePattern } from "../../store/abuse/abuse.ts";
import { findAbuseCandidates, rollUpHours } from "../../store/abuse/rates.ts";
import type { Candidate } from "../../store/abuse/rates.ts";
import { EXCESS_FACTOR, MIN_REQUESTS, WINDOW_MINUTES, baselineHours, windowsBefore } from "./evidence.ts";

/** Hours are summed after their last windows have been evaluated, so that flagged minutes are excluded. */
const SUMMED_UP_AFTER_MS = 15 * MINUTE_MS;
/** Equals the retention of minutes. After an outage, all hours whose minutes still exist are summed. */
const SUMMED_UP_WITHIN_MS = 48 * HOUR_MS;
/** Each candidate is a job. More of them suggest an outage rather than abuse, and the next pass finds the rest. */
const MAX_CANDIDATES = 50;

/**
 * Requests a job for each project that seems to show a pattern. The job's id contains project, pattern and windows, so that repeated passes
 * add none.
 */
export async function detectAbuse({
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
  if (candidates.length === MAX_CANDIDATES) log.warn("Many abuse candidates found", { at_least: MAX_CANDIDATES });
  let requested = 0;
  for (const candidate of candidates) {
    for (const patternType of patternsOf(candidate)) {
      const projectId = candidate.project_id;
      const key = `${projectId}:${patternType}:${asOf}`;
      const payload = { projectId, patternType, enforceAction: config.abuse.enforce, asOf };
      const { created } = await jobs.enqueueAutoSuspendJob(payload, { requestedBy: "housekeeping", idempotencyKey: key });
      requested += Number(created);
    }
  }
  return { jobs: requested };
}

const patternsOf = ({ excessive, errors, probes }: Candidate): AbusePattern[] => [
  ...(excessive === 1 ? (["EXCESSIVE_USAGE"] as const) : []),
  ...(errors === 1 ? (["ERROR_SPIKE"] as const) : []),
  ...(probes === 1 ? (["SUSPICIOUS_PATTERN"] as const) : []),
];
