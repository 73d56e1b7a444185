/** `housekeeping`: relay, retention, and once an hour the provider's own count. One part's failure does not keep the others from running. */
import type { Deps } from "../deps.ts";
import { orNull } from "./context.ts";
import type { JobContext, JobHandler } from "./context.ts";

/** Removals of one job: a backlog is worked off by the next ones. */
const MAX_ROUNDS = 10;

/**
 * Everything in the database that has a life. Each removes a bounded number of rows that are over theirs, and says whether there may be
 * more. What gets a life is added here: `admissions`, `usage_events`.
 */
const LIVES: Readonly<Record<string, (deps: Deps) => Promise<{ removed: number; more: boolean }>>> = {
  jobs: async ({ relay }) => relay.removeExpired(),
};

export const housekeepingHandler: JobHandler<"housekeeping"> = async ({ provider_count, restarted_at }, job) => {
  const { deps } = job;
  const woken =
    restarted_at === undefined ? undefined : await orNull(job.step("wake", async () => wakeAll(deps, Date.parse(restarted_at))));
  const relayed = await orNull(job.step("relay", async () => deps.relay.relay()));
  const removed: Record<string, number | null> = {};
  for (const name of Object.keys(LIVES)) removed[name] = await orNull(removal(name, job));
  const count = provider_count === true ? await orNull(job.step("provider count", async () => observeProvider(deps))) : undefined;

  const data = { woken, relayed, removed, provider_count: count };
  const failed = [
    ...(woken === null ? ["wake"] : []),
    ...(relayed === null ? ["relay"] : []),
    ...Object.keys(removed).filter((name) => removed[name] === null),
    ...(count === null ? ["provider count"] : []),
  ];
  return failed.length === 0 ? { success: true, data } : { success: false, data, error: `Given up: ${failed.join(", ")}.` };
};

async function wakeAll({ relay }: Deps, restartedAt: number): Promise<number> {
  let total = 0;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const { looked_at, woken } = await relay.wake(restartedAt);
    total += woken;
    if (looked_at === 0) break;
  }
  return total;
}

async function removal(name: string, job: JobContext): Promise<number> {
  return job.step(`remove ${name}`, async () => {
    let total = 0;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const { removed, more } = (await LIVES[name]?.(job.deps)) ?? { removed: 0, more: false };
      total += removed;
      if (!more) break;
    }
    return total;
  });
}

/** `GET /key` is free: what others spent becomes part of `used` although nobody of us called. */
async function observeProvider({ readProviderCount, quotaAdmin }: Deps): Promise<{ upstream_spent: number | null }> {
  const count = await readProviderCount();
  if (count.kind === "failed") throw new Error("The provider did not tell its count.");
  if (count.kind === "none") return { upstream_spent: null };
  const { upstream } = await quotaAdmin.observe(count.report);
  return { upstream_spent: upstream?.spent ?? null };
}
