/** Jobs, the ticks that started them, and their effects: backups, keys, harvest targets. */
import type { World } from "../world.ts";
import { Comparison } from "./compare.ts";

interface JobRow {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly error: string | null;
  readonly cron: string | null;
  readonly scheduled_for: number | null;
}

/** A receiver may fail as often as a delivery has attempts. */
const NOT_DELIVERED = /^Not delivered: /u;
/** Attempts ended by the storm: the Worker died, or its database was aborted. */
const BROKEN = "(a.outcome = 'interrupted' OR coalesce(a.error, '') LIKE '%did not answer%')";

export async function jobBooks(world: World): Promise<{ discrepancies: string[]; figures: Record<string, number> }> {
  const { storm } = world;
  const books = new Comparison();
  const jobs = await storm.d1<JobRow>("SELECT id, type, status, error, cron, scheduled_for FROM jobs");
  // A job may fail only if the storm ended every attempt of one of its steps.
  const broken = await storm.d1<{ job_id: string }>(
    `SELECT DISTINCT job_id FROM (SELECT a.job_id FROM job_attempts a GROUP BY a.job_id, a.step, a.nth HAVING min(coalesce(${BROKEN}, 0)) = 1)`,
  );
  const brokenJobs = new Set(broken.map(({ job_id }) => job_id));
  books.none(
    "jobs that failed for a reason other than the storm",
    jobs.filter(({ id, status, error }) => status === "failed" && !brokenJobs.has(id) && !NOT_DELIVERED.test(error ?? "")),
  );
  books.none(
    "jobs that were cancelled",
    jobs.filter(({ status }) => status === "cancelled"),
  );
  books.none(
    "attempts of ended jobs without an end",
    await storm.d1("SELECT a.* FROM job_attempts a JOIN jobs j ON j.id = a.job_id WHERE j.ended_at IS NOT NULL AND a.outcome IS NULL"),
  );
  ticked(world, books, jobs);
  const requested = new Set(world.operator.jobs.values());
  books.same("jobs requested by operators", jobs.filter(({ id }) => requested.has(id)).length, world.operator.jobs.size);
  await backups(world, books);
  await keys(world, books);
  await targets(world, books);
  const figures: Record<string, number> = {};
  for (const { type, status } of jobs) figures[`${type} ${status}`] = (figures[`${type} ${status}`] ?? 0) + 1;
  return { discrepancies: books.discrepancies, figures };
}

/** Each acknowledged tick creates exactly one job, even if it was repeated. A tick without acknowledgement creates at most one. */
function ticked({ ticks }: World, books: Comparison, jobs: readonly JobRow[]): void {
  const name = (cron: string | null, time: number | null): string => `${cron ?? ""} ${time ?? ""}`;
  const made = Map.groupBy(
    jobs.filter(({ cron }) => cron !== null),
    ({ cron, scheduled_for }) => name(cron, scheduled_for),
  );
  for (const { cron, time, heard } of ticks.ticks) {
    const times = made.get(name(cron, time))?.length ?? 0;
    books.within(`jobs of the tick ${cron} ${time}`, times, { least: heard ? 1 : 0, most: 1 });
    made.delete(name(cron, time));
  }
  books.none("jobs of ticks that never were", made.keys());
}

async function backups({ storm, operator }: World, books: Comparison): Promise<void> {
  const rows = await storm.d1<{ id: string; status: string }>("SELECT id, status FROM backups");
  books.none(
    "backups without an end",
    rows.filter(({ status }) => status !== "verified" && status !== "failed"),
  );
  const known = new Set(rows.map(({ id }) => id));
  books.none(
    "lost backups",
    operator.backups.filter((id) => !known.has(id)),
  );
}

async function keys({ storm, tenants }: World, books: Comparison): Promise<void> {
  const { keyId, key, id } = tenants.rotating;
  const live = await storm.d1(
    "SELECT version FROM api_key_versions WHERE key_id = ? AND (expires_at IS NULL OR expires_at > ?)",
    keyId,
    Date.now(),
  );
  books.same("versions of the key that work", live.length, 1);
  const opened = await storm.insist("new key", { path: `/api/projects/${id}/usage`, token: key });
  books.same("the newest key's response", opened.status, 200);
}

async function targets({ storm, operator }: World, books: Comparison): Promise<void> {
  const rows = await storm.catalog<{ name: string; state: string }>("SELECT name, state FROM harvest_targets");
  books.same("targets of the harvest", rows.map(({ name }) => name).toSorted(), operator.authors.toSorted());
}
