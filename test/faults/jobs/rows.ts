/** Reads the databases without faults. */
import { env } from "cloudflare:workers";

const readerOf = (db: D1Database) => {
  const prepare = db.prepare.bind(db);
  return async <Row_ = Record<string, unknown>>(sql: string, ...values: unknown[]): Promise<Row_[]> =>
    (
      await prepare(sql)
        .bind(...values)
        .all<Row_>()
    ).results;
};

export const rowsOf = readerOf(env.DB);
export const catalogRowsOf = readerOf(env.CATALOG);

export const countOf = async (sql: string, ...values: unknown[]): Promise<number> =>
  Number(Object.values((await rowsOf(sql, ...values))[0] ?? {})[0] ?? 0);

/** Queries that find unfinished work, by table. */
const UNFINISHED = {
  jobs: "SELECT type FROM jobs WHERE ended_at IS NULL",
  events: "SELECT type FROM events WHERE dispatched_at IS NULL",
  deliveries: "SELECT event_type AS type FROM webhook_deliveries WHERE status = 'pending'",
  backups: "SELECT status AS type FROM backups WHERE status IN ('running', 'deleting')",
  scratches: "SELECT status AS type FROM backups WHERE scratch = 1 AND status <> 'running'",
  restores: "SELECT 'running' AS type FROM restores WHERE status = 'running'",
  projects: "SELECT provisioning AS type FROM projects WHERE provisioning <> 'done'",
};

/** Unfinished work as "table: type". Empty if nothing is lost. */
export async function listUnfinished(): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(UNFINISHED).map(async ([name, sql]) => (await rowsOf<{ type: string }>(sql)).map(({ type }) => `${name}: ${type}`)),
  );
  return found.flat();
}
