/** Suspended projects and projects close to a cap, for operators. Times are epoch milliseconds. */
import { stored } from "../database.ts";
import type { CapType } from "../limits/meters.ts";
import { OPEN_REASONS, activeReasons, isOpen } from "../suspension/reasons.ts";

export interface CloseToCap {
  readonly id: string;
  readonly name: string;
  readonly cap_type: CapType;
  readonly used: number;
  readonly cap: number;
}

/**
 * Caps that today's sweeps warned about and that are still close, fullest first, without suspended projects. Reads the few warnings instead
 * of all counters.
 */
export async function listCapsNearlyReached(
  db: D1Database,
  { day, now, percent, limit }: { readonly day: string; readonly now: number; readonly percent: number; readonly limit: number },
): Promise<CloseToCap[]> {
  const used = "coalesce(n.used, g.level)";
  const sql = `SELECT p.id, p.name, t.cap_type, ${used} AS used, c.value AS cap
    FROM (SELECT DISTINCT project_id, cap_type FROM threshold_notices WHERE period = ?1) t
    JOIN projects p ON p.id = t.project_id AND p.lifecycle = 'ACTIVE'
    JOIN caps c ON c.project_id = t.project_id AND c.cap_type = t.cap_type AND c.value > 0
    LEFT JOIN counters n ON n.project_id = t.project_id AND n.meter = t.cap_type AND n.day = ?1
    LEFT JOIN gauges g ON g.project_id = t.project_id AND g.meter = t.cap_type
    WHERE ${used} * 100 >= c.value * ?3 AND NOT EXISTS (SELECT 1 ${activeReasons("p.id", "?2")})
    ORDER BY ${used} * 1.0 / c.value DESC, p.id LIMIT ?4`;
  const { results } = await stored(async () => db.prepare(sql).bind(day, now, percent, limit).all<CloseToCap>());
  return results;
}

export interface StoppedProject {
  readonly id: string;
  readonly name: string;
  /** The latest open reason. */
  readonly reason: string;
  readonly since: number;
}

/** Suspended projects, latest first, and their number. */
export async function listSuspendedProjects(
  db: D1Database,
  now: number,
  limit: number,
): Promise<{ readonly count: number; readonly latest: StoppedProject[] }> {
  // CROSS JOIN fixes the order: open reasons are few, but SQLite would prefer to start with all projects.
  const from = `FROM suspensions s INDEXED BY ${OPEN_REASONS} CROSS JOIN projects p ON p.id = s.project_id AND p.lifecycle = 'ACTIVE'
    WHERE ${isOpen("s", "?1")}`;
  // With max(), SQLite takes the other columns from the row with the maximum.
  const latest = `SELECT p.id, p.name, s.reason, max(s.since) AS since ${from} GROUP BY p.id ORDER BY since DESC, p.id LIMIT ?2`;
  const count = `SELECT count(DISTINCT p.id) AS count ${from}`;
  const [first, second] = await stored(async () => db.batch([db.prepare(count).bind(now), db.prepare(latest).bind(now, limit)]));
  const [counted] = (first?.results ?? []) as { count: number }[];
  return { count: counted?.count ?? 0, latest: (second?.results ?? []) as StoppedProject[] };
}
