/** Events that operators have not been notified of yet. Times are epoch milliseconds. */
import { stored } from "../database.ts";
import type { EventRow, EventType } from "../events.ts";

export interface OperatorNotice extends EventRow {
  readonly project_id: string;
}

/** Pending notices of these types, oldest first. */
export async function listPendingOperatorNotices(db: D1Database, types: readonly EventType[], limit: number): Promise<OperatorNotice[]> {
  const sql = `SELECT seq, id, type, project_id, data, created_at FROM events
    WHERE type IN (SELECT value FROM json_each(?)) AND operators_told_at IS NULL ORDER BY seq LIMIT ?`;
  return (await stored(async () => db.prepare(sql).bind(JSON.stringify(types), limit).all<OperatorNotice>())).results;
}

export async function markOperatorsNotified(db: D1Database, numbers: readonly number[], now: number): Promise<void> {
  if (numbers.length === 0) return;
  const sql = "UPDATE events SET operators_told_at = ?2 WHERE seq IN (SELECT value FROM json_each(?1))";
  await stored(async () => db.prepare(sql).bind(JSON.stringify(numbers), now).run());
}
