/** Retention of rows by table, and their removal in batches. Times are epoch milliseconds. */
import { DAY_MS, HOUR_MS, MINUTE_MS, dayOf } from "../lib/time.ts";
import { stored } from "./database.ts";
import { admissionIdsFrom } from "./limits/admissions.ts";

interface Retention {
  /** The required time, plus a day for clock differences and late results. */
  readonly days: number;
  /** Column with a row's time. */
  readonly column: string;
  /** Columns of the key. `seq` grows with time, so that the oldest rows are found without an index on time. */
  readonly key: string;
  /** Converts a time to the column's unit. */
  readonly bound?: (time: number) => number | string;
}

const RETENTION = {
  // A use can only be returned within its request. The counters stay after the rows are removed.
  admissions: { days: 2, column: "id", key: "id", bound: admissionIdsFrom },
  // The same event may be sent again within 32 days: the longest billing period and a day.
  usage_events: { days: 34, column: "received_at", key: "seq" },
  evaluations: { days: 60, column: "at", key: "seq" },
  events: { days: 90, column: "created_at", key: "seq" },
  // Equals the retention of failed jobs. The attempts of a delivery are removed with it.
  webhook_deliveries: { days: 30, column: "created_at", key: "seq" },
  audit_log: { days: 730, column: "at", key: "seq" },
  threshold_notices: { days: 2, column: "period", key: "project_id, cap_type, period, threshold, revision", bound: dayOf },
  // Equals the retention of the quota's history.
  counters: { days: 400, column: "day", key: "project_id, meter, day", bound: dayOf },
  adjustments: { days: 400, column: "day", key: "project_id, meter, day", bound: dayOf },
  // Summed after their hour. After an outage that may be later.
  project_minutes: { days: 2, column: "minute", key: "minute, project_id", bound: (time) => Math.floor(time / MINUTE_MS) },
  project_hours: { days: 30, column: "hour", key: "project_id, hour", bound: (time) => Math.floor(time / HOUR_MS) },
  // A customer may question a suspension for that long.
  abuse_detections: { days: 400, column: "at", key: "seq" },
  signals: { days: 90, column: "received_at", key: "seq" },
} as const satisfies Record<string, Retention>;

export type RetainedTable = keyof typeof RETENTION;
export const RETAINED_TABLES = Object.keys(RETENTION) as RetainedTable[];

export interface Removal {
  readonly removed: number;
  /** Whether there may be more. */
  readonly more: boolean;
}

/** Removes at most `limit` rows whose retention period has ended. */
export async function removeExpired(db: D1Database, table: RetainedTable, now: number, limit: number): Promise<Removal> {
  const { days, column, key, bound = (time) => time }: Retention = RETENTION[table];
  const expired =
    key === "seq"
      ? `SELECT seq FROM (SELECT seq, ${column} FROM ${table} ORDER BY seq LIMIT ?2) WHERE ${column} < ?1`
      : `SELECT ${key} FROM ${table} WHERE ${column} < ?1 LIMIT ?2`;
  const statement = db.prepare(`DELETE FROM ${table} WHERE (${key}) IN (${expired}) RETURNING 1`).bind(bound(now - days * DAY_MS), limit);
  const { results } = await stored(async () => statement.all(), { idempotent: true });
  return { removed: results.length, more: results.length === limit };
}
