/**
 * Repairs differences between the index and the instances: starts jobs after a crash, and records missed results. Reading an instance
 * never disturbs it. Only instances that are known to be asleep are resumed.
 */
import { DAY_MS, MINUTE_MS } from "../lib/time.ts";
import { errorFields, log } from "../lib/log.ts";
import type { Sleep } from "../lib/sleep.ts";
import { claimStart, claimStarts, deleteJobs, endJob, expiredJobs, markChecked, quietJobs } from "../store/jobs/jobs.ts";
import type { Expired, FinalStatus, JobEnd, JobRow } from "../store/jobs/jobs.ts";
import { JOBS } from "./catalog.ts";
import type { JobType } from "./catalog.ts";
import { Instances, MAX_DELETED } from "./instances.ts";
import { paramsOf } from "./job-params.ts";
import type { JobParams } from "./job-params.ts";

/** Enqueueing takes milliseconds. After this time its process may have crashed. */
const QUIET_MS = MINUTE_MS;
/** An attempt may take 5 minutes, and a job may sleep for a day. */
const LOOK_EVERY_MS = 4 * MINUTE_MS;
/** Jobs per pass. Each check is a request, and the next pass comes soon. */
const MAX_LOOKS = 100;
/** Jobs that never started need no look: creating an instance that exists changes nothing. 1,000 per pass, by slices that fit into memory. */
const START_SLICE = 100;
const MAX_START_SLICES = 10;

interface JobRelayOptions {
  readonly db: D1Database;
  readonly workflow: Workflow<JobParams>;
  readonly clock: () => number;
  readonly sleep?: Sleep;
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
    this.#instances = new Instances(options.workflow, options.sleep);
  }

  /** One pass over unfinished jobs without activity for a minute. */
  async relay(): Promise<Relayed> {
    const now = this.#options.clock();
    const jobs = await quietJobs(this.#options.db, { quietSince: now - QUIET_MS, checkedBefore: now - LOOK_EVERY_MS, limit: MAX_LOOKS });
    const counts = await this.#each(jobs, async (job) => this.#instances.end(job.id));
    return { ...counts, started: counts.started + (await this.#startRest(now)) };
  }

  /** Starts the jobs that never began, oldest claim first. */
  async #startRest(now: number): Promise<number> {
    const { db } = this.#options;
    let started = 0;
    for (let slice = 0; slice < MAX_START_SLICES; slice += 1) {
      // Two concurrent passes would both create them, and local Workflows would run them twice.
      const jobs = await claimStarts(db, now - QUIET_MS, now, START_SLICE);
      started += await this.#create(jobs);
      if (jobs.length < START_SLICE) break;
    }
    if (started > 0) log.info("Unstarted jobs started", { jobs: started });
    return started;
  }

  async #create(jobs: readonly JobRow[]): Promise<number> {
    try {
      const { created } = await this.#instances.createMany(jobs.map((job) => ({ id: job.id, params: paramsOf(job) })));
      return created.length;
    } catch (error) {
      log.warn("Starting unstarted jobs failed", { jobs: jobs.length, ...errorFields(error) });
      return 0;
    }
  }

  /**
   * Resumes jobs that a restart of local workerd left asleep. A job without activity since `startedAt` was running in the earlier process.
   * Running jobs are not touched, because they have shown activity.
   */
  async wake(restartedAt: number): Promise<Relayed> {
    const jobs = await quietJobs(this.#options.db, { quietSince: restartedAt, checkedBefore: restartedAt, limit: MAX_LOOKS });
    return this.#each(jobs, async (job) => this.#instances.wake(job.id), 1);
  }

  /** Compares an inactive job with its instance. true: its row has changed. */
  async check(job: JobRow): Promise<boolean> {
    if (job.ended_at !== null || this.#options.clock() - job.updated_at < QUIET_MS) return false;
    const { started, ended } = await this.#each([job], async ({ id }) => this.#instances.end(id));
    return started + ended > 0;
  }

  /** Deletes a batch of expired jobs. true: more may exist. */
  async removeExpired(): Promise<{ removed: number; more: boolean }> {
    const { db, clock } = this.#options;
    const now = clock();
    const ids = await expiredJobs(db, lives(now), MAX_DELETED);
    if (ids.length === 0) return { removed: 0, more: false };
    // The platform deletes them later anyway. Only local disks fill up.
    await this.#instances.delete(ids).catch((error: unknown) => log.warn("Deleting instances failed", errorFields(error)));
    await deleteJobs(db, ids);
    return { removed: ids.length, more: ids.length === MAX_DELETED };
  }

  async #each(jobs: readonly JobRow[], look: (job: JobRow) => Promise<JobEnd | "missing" | null>, woken = 0): Promise<Relayed> {
    const { db, clock } = this.#options;
    const counts = { looked_at: jobs.length, started: 0, ended: 0, woken: 0 };
    for (const job of jobs) {
      try {
        const seen = await look(job);
        if (seen === null) counts.woken += woken;
        else if (seen !== "missing") counts.ended += Number(await endJob(db, job.id, seen, clock()));
        else if (job.started_at === null) counts.started += await this.#start(job);
        else counts.ended += Number(await endJob(db, job.id, GONE, clock()));
      } catch (error) {
        // One bad instance does not block the others.
        log.warn("Comparing a job with its instance failed", { job_id: job.id, job_type: job.type, ...errorFields(error) });
      }
    }
    await markChecked(
      db,
      jobs.map(({ id }) => id),
      clock(),
    );
    return counts;
  }

  async #start(job: JobRow): Promise<number> {
    const { db, clock } = this.#options;
    // Two concurrent checks would both create it, and local Workflows would run it twice.
    if (!(await claimStart(db, job, clock()))) return 0;
    await this.#instances.create(job.id, paramsOf(job));
    log.info("Unstarted job started", { job_id: job.id, job_type: job.type });
    return 1;
  }
}

const GONE = { status: "failed", result: null, error: "The instance has disappeared." } as const;

/** Expired jobs. When a type leaves the catalog, a migration deletes its rows. */
function lives(now: number): Expired[] {
  return (Object.keys(JOBS) as JobType[]).flatMap((type) =>
    (Object.entries(JOBS[type].keptDays) as [FinalStatus, number][]).map(([status, days]) => ({
      type,
      status,
      before: now - days * DAY_MS,
    })),
  );
}
