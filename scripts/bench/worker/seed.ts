/** Data of the benchmark. */
const CHUNK = 10_000;

/** One of 1,000 projects is at a cap and nine are near it, as on a usual day. */
const USED = "CASE WHEN n % 1000 = 7 THEN 1000 WHEN n % 1000 < 10 THEN 850 ELSE n % 700 END";

async function inChunks(count: number, insert: (from: number, to: number) => Promise<unknown>): Promise<void> {
  for (let from = 1; from <= count; from += CHUNK) await insert(from, Math.min(count, from + CHUNK - 1));
}

const numbers = "WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2)";

/** Adds projects of one organization, each with caps and two counters for today. */
export async function seedProjects(db: D1Database, count: number): Promise<number> {
  const now = Date.now();
  const id = "printf('p-%07d', n)";
  await db
    .prepare(
      `INSERT INTO organizations (id, name, billing_anchor, changed_by, created_at, updated_at) VALUES ('bench', 'bench', ?1, 'bench', ?1, ?1)
       ON CONFLICT DO NOTHING`,
    )
    .bind(now)
    .run();
  await inChunks(count, async (from, to) =>
    db.batch([
      db
        .prepare(
          `${numbers} INSERT INTO projects (id, organization_id, name, changed_by, created_at, updated_at)
           SELECT ${id}, 'bench', 'bench', 'bench', ?3, ?3 FROM numbers WHERE true ON CONFLICT DO NOTHING`,
        )
        .bind(from, to, now),
      db
        .prepare(
          `${numbers} INSERT INTO caps (project_id, cap_type, value, updated_at)
           SELECT ${id}, value ->> 'type', value ->> 'cap', ?3 FROM numbers JOIN json_each(?4) WHERE true ON CONFLICT DO NOTHING`,
        )
        .bind(from, to, now, JSON.stringify(CAPS)),
      db
        .prepare(
          `${numbers} INSERT INTO counters (project_id, meter, day, used)
           SELECT ${id}, value, ?3, ${USED} FROM numbers JOIN json_each('["storage_uploads_per_day","function_invocations_per_day"]')
           WHERE true ON CONFLICT DO NOTHING`,
        )
        .bind(from, to, new Date(now).toISOString().slice(0, 10)),
    ]),
  );
  return count;
}

const CAPS = [
  { type: "db_queries_per_day", cap: 10_000 },
  { type: "realtime_connections", cap: 100 },
  { type: "storage_uploads_per_day", cap: 1_000 },
  { type: "function_invocations_per_day", cap: 5_000 },
];

/** Adds organizations whose first month has ended. Does not depend on the current date. */
export async function seedOrganizations(db: D1Database, count: number): Promise<number> {
  const now = new Date();
  const anchor = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 1);
  const endsAt = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
  await inChunks(count, async (from, to) =>
    db.batch([
      db
        .prepare(
          `${numbers} INSERT INTO organizations (id, name, billing_anchor, changed_by, created_at, updated_at)
           SELECT printf('o-%07d', n), 'bench', ?3, 'bench', ?3, ?3 FROM numbers WHERE true ON CONFLICT DO NOTHING`,
        )
        .bind(from, to, anchor),
      db
        .prepare(
          `${numbers} INSERT INTO billing_periods (organization_id, period_index, starts_at, ends_at, api_calls)
           SELECT printf('o-%07d', n), 0, ?3, ?4, 1000 FROM numbers WHERE true`,
        )
        .bind(from, to, anchor, endsAt),
    ]),
  );
  return count;
}

/** Deletes data of earlier rounds, except organizations and projects. */
export async function clearRound(db: D1Database): Promise<void> {
  const tables = ["evaluations", "threshold_notices", "events", "suspensions", "billing_periods", "usage_events", "adjustments"];
  await db.batch(tables.map((table) => db.prepare(`DELETE FROM ${table}`)));
}
