/** The queue and runs of the harvest: tables `harvest_targets`, `harvest_runs`. Times are epoch milliseconds. */
import { jsonChunks, stored } from "../database.ts";
import { shelfOf } from "./moved.ts";
import type { Shelves } from "./moved.ts";

export type TargetKind = "isbn" | "author";

export interface NewTarget {
  readonly kind: TargetKind;
  readonly target_key: string;
  readonly name: string;
}

export interface TakenTarget extends NewTarget {
  /** Attempts before this one. */
  readonly tries: number;
  readonly priority: number;
  readonly due_at: number;
}

/** Result of a target: done with the number of books found, due again later, or abandoned. */
export interface TargetResult extends Pick<NewTarget, "kind" | "target_key"> {
  readonly state: "due" | "done" | "failed";
  readonly tries: number;
  readonly due_at: number;
  readonly found: number | null;
  readonly reason: string | null;
}

/** Why a run ended. */
export type Stop =
  | "nothing_due"
  | "enough_for_one_run"
  | "interrupted"
  | "out_of_time"
  | "quota_exhausted"
  | "below_floor"
  | "pace"
  | "provider_failing"
  | "quota_unavailable"
  | "catalog_full"
  | "error";

export interface HarvestRun {
  readonly id: string;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly targets: number;
  readonly calls: number;
  readonly found: number;
  readonly failed: number;
  readonly stopped: Stop | null;
  readonly detail: string | null;
}

/**
 * Adds targets in one transaction and returns how many are new. A waiting target keeps the higher priority, a finished one becomes due
 * again.
 */
export async function addTargets(db: D1Database, targets: readonly NewTarget[], priority: number, now: number): Promise<number> {
  const add = `
    INSERT INTO harvest_targets (kind, target_key, name, priority, state, due_at, added_at, updated_at)
    SELECT value ->> 'kind', value ->> 'target_key', value ->> 'name', ?2, 'due', ?3, ?3, ?3 FROM json_each(?1) WHERE true
    ON CONFLICT (kind, target_key) DO UPDATE SET
      priority = max(priority, excluded.priority), updated_at = excluded.updated_at,
      tries = CASE state WHEN 'due' THEN tries ELSE 0 END,
      due_at = CASE state WHEN 'due' THEN due_at ELSE excluded.due_at END,
      reason = CASE state WHEN 'due' THEN reason END,
      state = 'due'`;
  const count = `SELECT count(*) AS known FROM json_each(?1)
    JOIN harvest_targets ON kind = value ->> 'kind' AND target_key = value ->> 'target_key'`;
  const statements = jsonChunks(targets).flatMap((chunk) => [db.prepare(count).bind(chunk), db.prepare(add).bind(chunk, priority, now)]);
  const results = await stored(async () => db.batch<{ known?: number }>(statements));
  return targets.length - results.flatMap((result) => result.results).reduce((sum, { known = 0 }) => sum + known, 0);
}

/** Takes due targets for one run, highest priority first. No other run gets them before `until`. */
export async function takeTargets(
  db: D1Database,
  wanted: { kind: TargetKind; limit: number; run: string; until: number },
  now: number,
): Promise<TakenTarget[]> {
  const sql = `
    UPDATE harvest_targets SET taken_by = ?1, taken_until = ?2
    WHERE (kind, target_key) IN (
      SELECT kind, target_key FROM harvest_targets
      WHERE state = 'due' AND kind = ?3 AND due_at <= ?4 AND (taken_until IS NULL OR taken_until <= ?4)
      ORDER BY priority DESC, due_at, target_key LIMIT ?5)
    RETURNING kind, target_key, name, tries, priority, due_at`;
  const query = db.prepare(sql).bind(wanted.run, wanted.until, wanted.kind, now, wanted.limit);
  const { results } = await stored(async () => query.all<TakenTarget>());
  // RETURNING does not guarantee an order.
  return results.toSorted((a, b) => b.priority - a.priority || a.due_at - b.due_at || (a.target_key < b.target_key ? -1 : 1));
}

/** Writes the results of targets, unless another run has taken them since. */
export async function settleTargets(db: D1Database, run: string, results: readonly TargetResult[], now: number): Promise<void> {
  if (results.length === 0) return;
  const sql = `
    UPDATE harvest_targets SET state = done.state, tries = done.tries, due_at = done.due_at, found = done.found, reason = done.reason,
      taken_by = NULL, taken_until = NULL, updated_at = ?3
    FROM (SELECT value ->> 'kind' AS kind, value ->> 'target_key' AS target_key, value ->> 'state' AS state, value ->> 'tries' AS tries,
      value ->> 'due_at' AS due_at, value ->> 'found' AS found, value ->> 'reason' AS reason FROM json_each(?1)) AS done
    WHERE harvest_targets.kind = done.kind AND harvest_targets.target_key = done.target_key AND harvest_targets.taken_by = ?2`;
  const statements = jsonChunks(results).map((chunk) => db.prepare(sql).bind(chunk, run, now));
  await stored(async () => db.batch(statements), { idempotent: true });
}

/** About as many bytes as a provider request for a thousand books adds. */
const ROOM_BYTES = 1_000_000;

/**
 * Starts a run. Returns false if this id has run already. A run that started before `staleSince` and never ended was interrupted. Throws
 * `DatabaseFull` if more books would not fit: their calls would be wasted.
 */
export async function beginRun(db: D1Database, id: string, now: number, staleSince: number): Promise<boolean> {
  const close = "UPDATE harvest_runs SET ended_at = ?1, stopped = 'interrupted' WHERE ended_at IS NULL AND started_at < ?2";
  const begin = "INSERT INTO harvest_runs (id, started_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING id";
  const room = `INSERT INTO harvest_runs (id, started_at, detail) VALUES ('room', 0, zeroblob(${ROOM_BYTES}))`;
  const statements = [
    db.prepare(close).bind(now, staleSince),
    db.prepare(room),
    db.prepare("DELETE FROM harvest_runs WHERE id = 'room'"),
    db.prepare(begin).bind(id, now),
  ];
  const results = await stored(async () => db.batch(statements));
  return (results.at(-1)?.results ?? []).length > 0;
}

/** Writes a run's current counts, and the reason once it has stopped. */
export async function saveRun(db: D1Database, run: HarvestRun): Promise<void> {
  const sql = "UPDATE harvest_runs SET ended_at = ?, targets = ?, calls = ?, found = ?, failed = ?, stopped = ?, detail = ? WHERE id = ?";
  const values = [run.ended_at, run.targets, run.calls, run.found, run.failed, run.stopped, run.detail, run.id];
  const query = db.prepare(sql).bind(...values);
  await stored(async () => query.run(), { idempotent: true });
}

export interface TargetCount {
  readonly kind: TargetKind;
  readonly state: "due" | "done" | "failed";
  readonly targets: number;
  readonly next_due_at: number | null;
}

/** Targets by kind and state, the latest runs, and the latest targets that were abandoned. */
export async function harvestOverview(shelves: Shelves, runs: number, failures: number) {
  // Runs move right after the targets.
  const db = await shelfOf(shelves, "harvest_runs");
  const [counts, latest, failed] = await stored(async () =>
    db.batch([
      db.prepare(`SELECT kind, state, count(*) AS targets, min(CASE state WHEN 'due' THEN due_at END) AS next_due_at
        FROM harvest_targets GROUP BY kind, state ORDER BY kind, state`),
      db.prepare("SELECT * FROM harvest_runs ORDER BY started_at DESC LIMIT ?").bind(runs),
      db
        .prepare(
          "SELECT kind, name, tries, reason, updated_at FROM harvest_targets WHERE state = 'failed' ORDER BY updated_at DESC LIMIT ?",
        )
        .bind(failures),
    ]),
  );
  return {
    counts: (counts?.results ?? []) as TargetCount[],
    runs: (latest?.results ?? []) as HarvestRun[],
    failed: (failed?.results ?? []) as (Pick<NewTarget, "kind" | "name"> & { tries: number; reason: string | null; updated_at: number })[],
  };
}

/** The kind of the next target: highest priority first, ISBNs before authors. Null if none is due. */
export async function nextKind(db: D1Database, now: number): Promise<TargetKind | null> {
  // One index look-up per kind, so that the whole list is never read.
  const first = (kind: TargetKind) => `SELECT * FROM (SELECT kind, priority FROM harvest_targets
    WHERE state = 'due' AND kind = '${kind}' AND due_at <= ?1 AND (taken_until IS NULL OR taken_until <= ?1) ORDER BY priority DESC LIMIT 1)`;
  const sql = `${first("isbn")} UNION ALL ${first("author")} ORDER BY priority DESC, kind DESC LIMIT 1`;
  return stored(async () => db.prepare(sql).bind(now).first<TargetKind>("kind"));
}
