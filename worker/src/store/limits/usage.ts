/** A project's usage: daily counters, gauges, and the organization's period. Times are epoch milliseconds. */
import { stored } from "../database.ts";
import { CAP_TYPES } from "./meters.ts";
import type { CapType } from "./meters.ts";

export interface UsageRow {
  readonly cap_type: CapType;
  readonly cap: number | null;
  readonly revision: number;
  /** The daily counter. Null without a row. */
  readonly counted: number | null;
  /** The gauge. Null if it was never reported. */
  readonly level: number | null;
  readonly level_at: number | null;
}

export interface DayUse {
  readonly day: string;
  readonly meter: CapType;
  readonly used: number;
  /** Reported after the day had ended. */
  readonly adjusted: number;
}

/** Caps with their usage on `day`, and the daily counters since `since`, in one round trip. */
export async function projectUsage(
  db: D1Database,
  projectId: string,
  { day, since }: { readonly day: string; readonly since: string },
): Promise<{ caps: UsageRow[]; days: DayUse[] }> {
  const caps = `SELECT c.cap_type, c.value AS cap, c.revision, n.used AS counted, g.level, g.updated_at AS level_at
    FROM caps c LEFT JOIN counters n ON n.project_id = c.project_id AND n.meter = c.cap_type AND n.day = ?2
    LEFT JOIN gauges g ON g.project_id = c.project_id AND g.meter = c.cap_type
    WHERE c.project_id = ?1`;
  const days = `SELECT day, meter, sum(used) AS used, sum(adjusted) AS adjusted FROM (
      SELECT day, meter, used, 0 AS adjusted FROM counters WHERE project_id = ?1 AND day >= ?2
      UNION ALL SELECT day, meter, 0, quantity FROM adjustments WHERE project_id = ?1 AND day >= ?2)
    GROUP BY day, meter ORDER BY day DESC, meter`;
  const [first, second] = await stored(async () =>
    db.batch([db.prepare(caps).bind(projectId, day), db.prepare(days).bind(projectId, since)]),
  );
  return { caps: (first?.results ?? []) as UsageRow[], days: (second?.results ?? []) as DayUse[] };
}

export interface MeterUse {
  readonly project_id: string;
  readonly meter: CapType;
  /** The daily counter or the gauge. Null if it is unknown. */
  readonly counted: number | null;
  readonly level: number | null;
}

/** Usage of several projects on one day, with one look-up per project and cap. */
export async function usageOfProjects(db: D1Database, projectIds: readonly string[], day: string): Promise<MeterUse[]> {
  const sql = `SELECT p.value AS project_id, m.value AS meter, n.used AS counted, g.level
    FROM json_each(?1) p JOIN json_each(?2) m
    LEFT JOIN counters n ON n.project_id = p.value AND n.meter = m.value AND n.day = ?3
    LEFT JOIN gauges g ON g.project_id = p.value AND g.meter = m.value`;
  const query = db.prepare(sql).bind(JSON.stringify(projectIds), JSON.stringify(CAP_TYPES), day);
  const { results } = await stored(async () => query.all<MeterUse>());
  return results;
}
