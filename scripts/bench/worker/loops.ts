/** The same work as loops over rows, on the product's schema. Each query is a round trip, as on the platform. */
const DAY_MS = 86_400_000;

const today = (now: number): string => new Date(now).toISOString().slice(0, 10);

interface Metered {
  readonly cap_type: string;
  readonly value: number | null;
  readonly revision: number;
  readonly used: number;
}

/** Four queries per project: caps with counters, suspensions, decision and warning. */
export async function sweepLoop(db: D1Database, run: string, limit: number): Promise<number> {
  const now = Date.now();
  const { results: projects } = await db.prepare("SELECT id FROM projects ORDER BY id LIMIT ?").bind(limit).all<{ id: string }>();
  for (const { id } of projects) {
    const metered = await db
      .prepare(
        `SELECT c.cap_type, c.value, c.revision, coalesce(n.used, 0) AS used FROM caps c
         LEFT JOIN counters n ON n.project_id = c.project_id AND n.meter = c.cap_type AND n.day = ?2 WHERE c.project_id = ?1`,
      )
      .bind(id, today(now))
      .all<Metered>();
    const stopped = await db.prepare("SELECT 1 FROM suspensions WHERE project_id = ? AND lifted_at IS NULL").bind(id).first();
    const decided = metered.results.map((row) => ({ ...row, decision: decisionOf(row, stopped !== null) }));
    await db
      .prepare(
        `INSERT INTO evaluations (project_id, run, at, cap_type, period, used, cap, revision, decision, dry_run)
         SELECT ?1, ?2, ?3, value ->> 'cap_type', ?4, value ->> 'used', value ->> 'value', value ->> 'revision', value ->> 'decision', 0
         FROM json_each(?5) WHERE true ON CONFLICT DO NOTHING`,
      )
      .bind(id, run, now, today(now), JSON.stringify(decided))
      .run();
    await db
      .prepare(
        `INSERT INTO threshold_notices (project_id, cap_type, period, threshold, revision, at, sent)
         SELECT ?1, value ->> 'cap_type', ?2, 80, value ->> 'revision', ?3, 1 FROM json_each(?4) WHERE value ->> 'decision' = 'warned'
         ON CONFLICT DO NOTHING`,
      )
      .bind(id, today(now), now, JSON.stringify(decided))
      .run();
  }
  return projects.length;
}

function decisionOf({ value, used }: Metered, stopped: boolean): string {
  if (value === null) return "unlimited";
  if (used >= value) return stopped ? "exceeded" : "suspended";
  return used * 100 >= value * 80 ? "warned" : "ok";
}

/** Three queries per organization: open the next period, close the old one and lift its suspensions. */
export async function resetLoop(db: D1Database, run: string, limit: number): Promise<number> {
  const now = Date.now();
  const { results } = await db
    .prepare("SELECT organization_id AS id, period_index, ends_at FROM billing_periods WHERE closed_at IS NULL AND ends_at <= ? LIMIT ?")
    .bind(now, limit)
    .all<{ id: string; period_index: number; ends_at: number }>();
  for (const { id, period_index, ends_at } of results) {
    await db
      .prepare("INSERT INTO billing_periods (organization_id, period_index, starts_at, ends_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
      .bind(id, period_index + 1, ends_at, ends_at + 30 * DAY_MS)
      .run();
    await db
      .prepare("UPDATE billing_periods SET closed_at = ? WHERE organization_id = ? AND period_index = ?")
      .bind(now, id, period_index)
      .run();
    await db
      .prepare(
        `UPDATE suspensions SET lifted_at = ?2, lifted_by = ?3 WHERE lifted_at IS NULL AND until <= ?2
         AND project_id IN (SELECT id FROM projects WHERE organization_id = ?1)`,
      )
      .bind(id, now, run)
      .run();
  }
  return results.length;
}

/** One insert per event, without counters. */
export async function eventLoop(db: D1Database, run: string, events: number): Promise<number> {
  const now = Date.now();
  for (let index = 0; index < events; index += 1) {
    await db
      .prepare(
        `INSERT INTO usage_events (source, id, project_id, meter, mode, quantity, occurred_at, received_at, fingerprint, batch)
         VALUES ('bench', ?1, 'p-0000001', 'storage_uploads_per_day', 'count', 1, ?2, ?2, '', ?3) ON CONFLICT DO NOTHING`,
      )
      .bind(`${run}-${index}`, now, run)
      .run();
  }
  return events;
}
