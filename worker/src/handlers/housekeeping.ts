/**
 * `housekeeping`: relay, events, retention, the catalog's size, and once an hour the provider's count. A failed part does not block the others. While the
 * database accepts no jobs, the cron runs the retention and the relay without one.
 */
import type { Deps } from "../deps.ts";
import { relaySignals } from "../monitoring/intake.ts";
import { maintainCatalog } from "../library/catalog-size.ts";
import { errorFields, log } from "../lib/log.ts";
import { MINUTE_MS } from "../lib/time.ts";
import { RETAINED_TABLES, removeExpired } from "../store/retention.ts";
import type { Removal } from "../store/retention.ts";
import { detectAbuse } from "../tenants/abuse/watch.ts";
import { closeAbandonedRestores } from "../tenants/backups/restore.ts";
import { removeExpiredBackups } from "../tenants/backups/retention.ts";
import { resumeStalledWork } from "../tenants/provisioning/recovery.ts";
import { catchUp } from "../tenants/webhooks/dispatch.ts";
import { orNull } from "./context.ts";
import type { JobHandler } from "./context.ts";

/** Deletions per job. The next jobs continue with a backlog. */
const MAX_ROUNDS = 10;
/** Rows per deletion. */
const ROWS = 5_000;

type Cleanup = (deps: Deps) => Promise<Removal>;

/** Everything with a retention period. Each entry deletes a bounded number of rows. */
const CLEANUPS: ReadonlyMap<string, Cleanup> = new Map<string, Cleanup>([
  ["jobs", async ({ relay }) => relay.removeExpired()],
  ...RETAINED_TABLES.map((table): [string, Cleanup] => [table, async ({ db, clock }) => removeExpired(db, table, clock(), ROWS)]),
  [
    "backups",
    async (deps) => {
      await closeAbandonedRestores(deps);
      return removeExpiredBackups(deps);
    },
  ],
]);

export const housekeepingHandler: JobHandler<"housekeeping"> = async ({ provider_count, restarted_at, retention }, job) => {
  const failed: string[] = [];
  const part = async <Result>(step: string, work: (deps: Deps) => Promise<Result>, name = step): Promise<Result | null> => {
    const result = await orNull(job.step(step, async (_attempt, deps) => work(deps)));
    if (result === null) failed.push(name);
    return result;
  };
  const woken = restarted_at && (await part("wake", async (deps) => wakeAll(deps, Date.parse(restarted_at))));
  const relayed = await part("relay", async ({ relay }) => relay.relay());
  const signals = await part("signals", relaySignals);
  const abuse = await part("abuse", detectAbuse);
  const resumed = await part("resume", async (deps) => resumeStalledWork(deps, job.id));
  const dispatched = await part("dispatch", catchUp);
  const removed: Record<string, number | null> = {};
  for (const [name, cleanup] of CLEANUPS) {
    if (retention === true || name === "jobs") removed[name] = await part(`remove ${name}`, async (deps) => removeAll(deps, cleanup), name);
  }
  const count = provider_count === true ? await part("provider count", observeProvider) : undefined;
  const catalog = await part("catalog", maintainCatalog);
  const data = { woken, relayed, signals, abuse, resumed, dispatched, removed, provider_count: count, catalog };
  return failed.length === 0 ? { success: true, data } : { success: false, data, error: `These parts failed: ${failed.join(", ")}.` };
};

/** Ends well before the next tick, even if every query hangs. */
const MAX_RECOVERY_MS = 2 * MINUTE_MS;

/**
 * Frees space in a database that refuses new rows. No job can be recorded there, so this runs without one. A full database still deletes.
 * Returns the number of removed rows.
 */
export async function removeWithoutJob(deps: Deps): Promise<number> {
  const until = deps.clock() + MAX_RECOVERY_MS;
  let total = 0;
  for (const [name, cleanup] of CLEANUPS) {
    if (deps.clock() >= until || deps.db.isUsedUp) break;
    total += (await withoutJob(name, async () => removeAll(deps, cleanup))) ?? 0;
  }
  // Needs some space, and starts the jobs that are recorded but have no instance.
  await withoutJob("relay", async () => deps.relay.relay());
  log.warn("Cleanup ran without a job", { removed: total });
  return total;
}

async function withoutJob<Result>(part: string, work: () => Promise<Result>): Promise<Result | null> {
  try {
    return await work();
  } catch (error) {
    log.error("Cleanup without a job failed", { part, ...errorFields(error) });
    return null;
  }
}

async function wakeAll({ relay }: Deps, restartedAt: number): Promise<number> {
  let total = 0;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const { looked_at, woken } = await relay.wake(restartedAt);
    total += woken;
    if (looked_at === 0) break;
  }
  return total;
}

async function removeAll(deps: Deps, cleanup: Cleanup): Promise<number> {
  let total = 0;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const { removed, more } = await cleanup(deps);
    total += removed;
    if (!more || deps.db.isUsedUp) break;
  }
  return total;
}

/** `GET /key` is free. Untracked calls become part of `used`, even without our own calls. */
async function observeProvider({ readProviderCount, quotaAdmin }: Deps): Promise<{ upstream_spent: number | null }> {
  const count = await readProviderCount();
  if (count.kind === "failed") throw new Error("The provider's count is unavailable.");
  if (count.kind === "none") return { upstream_spent: null };
  const { upstream } = await quotaAdmin.observe(count.report);
  return { upstream_spent: upstream?.spent ?? null };
}
