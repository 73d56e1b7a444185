/** What each cron starts. The expressions stand in wrangler.jsonc too; one without an entry here throws. */
import { createDeps } from "./deps.ts";
import type { Deps } from "./deps.ts";
import { runHarvest } from "./library/harvest.ts";

/** Below the 15 minutes that the platform gives a cron, with room for the request under way. */
const HARVEST_MS = 12 * 60 * 1_000;

/** A tick is known by its scheduled time, so that one delivered twice runs once. */
const CRONS: Readonly<Record<string, (deps: Deps, scheduledTime: number) => Promise<unknown>>> = {
  "*/30 * * * *": async (deps, scheduledTime) =>
    runHarvest(deps, { id: `cron-${new Date(scheduledTime).toISOString()}`, deadline: deps.clock() + HARVEST_MS }),
};

export async function runCron({ cron, scheduledTime }: ScheduledController, env: Env): Promise<void> {
  const start = CRONS[cron];
  if (!start) throw new Error(`No work is known for the cron ${JSON.stringify(cron)}`);
  await start(
    createDeps(env, () => Date.now()),
    scheduledTime,
  );
}
