/** What is over its life, removed a bounded number of rows at a time, by keys that follow time. Times are epoch milliseconds. */
import { stored } from "./database.ts";

export interface Removal {
  readonly removed: number;
  /** Whether there may be more. */
  readonly more: boolean;
}

async function remove(db: D1Database, sql: string, before: number | string, limit: number): Promise<Removal> {
  const { results } = await stored(async () => db.prepare(`${sql} RETURNING 1`).bind(before, limit).all());
  return { removed: results.length, more: results.length === limit };
}

/** Admissions whose ids, which begin with their time, lie before `bound`. What they counted stays counted. */
export async function forgetAdmissions(db: D1Database, bound: string, limit: number): Promise<Removal> {
  return remove(db, "DELETE FROM admissions WHERE id IN (SELECT id FROM admissions WHERE id < ?1 ORDER BY id LIMIT ?2)", bound, limit);
}

/** Tables whose running number grows with their time: the oldest rows are looked at, and those that are old enough go. */
const AGEING = {
  usage_events: "received_at",
  evaluations: "at",
  events: "created_at",
  // With their tries.
  webhook_deliveries: "created_at",
  audit_log: "at",
  abuse_detections: "at",
  signals: "received_at",
} as const;

export type AgeingTable = keyof typeof AGEING;

export async function forgetRows(db: D1Database, table: AgeingTable, before: number, limit: number): Promise<Removal> {
  const oldest = `SELECT seq, ${AGEING[table]} AS at FROM ${table} ORDER BY seq LIMIT ?2`;
  return remove(db, `DELETE FROM ${table} WHERE seq IN (SELECT seq FROM (${oldest}) WHERE at < ?1)`, before, limit);
}

/** A warning's permission is of no use once its day is over. `day`: UTC, YYYY-MM-DD. */
export async function forgetNotices(db: D1Database, day: string, limit: number): Promise<Removal> {
  const old = "SELECT project_id, cap_type, period, threshold, revision FROM threshold_notices WHERE period < ?1 LIMIT ?2";
  return remove(db, `DELETE FROM threshold_notices WHERE (project_id, cap_type, period, threshold, revision) IN (${old})`, day, limit);
}

/** Daily counters older than a day, which nobody looks back to any more. */
export async function forgetCounters(db: D1Database, table: "counters" | "adjustments", day: string, limit: number): Promise<Removal> {
  const old = `SELECT project_id, meter, day FROM ${table} WHERE day < ?1 LIMIT ?2`;
  return remove(db, `DELETE FROM ${table} WHERE (project_id, meter, day) IN (${old})`, day, limit);
}

/** What projects asked in minutes before this one, since 1970. */
export async function forgetMinutes(db: D1Database, minute: number, limit: number): Promise<Removal> {
  const old = "SELECT minute, project_id FROM project_minutes WHERE minute < ?1 ORDER BY minute LIMIT ?2";
  return remove(db, `DELETE FROM project_minutes WHERE (minute, project_id) IN (${old})`, minute, limit);
}

/** What was usual in hours before this one, since 1970. */
export async function forgetHours(db: D1Database, hour: number, limit: number): Promise<Removal> {
  const old = "SELECT project_id, hour FROM project_hours WHERE hour < ?1 LIMIT ?2";
  return remove(db, `DELETE FROM project_hours WHERE (project_id, hour) IN (${old})`, hour, limit);
}
