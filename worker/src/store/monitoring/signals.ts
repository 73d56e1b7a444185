/** Signals of monitoring systems: table `signals`. Times are epoch milliseconds. */
import type { AbusePattern } from "../abuse/abuse.ts";
import { jsonChunks, olderThan, stored, where } from "../database.ts";

export const SIGNAL_SOURCES = ["alertmanager", "grafana", "datadog", "api"] as const;
export type SignalSource = (typeof SIGNAL_SOURCES)[number];

/** One alert of any source. */
export interface Signal {
  readonly source: SignalSource;
  /** Identifies the alert: the same each time it is sent, firing or resolved. */
  readonly key: string;
  readonly status: "firing" | "resolved";
  /** null: it names no project. */
  readonly projectId: string | null;
  readonly pattern: AbusePattern | null;
  /** Values measured by the sender. */
  readonly metrics: Readonly<Record<string, number | string>>;
  /** false: report only. */
  readonly enforce: boolean;
  readonly title: string | null;
  readonly link: string | null;
  readonly startedAt: number;
}

/**
 * `waiting`: its job is not requested yet. `asked`: it was requested. The others have no job: the signal names no known project or pattern,
 * or was resolved when it first arrived.
 */
export const SIGNAL_OUTCOMES = ["waiting", "asked", "no_project", "no_pattern", "unknown_project", "resolved"] as const;
export type SignalOutcome = (typeof SIGNAL_OUTCOMES)[number];

export interface SignalRow {
  readonly seq: number;
  readonly source: SignalSource;
  readonly key: string;
  readonly status: "firing" | "resolved";
  readonly project_id: string | null;
  readonly pattern: AbusePattern | null;
  /** JSON. */
  readonly metrics: string;
  readonly enforce: number;
  readonly title: string | null;
  readonly link: string | null;
  readonly started_at: number;
  readonly received_at: number;
  readonly resolved_at: number | null;
  /** Number of times it was received. */
  readonly received: number;
  readonly outcome: SignalOutcome;
  readonly job_id: string | null;
}

/** Idempotent: a repeated signal only raises its count and may add its end. An end is never reverted. ?1 signals, ?2 now. */
const STORE = `INSERT INTO signals (source, key, status, project_id, pattern, metrics, enforce, title, link, started_at, received_at, resolved_at, outcome)
  SELECT s.value ->> 'source', s.value ->> 'key', s.value ->> 'status', s.value ->> 'projectId', s.value ->> 'pattern',
    s.value -> 'metrics', s.value ->> 'enforce', s.value ->> 'title', s.value ->> 'link', s.value ->> 'startedAt', ?2,
    CASE s.value ->> 'status' WHEN 'resolved' THEN ?2 END,
    CASE WHEN s.value ->> 'projectId' IS NULL THEN 'no_project'
      WHEN NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = s.value ->> 'projectId') THEN 'unknown_project'
      WHEN s.value ->> 'pattern' IS NULL THEN 'no_pattern'
      WHEN s.value ->> 'status' = 'resolved' THEN 'resolved' ELSE 'waiting' END
  FROM json_each(?1) AS s WHERE true ORDER BY s.key
  ON CONFLICT (source, key) DO UPDATE SET received = received + 1,
    status = CASE excluded.status WHEN 'resolved' THEN 'resolved' ELSE status END,
    resolved_at = coalesce(resolved_at, excluded.resolved_at)
  RETURNING source, key, received, outcome`;

/** Result of storing a signal: how often it was received, and its outcome. */
export type StoredSignal = Pick<SignalRow, "source" | "key" | "received" | "outcome">;

/** Stores all signals or none. Returns one result per list entry, so a duplicate has two. */
export async function storeSignals(db: D1Database, signals: readonly Signal[], now: number): Promise<StoredSignal[]> {
  if (signals.length === 0) return [];
  const statements = jsonChunks(signals).map((chunk) => db.prepare(STORE).bind(chunk, now));
  const results = await stored(async () => db.batch<StoredSignal>(statements));
  return results.flatMap((result) => result.results);
}

/** Signals whose job is not requested yet, oldest first. */
export async function waitingSignals(db: D1Database, limit: number): Promise<SignalRow[]> {
  const query = db.prepare("SELECT * FROM signals INDEXED BY signals_waiting WHERE outcome = 'waiting' ORDER BY seq LIMIT ?").bind(limit);
  const { results } = await stored(async () => query.all<SignalRow>());
  return results;
}

/** Records the job of a signal. */
export async function markJobRequested(db: D1Database, seq: number, jobId: string): Promise<void> {
  const query = db.prepare("UPDATE signals SET outcome = 'asked', job_id = ?2 WHERE seq = ?1").bind(seq, jobId);
  await stored(async () => query.run(), { idempotent: true });
}

export interface SignalFilter {
  readonly source: SignalSource | null;
  readonly projectId: string | null;
  readonly before: number | null;
  readonly limit: number;
}

/** Newest first. */
export async function listSignals(db: D1Database, { source, projectId, before, limit }: SignalFilter): Promise<SignalRow[]> {
  const { sql, values } = where([
    projectId !== null && { sql: "project_id = ?", values: [projectId] },
    // A project has few signals. The plus sign makes SQLite use the project's index, not the source's.
    source !== null && { sql: projectId === null ? "source = ?" : "+source = ?", values: [source] },
    olderThan(before),
  ]);
  const query = db.prepare(`SELECT * FROM signals ${sql} ORDER BY seq DESC LIMIT ?`).bind(...values, limit);
  const { results } = await stored(async () => query.all<SignalRow>());
  return results;
}
