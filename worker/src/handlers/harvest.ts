/**
 * `harvest`: one bounded run, then the next run as a new job. D1 allows 1,000 queries per invocation, and the platform limits requests. All
 * steps of an instance may share an invocation. Only a new instance starts at zero.
 */
import { MINUTE_MS } from "../lib/time.ts";
import { runHarvest } from "../library/harvest.ts";
import type { Stop } from "../store/library/harvest.ts";
import { continueAs } from "./context.ts";
import type { JobHandler } from "./context.ts";

/** Duration of one run: 5 minutes of an attempt minus the longest request (100 s) and the longest pause of the pace (15 s). */
const RUN_MS = 3 * MINUTE_MS;
/** Runs end shortly before the next scheduled time, so that they never overlap. */
const RUNS_MS = 28 * MINUTE_MS;

/** Reasons to stop that leave work for an immediate next run. */
const GOES_ON: ReadonlySet<Stop> = new Set<Stop>(["enough_for_one_run", "out_of_time"]);

export const harvestHandler: JobHandler<"harvest"> = async ({ until }, job) => {
  const { deps } = job;
  const last = until === undefined ? (job.scheduledFor ?? job.createdAt) + RUNS_MS : Date.parse(until);
  const run = await job.step("run", async (attempt, stepDeps) => {
    // Each attempt is a new run. The targets of the previous run become due again after 15 minutes.
    const id = attempt === 1 ? job.id : `${job.id}.${attempt}`;
    const done = await runHarvest(stepDeps, { id, deadline: deps.clock() + RUN_MS });
    const stopped = done?.stopped ?? null;
    return { done, goes_on: stopped !== null && GOES_ON.has(stopped) && deps.clock() < last };
  });
  if (!run.goes_on) return { success: true, data: { run: run.done, next: null } };
  const next = await continueAs("begin the next run", "harvest", { until: new Date(last).toISOString() }, job);
  return { success: true, data: { run: run.done, next } };
};
