/** Decisions about abuse, with the evidence they were based on. Times are epoch milliseconds. */
import { claimed } from "../changes.ts";
import type { Operation } from "../changes.ts";
import { olderThan, stored, where } from "../database.ts";
import { INSERT_EVENT } from "../events.ts";
import { findProject } from "../projects/projects.ts";
import type { ProjectView } from "../projects/projects.ts";
import type { WindowPair } from "./rates.ts";

export const ABUSE_PATTERNS = ["EXCESSIVE_USAGE", "ERROR_SPIKE", "SUSPICIOUS_PATTERN"] as const;
export type AbusePattern = (typeof ABUSE_PATTERNS)[number];

/**
 * The pattern was found in the first four. `suspended`: the project was suspended for it. `reported`: the detection was set to report only.
 * `already_suspended`: the project was already suspended without an end. `not_active`: the project is archived or deleted. `normal`: the
 * pattern was not found. `insufficient`: there was too little data.
 */
export const ABUSE_DECISIONS = ["suspended", "reported", "already_suspended", "not_active", "normal", "insufficient"] as const;
export type AbuseDecision = (typeof ABUSE_DECISIONS)[number];

export interface Detection {
  /** Id of the job. */
  readonly run: string;
  readonly projectId: string;
  readonly pattern: AbusePattern;
  /** End of the evaluated windows. */
  readonly asOf: number;
  readonly decision: AbuseDecision;
  readonly why: string;
  readonly evidence: "measured" | "given";
  readonly enforce: boolean;
  readonly inputs: unknown;
  /** Payload of the event. */
  readonly eventData: Readonly<Record<string, unknown>>;
  /** Windows in which the pattern was measured. They no longer count towards the baseline. */
  readonly flagged: WindowPair | null;
}

/** Minimum time between two reports of a pattern that continues. */
const REPORT_INTERVAL_MS = 60 * 60_000;

/**
 * Statements that record a detection and its consequences. Idempotent. `guarded`: they do nothing unless the operation has claimed the
 * project.
 */
export function detectionStatements(
  db: D1Database,
  detection: Detection,
  operation: Operation,
  guarded: boolean,
): readonly D1PreparedStatement[] {
  const { run, projectId, pattern, asOf, decision, why, evidence, enforce, inputs, eventData, flagged } = detection;
  const guard = guarded ? claimed("projects") : "true";
  const own = (sql: string, ...values: unknown[]) => db.prepare(sql).bind(projectId, operation.id, ...values);
  const found = decision === "suspended" || decision === "reported";
  const row = own(
    `INSERT INTO abuse_detections (project_id, run, pattern, at, as_of, decision, why, evidence, enforce, inputs)
      SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE ${guard} ON CONFLICT DO NOTHING`,
    run,
    pattern,
    operation.now,
    asOf,
    decision,
    why,
    evidence,
    enforce ? 1 : 0,
    JSON.stringify(inputs),
  );
  const event = own(
    `${INSERT_EVENT} SELECT 'abuse.detected:' || ?1 || ':' || ?3, 'abuse.detected', ?1, ?4, ?5
      WHERE ${guard} AND (?6 OR NOT EXISTS (SELECT 1 FROM abuse_detections d
        JOIN events e ON e.id = 'abuse.detected:' || d.project_id || ':' || d.run
        WHERE d.project_id = ?1 AND d.pattern = ?7 AND d.decision IN ('suspended', 'reported') AND d.as_of > ?8)) ON CONFLICT DO NOTHING`,
    run,
    JSON.stringify(eventData),
    operation.now,
    decision === "suspended" ? 1 : 0,
    pattern,
    asOf - REPORT_INTERVAL_MS,
  );
  const flag = flagged === null ? [] : flagStatements(own, flagged, guard);
  return [row, ...(found ? [event] : []), ...flag];
}

/** Flags the windows, and recalculates the sums of their hours without the flagged minutes. */
function flagStatements(
  own: (sql: string, ...values: unknown[]) => D1PreparedStatement,
  { from, to }: WindowPair,
  guard: string,
): D1PreparedStatement[] {
  const flag = `UPDATE project_minutes SET flagged = 1 WHERE minute >= ?3 AND minute < ?4 AND project_id = ?1 AND ${guard}`;
  const recount = `UPDATE project_hours SET (requests, errors, windows) = (
      SELECT coalesce(sum(m.requests), 0), coalesce(sum(m.errors), 0), count(DISTINCT m.minute / 5) FROM project_minutes m
      WHERE m.minute >= project_hours.hour * 60 AND m.minute < project_hours.hour * 60 + 60 AND m.project_id = ?1
        AND m.flagged = 0 AND m.requests > 0)
    WHERE project_id = ?1 AND hour >= ?3 AND hour <= ?4 AND ${guard}`;
  const hourOf = (minute: number): number => Math.floor(minute / 60);
  return [own(flag, from, to), own(recount, hourOf(from), hourOf(to - 1))];
}

/** Records a decision that does not change the project. */
export async function recordAbuseDetection(db: D1Database, detection: Detection, operation: Operation): Promise<void> {
  await stored(async () => db.batch([...detectionStatements(db, detection, operation, false)]));
}

export interface DetectionRow {
  readonly seq: number;
  readonly run: string;
  readonly project_id: string;
  readonly pattern: AbusePattern;
  readonly at: number;
  readonly as_of: number;
  readonly decision: AbuseDecision;
  readonly why: string;
  readonly evidence: "measured" | "given";
  readonly enforce: number;
  /** JSON. */
  readonly inputs: string;
}

/** The decision of a job. Null if it has not decided yet. */
export async function findDetection(db: D1Database, run: string): Promise<DetectionRow | null> {
  return stored(async () => db.prepare("SELECT * FROM abuse_detections WHERE run = ?").bind(run).first<DetectionRow>());
}

/** Decisions about a project, newest first. */
export async function listDetections(
  db: D1Database,
  projectId: string,
  { before, limit }: { readonly before: number | null; readonly limit: number },
): Promise<DetectionRow[]> {
  const { sql, values } = where([{ sql: "project_id = ?", values: [projectId] }, olderThan(before)]);
  const query = db.prepare(`SELECT * FROM abuse_detections ${sql} ORDER BY seq DESC LIMIT ?`).bind(...values, limit);
  const { results } = await stored(async () => query.all<DetectionRow>());
  return results;
}

/** The project with its open suspensions. Null if it does not exist. */
export const getProjectDetails = async (db: D1Database, projectId: string, now: number): Promise<ProjectView | null> =>
  findProject(db, projectId, now);

interface ProjectOwner {
  readonly organization_id: string;
  readonly organization_name: string;
  readonly owner_id: string | null;
}

/** The organization and owner of a project, for contacting them. */
export async function getProjectOwner(db: D1Database, projectId: string): Promise<ProjectOwner | null> {
  const sql = `SELECT o.id AS organization_id, o.name AS organization_name, p.owner_id
    FROM projects p JOIN organizations o ON o.id = p.organization_id WHERE p.id = ?`;
  return stored(async () => db.prepare(sql).bind(projectId).first<ProjectOwner>());
}
