/**
 * `harvest`: one bounded run, then the next one as a job of its own. D1 allows 1,000 queries and the platform a number of requests an
 * invocation, and all steps of one instance may share one: only another instance begins at zero.
 */
import { MINUTE_MS } from "../lib/time.ts";
import { runHarvest } from "../library/harvest.ts";
import type { Stop } from "../store/library/harvest.ts";
import { continueAs } from "./context.ts";
import type { JobHandler } from "./context.ts";

/** Of one run: the 5 minutes of a try less the longest request (100 s) and the longest pause of the pace (15 s). */
const RUN_MS = 3 * MINUTE_MS;
/** Runs follow one another until shortly before the next tick, so that they never pile up. */
const RUNS_MS = 28 * MINUTE_MS;

/** What leaves something to do that another run can do at once. */
const GOES_ON: ReadonlySet<Stop> = new Set<Stop>(["enough_for_one_run", "out_of_time"]);

export const harvestHandler: JobHandler<"harvest"> = async ({ until }, job) => {
  const { deps } = job;
  const last = until === undefined ? (job.scheduledFor ?? job.createdAt) + RUNS_MS : Date.parse(until);
  const run = await job.step("run", async (attempt, stepDeps) => {
    // A try of its own is a run of its own: what the one before had taken is free again in a quarter of an hour.
    const id = attempt === 1 ? job.id : `${job.id}.${attempt}`;
    const done = await runHarvest(stepDeps, { id, deadline: deps.clock() + RUN_MS });
    const stopped = done?.stopped ?? null;
    return { done, goes_on: stopped !== null && GOES_ON.has(stopped) && deps.clock() < last };
  });
  if (!run.goes_on) return { success: true, data: { run: run.done, next: null } };
  const next = await continueAs("begin the next run", "harvest", { until: new Date(last).toISOString() }, job);
  return { success: true, data: { run: run.done, next } };
};
