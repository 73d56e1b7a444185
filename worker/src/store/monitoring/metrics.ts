/** Counts for monitoring. All queries read an index, none reads projects. Times are epoch milliseconds. */
import { databaseSize, stored } from "../database.ts";
import type { JobStatus } from "../jobs/jobs.ts";
import { shelfOf } from "../library/moved.ts";
import type { Shelves } from "../library/moved.ts";
import type { DeliveryStatus } from "../webhooks/deliveries.ts";

export interface StoredCounts {
  readonly jobs: readonly { readonly type: string; readonly status: JobStatus; readonly count: number }[];
  readonly bytes: number;
}

export interface CatalogCounts {
  readonly targets: readonly { readonly state: "due" | "done" | "failed"; readonly count: number }[];
  readonly bytes: number;
}

/**
 * Rejects counts that are not numbers. Counts are cached and shown with other data, so a malformed row must fail like an unavailable
 * database.
 */
function counted<Row extends { readonly count: number }>(rows: readonly Row[]): readonly Row[] {
  if (rows.some(({ count }) => !Number.isSafeInteger(count))) throw new Error("The database returned a count that is not a number");
  return rows;
}

/** Reads as many index entries as there are stored jobs. */
export async function storedCounts(db: D1Database): Promise<StoredCounts> {
  const jobs = `SELECT type, status, count(*) AS count FROM jobs INDEXED BY jobs_ended WHERE ended_at IS NOT NULL GROUP BY type, status
    UNION ALL SELECT type, status, count(*) FROM jobs INDEXED BY jobs_unfinished WHERE ended_at IS NULL GROUP BY type, status`;
  return stored(async () => {
    const { results, meta } = await db.prepare(jobs).all<StoredCounts["jobs"][number]>();
    return { jobs: counted(results), bytes: meta.size_after };
  });
}

/** Reads as many index entries as there are stored targets. */
export async function catalogCounts(shelves: Shelves): Promise<CatalogCounts> {
  const shelf = await shelfOf(shelves, "harvest_targets");
  const targets = "SELECT state, count(*) AS count FROM harvest_targets INDEXED BY harvest_targets_by_state GROUP BY state";
  return stored(async () => {
    const { results, meta } = await shelf.prepare(targets).all<CatalogCounts["targets"][number]>();
    const bytes = shelf === shelves.catalog ? meta.size_after : await databaseSize(shelves.catalog);
    return { targets: counted(results), bytes };
  });
}

/** Webhook deliveries by outcome since the database was created, and those in flight. Reads four rows. */
export async function webhookTallies(db: D1Database): Promise<Readonly<Record<DeliveryStatus, number>>> {
  const query = db.prepare("SELECT status, count FROM webhook_tallies");
  const results = await stored(async () => {
    const rows = await query.all<{ readonly status: DeliveryStatus; readonly count: number }>();
    return counted(rows.results);
  });
  const of = (status: DeliveryStatus): number => results.find((row) => row.status === status)?.count ?? 0;
  return { pending: of("pending"), delivered: of("delivered"), failed: of("failed"), skipped: of("skipped") };
}

/** The end of a job that finished all its work. */
export interface RunEnd {
  readonly started_at: number;
  readonly ended_at: number;
  /** JSON. Null if it failed. */
  readonly result: string | null;
}

export interface LatestRuns {
  readonly succeeded: RunEnd | null;
  readonly failed: RunEnd | null;
}

/** Excludes resets that were switched off, sweeps of selected projects, dry runs, and later parts. */
const WHOLE = {
  reset_quotas: "result ->> 'skipped' IS NULL",
  check_usage_limits: `payload ->> 'project_ids' IS NULL AND payload ->> 'cap_types' IS NULL AND payload ->> 'after' IS NULL
    AND payload ->> 'enforce_limits' = 1`,
} as const;

/** The latest end of the monthly reset and of the sweep, with one index look-up each. */
export async function latestRuns(db: D1Database): Promise<Readonly<Record<keyof typeof WHOLE, LatestRuns>>> {
  const latest = (type: keyof typeof WHOLE, status: "completed" | "failed") =>
    db
      .prepare(
        `SELECT coalesce(started_at, created_at) AS started_at, ended_at, result FROM jobs INDEXED BY jobs_ended
        WHERE type = ?1 AND status = ?2 AND ended_at IS NOT NULL AND ${WHOLE[type]} ORDER BY ended_at DESC LIMIT 1`,
      )
      .bind(type, status);
  const results = await stored(async () =>
    db.batch<RunEnd>([
      latest("reset_quotas", "completed"),
      latest("reset_quotas", "failed"),
      latest("check_usage_limits", "completed"),
      latest("check_usage_limits", "failed"),
    ]),
  );
  const [resetDone, resetFailed, sweepDone, sweepFailed] = results.map(({ results: [row] }) => row ?? null);
  return {
    reset_quotas: { succeeded: resetDone ?? null, failed: resetFailed ?? null },
    check_usage_limits: { succeeded: sweepDone ?? null, failed: sweepFailed ?? null },
  };
}
