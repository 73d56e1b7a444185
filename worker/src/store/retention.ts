/** How long each table keeps its rows, and their removal, a bounded number at a time. Times are epoch milliseconds. */
import { DAY_MS, HOUR_MS, MINUTE_MS, dayOf } from "../lib/time.ts";
import { stored } from "./database.ts";
import { admissionIdsFrom } from "./limits/admissions.ts";

interface Retention {
  /** What the product needs, and a day for clocks and late ends. */
  readonly days: number;
  /** Where a row's time stands. */
  readonly column: string;
  /** The columns that name a row. `seq`, a number that grows with time: the oldest rows are read, and no index on time is needed. */
  readonly key: string;
  /** A time as the column holds it. */
  readonly bound?: (time: number) => number | string;
}

const RETENTION = {
  // A refund happens within its request. What admissions counted stays counted.
  admissions: { days: 2, column: "id", key: "id", bound: admissionIdsFrom },
  // The same event may come again within 32 days: the longest billing period and a day.
  usage_events: { days: 34, column: "received_at", key: "seq" },
  evaluations: { days: 60, column: "at", key: "seq" },
  events: { days: 90, column: "created_at", key: "seq" },
  // As long as failed jobs. Their attempts go with them.
  webhook_deliveries: { days: 30, column: "created_at", key: "seq" },
  audit_log: { days: 730, column: "at", key: "seq" },
  threshold_notices: { days: 2, column: "period", key: "project_id, cap_type, period, threshold, revision", bound: dayOf },
  // As long as the quota's own history.
  counters: { days: 400, column: "day", key: "project_id, meter, day", bound: dayOf },
  adjustments: { days: 400, column: "day", key: "project_id, meter, day", bound: dayOf },
  // Summed up when their hour is over; after an outage, later.
  project_minutes: { days: 2, column: "minute", key: "minute, project_id", bound: (time) => Math.floor(time / MINUTE_MS) },
  project_hours: { days: 30, column: "hour", key: "project_id, hour", bound: (time) => Math.floor(time / HOUR_MS) },
  // As long as a suspension may be asked about.
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
  const { results } = await stored(async () => statement.all());
  return { removed: results.length, more: results.length === limit };
}
