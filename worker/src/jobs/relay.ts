/**
 * Brings the index and the instances together again: starts what a crash left behind, and adopts ends that nobody wrote down. Looking at
 * an instance disturbs nothing; waking one is for those that are known to be asleep.
 */
import { DAY_MS, MINUTE_MS } from "../lib/time.ts";
import { errorFields, log } from "../lib/log.ts";
import { claimStart, deleteJobs, endJob, expiredJobs, markChecked, quietJobs } from "../store/jobs/jobs.ts";
import type { Expired, FinalStatus, JobEnd, JobRow } from "../store/jobs/jobs.ts";
import { JOBS } from "./catalog.ts";
import type { JobType } from "./catalog.ts";
import { Instances, MAX_DELETED } from "./instances.ts";
import { paramsOf } from "./job-params.ts";
import type { JobParams } from "./job-params.ts";

/** An enqueue takes milliseconds; what shows nothing for so long may have died. */
const QUIET_MS = MINUTE_MS;
/** A try may take 5 minutes, and a job may sleep for a day: one look in so long is enough. */
const LOOK_EVERY_MS = 4 * MINUTE_MS;
/** Of one pass: each look is a request of its own, and the next pass comes soon. */
const MAX_LOOKS = 100;

interface JobRelayOptions {
  readonly db: D1Database;
  readonly workflow: Workflow<JobParams>;
  readonly clock: () => number;
}

export interface Relayed {
  readonly looked_at: number;
  readonly started: number;
  readonly ended: number;
  readonly woken: number;
}

export class JobRelay {
  readonly #options: JobRelayOptions;
  readonly #instances: Instances;

  constructor(options: JobRelayOptions) {
    this.#options = options;
    this.#instances = new Instances(options.workflow);
  }

  /** One pass over unfinished jobs that have been quiet for a minute. */
  async relay(): Promise<Relayed> {
    const now = this.#options.clock();
    const jobs = await quietJobs(this.#options.db, { quietSince: now - QUIET_MS, checkedBefore: now - LOOK_EVERY_MS, limit: MAX_LOOKS });
    return this.#each(jobs, async (job) => this.#instances.end(job.id));
  }

  /**
   * Wakes what local workerd left asleep when it was started at this time: whatever showed no sign of life since was under way in a
   * process that is gone. Nothing that lives is touched, for it has shown one.
   */
  async wake(restartedAt: number): Promise<Relayed> {
    const jobs = await quietJobs(this.#options.db, { quietSince: restartedAt, checkedBefore: restartedAt, limit: MAX_LOOKS });
    return this.#each(jobs, async (job) => this.#instances.wake(job.id), 1);
  }

  /** Compares one job that has been quiet with its instance; true where its row has changed. */
  async check(job: JobRow): Promise<boolean> {
    if (job.ended_at !== null || this.#options.clock() - job.updated_at < QUIET_MS) return false;
    const { started, ended } = await this.#each([job], async ({ id }) => this.#instances.end(id));
    return started + ended > 0;
  }

  /** Removes a batch of jobs that are over their life; true where there may be more. */
  async removeExpired(): Promise<{ removed: number; more: boolean }> {
    const { db, clock } = this.#options;
    const now = clock();
    const ids = await expiredJobs(db, lives(now), MAX_DELETED);
    if (ids.length === 0) return { removed: 0, more: false };
    // The platform forgets them by itself a little later; only local disks fill up.
    await this.#instances.delete(ids).catch((error: unknown) => log.warn("Instances were not deleted", errorFields(error)));
    await deleteJobs(db, ids);
    return { removed: ids.length, more: ids.length === MAX_DELETED };
  }

  async #each(jobs: readonly JobRow[], look: (job: JobRow) => Promise<JobEnd | "missing" | null>, woken = 0): Promise<Relayed> {
    const { db, clock } = this.#options;
    const told = { looked_at: jobs.length, started: 0, ended: 0, woken: 0 };
    for (const job of jobs) {
      try {
        const seen = await look(job);
        if (seen === null) told.woken += woken;
        else if (seen !== "missing") told.ended += Number(await endJob(db, job.id, seen, clock()));
        else if (job.started_at === null) told.started += await this.#start(job);
        else told.ended += Number(await endJob(db, job.id, GONE, clock()));
      } catch (error) {
        // One bad instance does not keep the others from being looked at.
        log.warn("A job could not be compared with its instance", { job_id: job.id, job_type: job.type, ...errorFields(error) });
      }
    }
    await markChecked(
      db,
      jobs.map(({ id }) => id),
      clock(),
    );
    return told;
  }

  async #start(job: JobRow): Promise<number> {
    const { db, clock } = this.#options;
    // Two who look at once would both create it, which local Workflows takes for two runs.
    if (!(await claimStart(db, job, clock()))) return 0;
    await this.#instances.create(job.id, paramsOf(job));
    log.info("A job that was left behind is started", { job_id: job.id, job_type: job.type });
    return 1;
  }
}

const GONE = { status: "failed", result: null, error: "Its instance is gone." } as const;

/** What is over its life by now. A type that leaves the catalogue takes its rows along in a migration. */
function lives(now: number): Expired[] {
  return (Object.keys(JOBS) as JobType[]).flatMap((type) =>
    (Object.entries(JOBS[type].keptDays) as [FinalStatus, number][]).map(([status, days]) => ({
      type,
      status,
      before: now - days * DAY_MS,
    })),
  );
}
