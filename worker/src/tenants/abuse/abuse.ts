/**
 * The response to abuse: looks at what was measured, decides, and does what was decided, with its inputs, in one transaction. A decision is
 * taken once for a job: done again it answers the same.
 */
import type { Deps } from "../../deps.ts";
import { MINUTE_MS, isoSeconds } from "../../lib/time.ts";
import { detectionStatements, findDetection, getProjectDetails, getProjectOwner, recordAbuseDetection } from "../../store/abuse/abuse.ts";
import type { AbuseDecision, AbusePattern, Detection, DetectionRow } from "../../store/abuse/abuse.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import { getOthersMetrics, getProjectBaseline, getProjectMetrics } from "../../store/abuse/rates.ts";
import type { Tally, WindowPair } from "../../store/abuse/rates.ts";
import { lastLifted, suspend } from "../../store/suspension/suspensions.ts";
import { WINDOW_MINUTES, baselineHours, judgeGiven, judgeMeasured, windowsBefore } from "./evidence.ts";
import type { GivenMetrics, Measured, Verdict } from "./evidence.ts";
import { changing, newOperation } from "../changing.ts";
import { projectSubject } from "../projects/projects.ts";

export interface AbuseQuestion {
  /** The job's id. */
  readonly run: string;
  readonly projectId: string;
  readonly pattern: AbusePattern;
  /** What whoever asks has measured. */
  readonly given: GivenMetrics;
  /** false: it is only to be reported. */
  readonly enforce: boolean;
  /** Epoch milliseconds; null: now. */
  readonly asOf: number | null;
}

export interface AbuseAnswer {
  readonly project_id: string;
  readonly pattern_type: AbusePattern;
  readonly decision: AbuseDecision;
  readonly why: string;
  readonly evidence: "measured" | "given";
  readonly enforce_action: boolean;
  readonly as_of: string;
  readonly metrics: unknown;
}

const answerOf = (
  row: Pick<DetectionRow, "project_id" | "pattern" | "decision" | "why" | "evidence" | "enforce" | "as_of" | "inputs">,
): AbuseAnswer => ({
  project_id: row.project_id,
  pattern_type: row.pattern,
  decision: row.decision,
  why: row.why,
  evidence: row.evidence,
  enforce_action: row.enforce === 1,
  as_of: isoSeconds(row.as_of),
  metrics: JSON.parse(row.inputs) as unknown,
});

/** Decides about one project; null where there is none. Throws `storage_unavailable`: then nothing was decided. */
export async function autoSuspend({ db, clock }: Pick<Deps, "db" | "clock">, question: AbuseQuestion): Promise<AbuseAnswer | null> {
  const { run, projectId } = question;
  const before = await findDetection(db, run);
  if (before) return answerOf(before);
  const owner = await getProjectOwner(db, projectId);
  if (owner === null) return null;
  const asOf = question.asOf ?? clock();
  const pair = windowsBefore(asOf);
  const looked = await look(db, question, pair);
  const actor = { actor: `job:${run}`, tenant: false };
  await changing(async () => {
    const seen = await getProjectDetails(db, projectId, clock());
    if (seen === null) return true;
    const operation = newOperation(actor, clock());
    const detection = detectionOf(question, { ...looked, pair, asOf: pair.to * MINUTE_MS }, decide(seen, question, looked), owner);
    if (detection.decision !== "suspended") {
      await recordAbuseDetection(db, detection, operation);
      return true;
    }
    const reasons = seen.suspensions.map(({ reason }) => reason);
    const reason = `abuse:${question.pattern}`;
    const after = { reasons: [...reasons, reason], detail: detection.why };
    const note = { action: "project.suspend", subject: projectSubject(projectId), projectId, before: { reasons }, after };
    const row = { reason, capType: null, detail: detection.why, until: null };
    return (await suspend(db, seen, row, operation, note, detectionStatements(db, detection, operation, true))) || null;
  });
  const decided = await findDetection(db, run);
  return decided && answerOf(decided);
}

interface Looked {
  readonly verdict: Verdict;
  readonly evidence: "measured" | "given";
  readonly measured: Measured;
}

/** What we measured wins; what was given counts only where we measured nothing. */
async function look(db: D1Database, { projectId, pattern, given }: AbuseQuestion, pair: WindowPair): Promise<Looked> {
  const windows = await getProjectMetrics(db, projectId, pair);
  const baseline = await getProjectBaseline(db, projectId, ...baselineHours(pair));
  const others = pattern === "ERROR_SPIKE" ? await getOthersMetrics(db, projectId, pair) : null;
  const measured = { windows, baseline, others };
  const nothing = baseline.hours === 0 && windows.every(({ requests, probes }) => requests + probes === 0);
  const evidence = nothing ? "given" : "measured";
  const verdict = nothing ? judgeGiven(pattern, given) : judgeMeasured(pattern, measured);
  const lifted = await lastLifted(db, projectId);
  // Whoever reactivated the project knew what had happened until then, whoever measured it.
  if (verdict.verdict === "evident" && lifted !== null && lifted > pair.from * MINUTE_MS) {
    const why = `the project was reactivated at ${isoSeconds(lifted)}; what it did before is not held against it again`;
    return { verdict: { verdict: "insufficient", why }, evidence, measured };
  }
  return { verdict, evidence, measured };
}

function decide({ lifecycle, suspensions }: ProjectView, { enforce }: AbuseQuestion, { verdict }: Looked): AbuseDecision {
  if (verdict.verdict !== "evident") return verdict.verdict;
  if (lifecycle !== "ACTIVE") return "not_active";
  // A reason with an end is none for good: it would let the project go on as before.
  if (suspensions.some(({ reason, until }) => until === null && !reason.startsWith("quota:"))) return "already_suspended";
  return enforce ? "suspended" : "reported";
}

function detectionOf(
  { run, projectId, pattern, given, enforce }: AbuseQuestion,
  { verdict, evidence, measured, pair, asOf }: Looked & { readonly pair: WindowPair; readonly asOf: number },
  decision: AbuseDecision,
  owner: object,
): Detection {
  const metrics = shownMetrics(measured);
  const inputs = { ...metrics, windows: measured.windows, baseline: measured.baseline, others: measured.others, given };
  const told = {
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
  return { run, projectId, pattern, asOf, decision, why: verdict.why, evidence, enforce, inputs, told, flagged };
}

/** For people: the decision was taken on the whole numbers beside them. */
function shownMetrics({ windows: [, latest], baseline }: Measured) {
  const perMinute = (requests: number, windows: number) => (windows === 0 ? null : rounded(requests / (windows * WINDOW_MINUTES)));
  return {
    requests_per_minute: perMinute(latest.requests, 1),
    baseline_requests_per_minute: perMinute(baseline.requests, baseline.windows),
    error_rate: rateOf(latest),
  };
}

const rateOf = ({ errors, requests }: Tally): number | null => (requests === 0 ? null : rounded(errors / requests));

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
