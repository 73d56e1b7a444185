/** Caps, and the suspensions that a change of caps lifts. Times are epoch milliseconds. */
import { applyChange, auditStatement, claimed, ifClaimed } from "../changes.ts";
import type { AuditNote, Operation, Seen } from "../changes.ts";
import { reactivatedStatement } from "../events.ts";
import type { CapType } from "./meters.ts";
import { OPEN_REASONS, activeReasons, isOpen } from "../suspension/reasons.ts";

/** New value of a cap. */
export interface CapChange {
  readonly type: CapType;
  readonly value: number | null;
  readonly gauge: boolean;
}

/** Thresholds in percent. Those already reached under the new cap get no notice. */
interface CapsContext {
  readonly day: string;
  readonly thresholds: readonly number[];
}

const changed = (json: string): string =>
  `SELECT value ->> 'type' AS type, value ->> 'value' AS value, value ->> 'gauge' AS gauge FROM json_each(${json})`;

/**
 * The changes `d` with the project's current usage (?1). A counter without a row is 0. A gauge without a row is unknown and resolves
 * nothing.
 */
const measured = (json: string, day: string): string => `(SELECT d.*, CASE d.gauge
    WHEN 1 THEN (SELECT level FROM gauges g WHERE g.project_id = ?1 AND g.meter = d.type)
    ELSE coalesce((SELECT used FROM counters n WHERE n.project_id = ?1 AND n.meter = d.type AND n.day = ${day}), 0) END AS used
  FROM (${changed(json)}) AS d) AS d`;

/** The reasons that the changes resolve, if they are open. */
const resolved = (json: string, day: string): string => `SELECT 'quota:' || d.type FROM ${measured(json, day)}
  WHERE d.value IS NULL OR d.used < d.value OR (d.used = d.value AND (d.gauge = 1 OR d.value = 0))`;

/** Only the transaction knows the open and the resolved reasons, so it reads them before it lifts them. ?3 now, ?10 changes, ?11 day. */
function withReasons(json: string, day: string) {
  const open = activeReasons("?1", "?3");
  const lifts = `EXISTS (SELECT 1 ${open} AND s.reason IN (${resolved("?10", "?11")}))`;
  const including = (note: string, reasons: string): string =>
    `iif(${lifts}, json_set(${note}, '$.reasons', json((SELECT json_group_array(s.reason ORDER BY s.since, s.reason) ${reasons}))), ${note})`;
  return {
    before: including("?8", open),
    after: including("?9", `${open} AND s.reason NOT IN (${resolved("?10", "?11")})`),
    values: [json, day],
  };
}

/**
 * Sets caps in one transaction. Lifts the reasons that this resolves, and marks the thresholds already reached under the new cap without a
 * notice. The audit log names the caps, and the reasons before and after if any are lifted. Returns false, and writes nothing, if the
 * project was changed meanwhile.
 */
export async function changeCaps(
  db: D1Database,
  project: Seen,
  changes: readonly CapChange[],
  { day, thresholds }: CapsContext,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const json = JSON.stringify(changes);
  const set = `UPDATE caps SET value = d.value, revision = revision + 1, updated_at = ?4 FROM (${changed("?3")}) AS d
    WHERE caps.project_id = ?1 AND caps.cap_type = d.type AND caps.value IS NOT d.value AND ${claimed("projects")}`;
  const liftResolved = `UPDATE suspensions INDEXED BY ${OPEN_REASONS} SET lifted_at = ?5, lifted_by = ?6
    WHERE project_id = ?1 AND ${isOpen("suspensions", "?5")} AND reason IN (${resolved("?3", "?4")}) AND ${claimed("projects")}`;
  const mark = `INSERT INTO threshold_notices (project_id, cap_type, period, threshold, revision, at, sent)
    SELECT ?1, c.cap_type, ?4, t.value, c.revision, ?5, 0
    FROM ${measured("?3", "?4")} JOIN caps c ON c.project_id = ?1 AND c.cap_type = d.type JOIN json_each(?6) AS t
    WHERE c.value > 0 AND d.used * 100 >= c.value * t.value AND ${claimed("projects")} ON CONFLICT DO NOTHING`;
  return applyChange(db, { owner: "projects", seen: project, operation, note: null }, [
    auditStatement(db, "projects", project.id, operation, note, withReasons(json, day)),
    ifClaimed(db, project.id, operation, set, json, operation.now),
    ifClaimed(db, project.id, operation, liftResolved, json, day, operation.now, operation.actor),
    reactivatedStatement(db, project.id, operation),
    ifClaimed(db, project.id, operation, mark, json, day, operation.now, JSON.stringify(thresholds)),
  ]);
}
