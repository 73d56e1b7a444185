/**
 * The response to abuse: evaluates the measurements, decides, and carries out the decision in one transaction with its inputs. A job
 * decides once. Repeating it returns the same decision.
 */
import type { Deps } from "../../deps.ts";
import { MINUTE_MS, isoSeconds } from "../../lib/time.ts";
import { detectionStatements, findDetection, getProjectDetails, getProjectOwner, recordAbuseDetection } from "../../store/abuse/abuse.ts";
import type { AbuseDecision, AbusePattern, Detection, DetectionRow } from "../../store/abuse/abuse.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import { getOthersMetrics, getProjectBaseline, getProjectMetrics } from "../../store/abuse/rates.ts";
import type { RequestCounts, WindowPair } from "../../store/abuse/rates.ts";
import { lastLifted, suspend } from "../../store/suspension/suspensions.ts";
import { WINDOW_MINUTES, baselineHours, judgeGiven, judgeMeasured, windowsBefore } from "./evidence.ts";
import type { GivenMetrics, Measured, Verdict } from "./evidence.ts";
import { changing, newOperation } from "../changing.ts";
import { projectSubject } from "../projects/projects.ts";

export interface AbuseRequest {
  /** The job's id. */
  readonly run: string;
  readonly projectId: string;
  readonly pattern: AbusePattern;
  /** Metrics measured by the sender. */
  readonly given: GivenMetrics;
  /** false: report only. */
  readonly enforce: boolean;
  /** Epoch milliseconds. null: now. */
  readonly asOf: number | null;
}

export interface AbuseResult {
  readonly project_id: string;
  readonly pattern_type: AbusePattern;
  readonly decision: AbuseDecision;
  readonly why: string;
  readonly evidence: "measured" | "given";
  readonly enforce_action: boolean;
  readonly as_of: string;
  readonly metrics: unknown;
}

const resultOf = (
  row: Pick<DetectionRow, "project_id" | "pattern" | "decision" | "why" | "evidence" | "enforce" | "as_of" | "inputs">,
): AbuseResult => ({
  project_id: row.project_id,
  pattern_type: row.pattern,
  decision: row.decision,
  why: row.why,
  evidence: row.evidence,
  enforce_action: row.enforce === 1,
  as_of: isoSeconds(row.as_of),
  metrics: JSON.parse(row.inputs) as unknown,
});

/**
 * Decides about one project. Returns null if it does not exist. Throws `storage_unavailable`, and decides nothing, if the database fails.
 */
export async function autoSuspend({ db, clock }: Pick<Deps, "db" | "clock">, request: AbuseRequest): Promise<AbuseResult | null> {
  const { run, projectId } = request;
  const before = await findDetection(db, run);
  if (before) return resultOf(before);
  const owner = await getProjectOwner(db, projectId);
  if (owner === null) return null;
  const asOf = request.asOf ?? clock();
  const pair = windowsBefore(asOf);
  const observation = await observe(db, request, pair);
  const actor = { actor: `job:${run}`, key: null };
  await changing(async () => {
    const seen = await getProjectDetails(db, projectId, clock());
    if (seen === null) return true;
    const operation = newOperation(actor, clock());
    const detection = detectionOf(request, { ...observation, pair, asOf: pair.to * MINUTE_MS }, decide(seen, request, observation), owner);
    if (detection.decision !== "suspended") {
      await recordAbuseDetection(db, detection, operation);
      return true;
    }
    const reasons = seen.suspensions.map(({ reason }) => reason);
    const reason = `abuse:${request.pattern}`;
    const after = { reasons: [...reasons, reason], detail: detection.why };
    const note = { action: "project.suspend", subject: projectSubject(projectId), projectId, before: { reasons }, after };
    const row = { reason, capType: null, detail: detection.why, until: null };
    return (await suspend(db, seen, row, operation, note, detectionStatements(db, detection, operation, true))) || null;
  });
  const decided = await findDetection(db, run);
  return decided && resultOf(decided);
}

interface Observation {
  readonly verdict: Verdict;
  readonly evidence: "measured" | "given";
  readonly measured: Measured;
}

/** Our measurements take precedence. Given metrics count only if nothing was measured. */
async function observe(db: D1Database, { projectId, pattern, given }: AbuseRequest, pair: WindowPair): Promise<Observation> {
  const windows = await getProjectMetrics(db, projectId, pair);
  const baseline = await getProjectBaseline(db, projectId, ...baselineHours(pair));
  const others = pattern === "ERROR_SPIKE" ? await getOthersMetrics(db, projectId, pair) : null;
  const measured = { windows, baseline, others };
  const unmeasured = baseline.hours === 0 && windows.every(({ requests, probes }) => requests + probes === 0);
  const evidence = unmeasured ? "given" : "measured";
  const verdict = unmeasured ? judgeGiven(pattern, given) : judgeMeasured(pattern, measured);
  const lifted = await lastLifted(db, projectId);
  // The operator who reactivated the project already knew about these windows.
  if (verdict.verdict === "evident" && lifted !== null && lifted > pair.from * MINUTE_MS) {
    const why = `the project was reactivated at ${isoSeconds(lifted)}, so that earlier requests no longer count`;
    return { verdict: { verdict: "insufficient", why }, evidence, measured };
  }
  return { verdict, evidence, measured };
}

function decide({ lifecycle, suspensions }: ProjectView, { enforce }: AbuseRequest, { verdict }: Observation): AbuseDecision {
  if (verdict.verdict !== "evident") return verdict.verdict;
  if (lifecycle !== "ACTIVE") return "not_active";
  // A reason with an end does not count, because the project would resume afterwards.
  if (suspensions.some(({ reason, until }) => until === null && !reason.startsWith("quota:"))) return "already_suspended";
  return enforce ? "suspended" : "reported";
}

function detectionOf(
  { run, projectId, pattern, given, enforce }: AbuseRequest,
  { verdict, evidence, measured, pair, asOf }: Observation & { readonly pair: WindowPair; readonly asOf: number },
  decision: AbuseDecision,
  owner: object,
): Detection {
  const metrics = roundedMetrics(measured);
  const inputs = { ...metrics, windows: measured.windows, baseline: measured.baseline, others: measured.others, given };
  const eventData = {
    project_id: projectId,
    pattern_type: pattern,
    decision,
    why: verdict.why,
    as_of: isoSeconds(asOf),
    evidence,
    metrics: evidence === "measured" ? metrics : given,
    ...owner,
  };
  const flagged = evidence === "measured" && verdict.verdict === "evident" ? pair : null;
  return { run, projectId, pattern, asOf, decision, why: verdict.why, evidence, enforce, inputs, eventData, flagged };
}

/** Rounded for people. The decision uses the exact numbers, which `inputs` holds too. */
function roundedMetrics({ windows: [, latest], baseline }: Measured) {
  const perMinute = (requests: number, windows: number) => (windows === 0 ? null : rounded(requests / (windows * WINDOW_MINUTES)));
  return {
    requests_per_minute: perMinute(latest.requests, 1),
    baseline_requests_per_minute: perMinute(baseline.requests, baseline.windows),
    error_rate: rateOf(latest),
  };
}

const rateOf = ({ errors, requests }: RequestCounts): number | null => (requests === 0 ? null : rounded(errors / requests));

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
