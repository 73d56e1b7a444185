/** Usage reported by other services, and the counters, adjustments, billing periods and gauges it changes. Times are epoch milliseconds. */
import { jsonChunks, stored } from "../database.ts";
import type { Meter } from "./meters.ts";
import { MAKE_PERIODS } from "../billing/periods.ts";
import type { PeriodOf } from "../billing/periods.ts";

/** Counters `count`. Gauges `add` or `set`. */
export type EventMode = "count" | "add" | "set";

export interface NewEvent {
  /** Position in the report. Of two events with one id, the first counts. */
  readonly index: number;
  readonly source: string;
  /** Unique with its source. */
  readonly id: string;
  readonly project_id: string;
  readonly meter: Meter;
  readonly mode: EventMode;
  readonly quantity: number;
  readonly occurred_at: number;
  /** Hash of the content. Other content under the same id is a conflict. */
  readonly fingerprint: string;
}

/** The stored row with the id of a given event. */
export interface StoredEvent {
  readonly index: number;
  readonly seq: number;
  readonly fingerprint: string;
  /** Whether this report added and counted it. */
  readonly isNew: boolean;
  /** Whether its day or billing period had ended, so that it was counted as an adjustment. */
  readonly late: boolean;
}

/** The organization billed for a project, and its billing anchor. */
export interface Owner {
  readonly project_id: string;
  readonly organization_id: string;
  readonly billing_anchor: number;
}

/** Owners of the given projects that exist and are not deleted. */
export async function findOwners(db: D1Database, projectIds: readonly string[]): Promise<Owner[]> {
  const sql = `SELECT p.id AS project_id, o.id AS organization_id, o.billing_anchor
    FROM json_each(?) AS given JOIN projects p ON p.id = given.value AND p.lifecycle <> 'DELETED' AND p.provisioning = 'done'
    JOIN organizations o ON o.id = p.organization_id`;
  const { results } = await stored(async () => db.prepare(sql).bind(JSON.stringify(projectIds)).all<Owner>());
  return results;
}

/** Breaks ties between two sets of the same time, in SQL. Sources contain no control characters, so every event has its own name. */
const nameOf = (event: string): string => `${event}.source || char(31) || ${event}.id`;

/** The billing period that contains an event, and whether it is still open at ?2. */
const periodOf = (event: string): string =>
  `b.organization_id = p.organization_id AND b.starts_at <= ${event}.occurred_at AND b.ends_at > ${event}.occurred_at`;
const STILL_COUNTS = "(b.closed_at IS NULL AND b.ends_at > ?2)";

/**
 * ?1 batch, ?2 now, ?3 events. Stores only events that can be counted: the project exists and, for billed calls, the billing period too. In
 * the order of the report, so that the first of two equal ids wins.
 */
const ADD_EVENTS = `WITH given AS (
    SELECT key, value ->> 'source' AS source, value ->> 'id' AS id, value ->> 'project_id' AS project_id, value ->> 'meter' AS meter,
      value ->> 'mode' AS mode, value ->> 'quantity' AS quantity, value ->> 'occurred_at' AS occurred_at,
      value ->> 'fingerprint' AS fingerprint
    FROM json_each(?3))
  INSERT INTO usage_events (source, id, project_id, meter, mode, quantity, occurred_at, received_at, fingerprint, batch)
  SELECT g.source, g.id, g.project_id, g.meter, g.mode, g.quantity, g.occurred_at, ?2, g.fingerprint, ?1
  FROM given g JOIN projects p ON p.id = g.project_id AND p.lifecycle <> 'DELETED' AND p.provisioning = 'done'
  WHERE g.meter <> 'api_calls' OR EXISTS (SELECT 1 FROM billing_periods b WHERE ${periodOf("g")})
  ORDER BY g.key ON CONFLICT (source, id) DO NOTHING`;

/** ?1 batch, ?2 start of the current day. */
const COUNT = (table: "counters" | "adjustments", column: "used" | "quantity", when: string): string =>
  `INSERT INTO ${table} (project_id, meter, day, ${column})
  SELECT project_id, meter, date(occurred_at / 1000, 'unixepoch') AS day, sum(quantity) FROM usage_events
  WHERE batch = ?1 AND mode = 'count' AND meter <> 'api_calls' AND ${when} GROUP BY project_id, meter, day
  ON CONFLICT DO UPDATE SET ${column} = ${column} + excluded.${column}`;
const COUNT_IN_DAYS = COUNT("counters", "used", "occurred_at >= ?2");
const COUNT_LATE = COUNT("adjustments", "quantity", "occurred_at < ?2");

/** ?1 batch, ?2 now. */
const COUNT_IN_PERIODS = `UPDATE billing_periods AS b SET
    api_calls = api_calls + iif(${STILL_COUNTS}, isNew.quantity, 0), adjustments = adjustments + iif(${STILL_COUNTS}, 0, isNew.quantity)
  FROM (SELECT b.organization_id, b.period_index, sum(e.quantity) AS quantity FROM usage_events e JOIN projects p ON p.id = e.project_id
    JOIN billing_periods b ON ${periodOf("e")} WHERE e.batch = ?1 AND e.meter = 'api_calls' GROUP BY b.organization_id, b.period_index
  ) AS isNew
  WHERE b.organization_id = isNew.organization_id AND b.period_index = isNew.period_index`;

/**
 * ?1 batch, ?2 now. A level is the latest set plus all later additions, regardless of their order of arrival. A report with a later set
 * recalculates the level from it. The index usage_events_of_gauges finds the additions since, and events are kept longer than a set may be
 * old. `mode <> 'count'` lets SQLite choose that index.
 */
const SET_GAUGES = `INSERT INTO gauges (project_id, meter, level, set_at, set_by, set_in, updated_at)
  SELECT project_id, meter, quantity + (SELECT coalesce(sum(a.quantity), 0) FROM usage_events a
      WHERE a.project_id = latest.project_id AND a.meter = latest.meter AND a.occurred_at > latest.occurred_at
        AND a.mode <> 'count' AND a.mode = 'add'),
    occurred_at, name, ?1, ?2
  FROM (SELECT e.*, ${nameOf("e")} AS name,
      row_number() OVER (PARTITION BY project_id, meter ORDER BY occurred_at DESC, ${nameOf("e")} DESC) AS place
    FROM usage_events e WHERE batch = ?1 AND mode = 'set') AS latest
  WHERE place = 1
  ON CONFLICT DO UPDATE SET level = excluded.level, set_at = excluded.set_at, set_by = excluded.set_by, set_in = excluded.set_in,
    updated_at = excluded.updated_at
  WHERE (excluded.set_at, excluded.set_by) > (gauges.set_at, gauges.set_by)`;

/** ?1 batch, ?2 now. A level set by this report already includes the report's additions. */
const ADD_TO_GAUGES = `INSERT INTO gauges (project_id, meter, level, set_at, set_by, set_in, updated_at)
  SELECT e.project_id, e.meter, sum(e.quantity), 0, '', '', ?2
  FROM usage_events e LEFT JOIN gauges g ON g.project_id = e.project_id AND g.meter = e.meter
  WHERE e.batch = ?1 AND e.mode = 'add' AND (g.level IS NULL OR (g.set_in <> ?1 AND e.occurred_at > g.set_at))
  GROUP BY e.project_id, e.meter
  ON CONFLICT DO UPDATE SET level = level + excluded.level, updated_at = excluded.updated_at`;

/** ?1 batch, ?2 now, ?3 events, ?4 start of the current day. */
const FIND_EVENTS = `SELECT value ->> 'index' AS "index", e.seq, e.fingerprint, e.batch = ?1 AS isNew,
    CASE WHEN e.mode <> 'count' THEN 0
      WHEN e.meter <> 'api_calls' THEN e.occurred_at < ?4
      ELSE NOT EXISTS (SELECT 1 FROM projects p JOIN billing_periods b ON ${periodOf("e")} WHERE p.id = e.project_id AND ${STILL_COUNTS}) END AS late
  FROM json_each(?3) JOIN usage_events e ON e.source = value ->> 'source' AND e.id = value ->> 'id'`;

type FoundRow = Omit<StoredEvent, "isNew" | "late"> & { readonly isNew: number; readonly late: number };

/**
 * Stores and counts new events in one transaction, with as many statements for a thousand events as for one. Returns the stored row of each
 * event, and nothing for one that cannot be counted. Throws `storage_unavailable` if the database fails. The caller then does not know
 * whether they were counted and reports them again.
 *
 * Each attempt is a batch of its own, and a batch counts only the events it stored. If a response is lost after the commit, the next
 * attempt finds the events under the earlier batch and counts none. Under the same batch it would count them twice.
 */
export async function storeEvents(
  db: D1Database,
  events: readonly NewEvent[],
  periods: readonly PeriodOf[],
  { now, dayStart }: { readonly now: number; readonly dayStart: number },
): Promise<StoredEvent[]> {
  const batch = crypto.randomUUID();
  const chunks = jsonChunks(events);
  const statements = [
    ...jsonChunks(periods).map((chunk) => db.prepare(MAKE_PERIODS).bind(chunk)),
    ...chunks.map((chunk) => db.prepare(ADD_EVENTS).bind(batch, now, chunk)),
    db.prepare(COUNT_IN_DAYS).bind(batch, dayStart),
    db.prepare(COUNT_LATE).bind(batch, dayStart),
    db.prepare(COUNT_IN_PERIODS).bind(batch, now),
    db.prepare(SET_GAUGES).bind(batch, now),
    db.prepare(ADD_TO_GAUGES).bind(batch, now),
    ...chunks.map((chunk) => db.prepare(FIND_EVENTS).bind(batch, now, chunk, dayStart)),
  ];
  const results = await stored(async () => db.batch<FoundRow>(statements));
  return results
    .slice(-chunks.length)
    .flatMap(({ results }) => results)
    .map((row) => ({ ...row, isNew: row.isNew === 1, late: row.late === 1 }));
}
