/**
 * Request rates: each project's requests per minute, and its baseline. Minutes, five-minute windows and hours are counted since 1970. The
 * baseline is an hour's sum over windows with use, so that a project that works in bursts is compared with its own bursts.
 */
import { MINUTE_MS } from "../../lib/time.ts";
import { stored } from "../database.ts";
import { activeReasons } from "../suspension/reasons.ts";

/** The minute since 1970 that contains `now`. */
export const minuteOf = (now: number): number => Math.floor(now / MINUTE_MS);

/** Requests by outcome. */
export interface RequestCounts {
  readonly requests: number;
  /** Part of the requests: client errors and failures. */
  readonly errors: number;
  /** Part of the errors: 5xx. */
  readonly failures: number;
  /** Refused attempts, not counted as requests. */
  readonly probes: number;
}

const ADD = `ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, errors = errors + excluded.errors,
  failures = failures + excluded.failures, probes = probes + excluded.probes`;
const COLUMNS = "(minute, project_id, requests, errors, failures, probes)";

/** Counts one response of a project. */
export async function countRequest(db: D1Database, projectId: string, minute: number, counts: RequestCounts): Promise<void> {
  const sql = `INSERT INTO project_minutes ${COLUMNS} VALUES (?, ?, ?, ?, ?, ?) ${ADD}`;
  const { requests, errors, failures, probes } = counts;
  await stored(async () => db.prepare(sql).bind(minute, projectId, requests, errors, failures, probes).run());
}

/**
 * Counts a request that was refused before its key was looked up. The key must be valid, so that no caller can raise the counts of
 * another's project.
 */
export async function countRequestOfKey(
  db: D1Database,
  key: { readonly id: string; readonly hash: string; readonly now: number },
  minute: number,
  counts: RequestCounts,
): Promise<void> {
  const sql = `INSERT INTO project_minutes ${COLUMNS}
    SELECT ?1, k.project_id, ?2, ?3, ?4, ?5 FROM api_key_versions v JOIN api_keys k ON k.id = v.key_id
    WHERE v.key_id = ?6 AND v.hash = ?7 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?8)
      AND (v.expires_at IS NULL OR v.expires_at > ?8) ${ADD}`;
  const { requests, errors, failures, probes } = counts;
  await stored(async () => db.prepare(sql).bind(minute, requests, errors, failures, probes, key.id, key.hash, key.now).run());
}

/** Two consecutive windows, by their minutes. */
export interface WindowPair {
  readonly from: number;
  readonly middle: number;
  /** Exclusive. */
  readonly to: number;
}

const SUMS = `SELECT coalesce(sum(requests), 0) AS requests, coalesce(sum(errors), 0) AS errors, coalesce(sum(failures), 0) AS failures,
  coalesce(sum(probes), 0) AS probes`;

/** A project's counts in two windows, the earlier first. */
export async function getProjectMetrics(
  db: D1Database,
  projectId: string,
  { from, middle, to }: WindowPair,
): Promise<[RequestCounts, RequestCounts]> {
  // Looks up single minutes: a range would also read the minutes of all other projects.
  const sql = `${SUMS} FROM project_minutes WHERE project_id = ?1 AND minute IN (SELECT value FROM json_each(?2))`;
  const minutes = (first: number, end: number) => JSON.stringify(Array.from({ length: end - first }, (_, index) => first + index));
  const query = db.prepare(sql);
  const [earlier, later] = await stored(async () =>
    db.batch<RequestCounts>([query.bind(projectId, minutes(from, middle)), query.bind(projectId, minutes(middle, to))]),
  );
  return [earlier?.results[0] ?? NO_REQUESTS, later?.results[0] ?? NO_REQUESTS];
}

const NO_REQUESTS: RequestCounts = { requests: 0, errors: 0, failures: 0, probes: 0 };

/** Counts of all other projects in both windows together. */
export async function getOthersMetrics(db: D1Database, projectId: string, { from, to }: WindowPair): Promise<RequestCounts> {
  const sql = `${SUMS} FROM project_minutes WHERE minute >= ?1 AND minute < ?2 AND project_id <> ?3`;
  return (await stored(async () => db.prepare(sql).bind(from, to, projectId).first<RequestCounts>())) ?? NO_REQUESTS;
}

/** The usual traffic of a project: sums over past hours. */
export interface Baseline {
  /** Hours with use. */
  readonly hours: number;
  /** UTC days that contain these hours. */
  readonly days: number;
  readonly requests: number;
  /** Five-minute windows with use. */
  readonly windows: number;
}

const BASELINE = `SELECT count(*) AS hours, count(DISTINCT hour / 24) AS days, coalesce(sum(requests), 0) AS requests,
  coalesce(sum(windows), 0) AS windows FROM project_hours`;

/** Baseline over the hours from `from` (inclusive) to `to` (exclusive). */
export async function getProjectBaseline(db: D1Database, projectId: string, from: number, to: number): Promise<Baseline> {
  const sql = `${BASELINE} WHERE project_id = ?1 AND hour >= ?2 AND hour < ?3 AND requests > 0`;
  const query = db.prepare(sql).bind(projectId, from, to);
  return (await stored(async () => query.first<Baseline>())) ?? { hours: 0, days: 0, requests: 0, windows: 0 };
}

/** Sums up the hours from `oldest` to `to` that have no sum yet, for all projects in one statement. */
export async function rollUpHours(db: D1Database, oldest: number, to: number): Promise<void> {
  const sql = `INSERT INTO project_hours (project_id, hour, requests, errors, windows)
    SELECT project_id, minute / 60, sum(requests), sum(errors), count(DISTINCT minute / 5) FROM project_minutes
    WHERE minute >= 60 * max(?1, coalesce((SELECT max(hour) + 1 FROM project_hours), 0)) AND minute < 60 * ?2 AND flagged = 0 AND requests > 0
    GROUP BY 1, 2 ON CONFLICT DO NOTHING`;
  await stored(async () => db.prepare(sql).bind(oldest, to).run(), { idempotent: true });
}

/** A project that seems to show a pattern in two windows. The decision examines it more closely. */
export interface Candidate {
  readonly project_id: string;
  readonly excessive: 0 | 1;
  readonly errors: 0 | 1;
  readonly probes: 0 | 1;
}

interface CandidateRules {
  readonly minRequests: number;
  readonly factor: number;
  /** Hours to compare with: first (inclusive) and last (exclusive). */
  readonly hours: readonly [number, number];
}

/**
 * Active projects whose two windows seem to show a pattern. The statement reads only the minutes of these windows. It skips windows that
 * were flagged before and projects that are suspended without an end.
 */
export async function findAbuseCandidates(
  db: D1Database,
  { from, middle, to }: WindowPair,
  { minRequests, factor, hours }: CandidateRules,
  now: number,
  limit: number,
): Promise<Candidate[]> {
  // The rules of tenants/abuse/evidence.ts, except the minimum baseline, which the decision checks.
  const sql = `WITH
    windows AS (
      SELECT project_id, sum(requests) AS requests, sum(errors) AS errors, sum(failures) AS failures, sum(probes) AS probes,
        max(flagged) AS flagged
      FROM project_minutes WHERE minute >= ?1 AND minute < ?3 GROUP BY project_id, minute >= ?2),
    totals AS (SELECT sum(requests) AS requests, sum(failures) AS failures FROM windows),
    pairs AS (
      SELECT project_id, min(requests) AS requests, min(probes > requests) AND min(probes) >= ?4 AS probes,
        min(errors * 2 > requests) AND min(requests) >= ?4 AS errors, min((errors - failures) * 2 > requests) AS own_errors,
        sum(requests) AS own_requests, sum(failures) AS failed
      FROM windows GROUP BY project_id HAVING count(*) = 2 AND max(flagged) = 0 AND (min(requests) >= ?4 OR min(probes) >= ?4)),
    judged AS (
      SELECT pairs.project_id, pairs.requests, pairs.probes,
        pairs.errors AND (own_errors OR (e.requests - own_requests >= ?4 AND (e.failures - failed) * 2 <= e.requests - own_requests)) AS errors,
        pairs.requests >= ?4 AND coalesce((SELECT pairs.requests * sum(h.windows) > ?5 * sum(h.requests) FROM project_hours h
          WHERE h.project_id = pairs.project_id AND h.hour >= ?6 AND h.hour < ?7), 0) AS excessive
      FROM pairs JOIN totals e)
    SELECT j.project_id, j.excessive, j.errors, j.probes FROM judged j JOIN projects p ON p.id = j.project_id
    WHERE (j.excessive OR j.errors OR j.probes) AND p.lifecycle = 'ACTIVE'
      AND NOT EXISTS (SELECT 1 ${activeReasons("p.id", "?8")} AND s.until IS NULL AND s.reason NOT LIKE 'quota:%')
    ORDER BY j.requests DESC, j.project_id LIMIT ?9`;
  const query = db.prepare(sql).bind(from, middle, to, minRequests, factor, hours[0], hours[1], now, limit);
  const { results } = await stored(async () => query.all<Candidate>());
  return results;
}
