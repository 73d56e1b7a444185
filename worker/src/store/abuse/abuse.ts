/** What was decided about the abuse of projects, and from what. Times are epoch milliseconds. */
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
 * `suspended`: because of it. `reported`: it was to be reported only. `already_suspended`: it stood still for good before. `not_active`: it
 * is archived or deleted. In these four the pattern was there. `normal`: it was not. `insufficient`: there was too little to tell.
 */
export const ABUSE_DECISIONS = ["suspended", "reported", "already_suspended", "not_active", "normal", "insufficient"] as const;
export type AbuseDecision = (typeof ABUSE_DECISIONS)[number];

export interface Detection {
  /** The job. */
  readonly run: string;
  readonly projectId: string;
  readonly pattern: AbusePattern;
  /** The end of what was looked at. */
  readonly asOf: number;
  readonly decision: AbuseDecision;
  readonly why: string;
  readonly evidence: "measured" | "given";
  readonly enforce: boolean;
  readonly inputs: unknown;
  /** What those are told who asked to be told. */
  readonly told: Readonly<Record<string, unknown>>;
  /** Where the pattern was measured: no part of what is usual any more. */
  readonly flagged: WindowPair | null;
}

/** A pattern that goes on is told once in so long. */
const TOLD_EVERY_MS = 60 * 60_000;

/**
 * The statements that write a detection down, with what follows from it. `guarded`: they do nothing unless the operation has claimed the
 * project. Twice the same is once.
 */
export function detectionStatements(
  db: D1Database,
  detection: Detection,
  operation: Operation,
  guarded: boolean,
): readonly D1PreparedStatement[] {
  const { run, projectId, pattern, asOf, decision, why, evidence, enforce, inputs, told, flagged } = detection;
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
    JSON.stringify(told),
    operation.now,
    decision === "suspended" ? 1 : 0,
    pattern,
    asOf - TOLD_EVERY_MS,
  );
  const flag = flagged === null ? [] : flagStatements(own, flagged, guard);
  return [row, ...(found ? [event] : []), ...flag];
}

/** Hours that were summed up already are summed up again, without what is flagged. */
function flagStatements(
  own: (sql: string, ...values: unknown[]) => D1PreparedStatement,
  { from, to }: WindowPair,
  guard: string,
): D1PreparedStatement[] {
  const flag = `UPDATE project_minutes SET flagged = 1 WHERE minute >= ?3 AND minute < ?4 AND project_id = ?1 AND ${guard}`;
  const again = `UPDATE project_hours SET (requests, errors, windows) = (
      SELECT coalesce(sum(m.requests), 0), coalesce(sum(m.errors), 0), count(DISTINCT m.minute / 5) FROM project_minutes m
      WHERE m.minute >= project_hours.hour * 60 AND m.minute < project_hours.hour * 60 + 60 AND m.project_id = ?1
        AND m.flagged = 0 AND m.requests > 0)
    WHERE project_id = ?1 AND hour >= ?3 AND hour <= ?4 AND ${guard}`;
  const hourOf = (minute: number): number => Math.floor(minute / 60);
  return [own(flag, from, to), own(again, hourOf(from), hourOf(to - 1))];
}

/** Writes a decision down that changes nothing of the project. */
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

/** What a job decided before; null where it did not yet. */
export async function findDetection(db: D1Database, run: string): Promise<DetectionRow | null> {
  return stored(async () => db.prepare("SELECT * FROM abuse_detections WHERE run = ?").bind(run).first<DetectionRow>());
}

/** What was decided about a project, the newest first. */
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

/** The project as it is, with the reasons that stop it; null where there is none. */
export const getProjectDetails = async (db: D1Database, projectId: string, now: number): Promise<ProjectView | null> =>
  findProject(db, projectId, now);

interface ProjectOwner {
  readonly organization_id: string;
  readonly organization_name: string;
  readonly owner_id: string | null;
}

/** Whose project it is: who is to be spoken to. */
export async function getProjectOwner(db: D1Database, projectId: string): Promise<ProjectOwner | null> {
  const sql = `SELECT o.id AS organization_id, o.name AS organization_name, p.owner_id
    FROM projects p JOIN organizations o ON o.id = p.organization_id WHERE p.id = ?`;
  return stored(async () => db.prepare(sql).bind(projectId).first<ProjectOwner>());
}
