/**
 * Metered rates: what each project asks in a minute, and what is usual for it. Minutes, windows (of five minutes) and hours are counted
 * since 1970. What is usual is an hour's sum over windows with use, so that a project that works in bursts is compared with its bursts.
 */
import { MINUTE_MS } from "../../lib/time.ts";
import { stored } from "../database.ts";
import { heldBy } from "../suspension/reasons.ts";

/** The minute since 1970 that a moment lies in. */
export const minuteOf = (now: number): number => Math.floor(now / MINUTE_MS);

/** Requests that were answered, by what came of them. */
export interface Tally {
  readonly requests: number;
  /** Of the requests: wrong ones, and failures. */
  readonly errors: number;
  /** Of the errors: 5xx. */
  readonly failures: number;
  /** Refused, and no requests. */
  readonly probes: number;
}

const ADD = `ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, errors = errors + excluded.errors,
  failures = failures + excluded.failures, probes = probes + excluded.probes`;
const COLUMNS = "(minute, project_id, requests, errors, failures, probes)";

/** Counts one answer of a project. */
export async function countRequest(db: D1Database, projectId: string, minute: number, tally: Tally): Promise<void> {
  const sql = `INSERT INTO project_minutes ${COLUMNS} VALUES (?, ?, ?, ?, ?, ?) ${ADD}`;
  const { requests, errors, failures, probes } = tally;
  await stored(async () => db.prepare(sql).bind(minute, projectId, requests, errors, failures, probes).run());
}

/**
 * The same for a request that was refused before anybody looked its key up: counted where the key works, so that nobody can count
 * something for a project that is not theirs.
 */
export async function countRequestOfKey(
  db: D1Database,
  key: { readonly id: string; readonly hash: string; readonly now: number },
  minute: number,
  tally: Tally,
): Promise<void> {
  const sql = `INSERT INTO project_minutes ${COLUMNS}
    SELECT ?1, k.project_id, ?2, ?3, ?4, ?5 FROM api_key_versions v JOIN api_keys k ON k.id = v.key_id
    WHERE v.key_id = ?6 AND v.hash = ?7 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?8)
      AND (v.expires_at IS NULL OR v.expires_at > ?8) ${ADD}`;
  const { requests, errors, failures, probes } = tally;
  await stored(async () => db.prepare(sql).bind(minute, requests, errors, failures, probes, key.id, key.hash, key.now).run());
}

/** Two windows, one after the other, by their minutes. */
export interface WindowPair {
  readonly from: number;
  readonly middle: number;
  /** Not part of them any more. */
  readonly to: number;
}

const SUMS = `coalesce(sum(requests), 0) AS requests, coalesce(sum(errors), 0) AS errors, coalesce(sum(failures), 0) AS failures,
  coalesce(sum(probes), 0) AS probes`;

/** What a project asked in two windows, the earlier first. */
export async function getProjectMetrics(db: D1Database, projectId: string, { from, middle, to }: WindowPair): Promise<[Tally, Tally]> {
  // By keys: a range of minutes would read what all others asked, too.
  const sql = `SELECT ${SUMS} FROM project_minutes WHERE project_id = ?1 AND minute IN (SELECT value FROM json_each(?2))`;
  const minutes = (first: number, end: number) => JSON.stringify(Array.from({ length: end - first }, (_, index) => first + index));
  const query = db.prepare(sql);
  const [earlier, later] = await stored(async () =>
    db.batch<Tally>([query.bind(projectId, minutes(from, middle)), query.bind(projectId, minutes(middle, to))]),
  );
  return [earlier?.results[0] ?? NOTHING, later?.results[0] ?? NOTHING];
}

const NOTHING: Tally = { requests: 0, errors: 0, failures: 0, probes: 0 };

/** What everybody else asked in both windows together. */
export async function getOthersMetrics(db: D1Database, projectId: string, { from, to }: WindowPair): Promise<Tally> {
  const sql = `SELECT ${SUMS} FROM project_minutes WHERE minute >= ?1 AND minute < ?2 AND project_id <> ?3`;
  return (await stored(async () => db.prepare(sql).bind(from, to, projectId).first<Tally>())) ?? NOTHING;
}

/** What is usual for a project: sums over hours that are over. */
export interface Baseline {
  /** With use. */
  readonly hours: number;
  /** UTC days that these hours lie in. */
  readonly days: number;
  readonly requests: number;
  /** Of five minutes, with use. */
  readonly windows: number;
}

const BASELINE = `count(*) AS hours, count(DISTINCT hour / 24) AS days, coalesce(sum(requests), 0) AS requests,
  coalesce(sum(windows), 0) AS windows FROM project_hours`;

/** Of the hours from `from` on, up to and without `to`. */
export async function getProjectBaseline(db: D1Database, projectId: string, from: number, to: number): Promise<Baseline> {
  const sql = `SELECT ${BASELINE} WHERE project_id = ?1 AND hour >= ?2 AND hour < ?3 AND requests > 0`;
  const query = db.prepare(sql).bind(projectId, from, to);
  return (await stored(async () => query.first<Baseline>())) ?? { hours: 0, days: 0, requests: 0, windows: 0 };
}

/** Sums up the hours before `to` that were not yet, from `oldest` on: each once, for all projects in one statement. */
export async function rollUpHours(db: D1Database, oldest: number, to: number): Promise<void> {
  const sql = `INSERT INTO project_hours (project_id, hour, requests, errors, windows)
    SELECT project_id, minute / 60, sum(requests), sum(errors), count(DISTINCT minute / 5) FROM project_minutes
    WHERE minute >= 60 * max(?1, coalesce((SELECT max(hour) + 1 FROM project_hours), 0)) AND minute < 60 * ?2 AND flagged = 0 AND requests > 0
    GROUP BY 1, 2 ON CONFLICT DO NOTHING`;
  await stored(async () => db.prepare(sql).bind(oldest, to).run());
}

/** What looks like a pattern in two windows; who decides looks more closely. */
export interface Candidate {
  readonly project_id: string;
  readonly excessive: 0 | 1;
  readonly errors: 0 | 1;
  readonly probes: 0 | 1;
}

interface CandidateRules {
  readonly minRequests: number;
  readonly factor: number;
  /** Hours that are compared with: from, and up to without. */
  readonly hours: readonly [number, number];
}

/**
 * Active projects whose two windows look like a pattern, in one statement that reads what was asked in these minutes and nothing of those
 * who asked nothing. Windows that were part of a pattern before are not looked at again, nor are projects that are stopped for good.
 */
export async function findAbuseCandidates(
  db: D1Database,
  { from, middle, to }: WindowPair,
  { minRequests, factor, hours }: CandidateRules,
  now: number,
  limit: number,
): Promise<Candidate[]> {
  // The rules of tenants/abuse/evidence.ts, but for how much is known of a project, which who decides finds out.
  const sql = `WITH
    windows AS (
      SELECT project_id, sum(requests) AS requests, sum(errors) AS errors, sum(failures) AS failures, sum(probes) AS probes,
        max(flagged) AS flagged
      FROM project_minutes WHERE minute >= ?1 AND minute < ?3 GROUP BY project_id, minute >= ?2),
    everybody AS (SELECT sum(requests) AS requests, sum(failures) AS failures FROM windows),
    pairs AS (
      SELECT project_id, min(requests) AS requests, min(probes > requests) AND min(probes) >= ?4 AS probes,
        min(errors * 2 > requests) AND min(requests) >= ?4 AS errors, min((errors - failures) * 2 > requests) AS own_doing,
        sum(requests) AS asked, sum(failures) AS failed
      FROM windows GROUP BY project_id HAVING count(*) = 2 AND max(flagged) = 0 AND (min(requests) >= ?4 OR min(probes) >= ?4)),
    judged AS (
      SELECT pairs.project_id, pairs.requests, pairs.probes,
        pairs.errors AND (own_doing OR (e.requests - asked >= ?4 AND (e.failures - failed) * 2 <= e.requests - asked)) AS errors,
        pairs.requests >= ?4 AND coalesce((SELECT pairs.requests * sum(h.windows) > ?5 * sum(h.requests) FROM project_hours h
          WHERE h.project_id = pairs.project_id AND h.hour >= ?6 AND h.hour < ?7), 0) AS excessive
      FROM pairs JOIN everybody e)
    SELECT j.project_id, j.excessive, j.errors, j.probes FROM judged j JOIN projects p ON p.id = j.project_id
    WHERE (j.excessive OR j.errors OR j.probes) AND p.lifecycle = 'ACTIVE'
      AND NOT EXISTS (SELECT 1 ${heldBy("p.id", "?8")} AND s.until IS NULL AND s.reason NOT LIKE 'quota:%')
    ORDER BY j.requests DESC, j.project_id LIMIT ?9`;
  const query = db.prepare(sql).bind(from, middle, to, minRequests, factor, hours[0], hours[1], now, limit);
  const { results } = await stored(async () => query.all<Candidate>());
  return results;
}
