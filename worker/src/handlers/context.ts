/** What a handler is given, and what it gives back. */
import type { Deps } from "../deps.ts";
import type { JobPayload, JobPayloadInput, JobType } from "../jobs/catalog.ts";
import { StepFailed } from "../jobs/failure.ts";
import type { JobLog } from "../jobs/job-log.ts";
import type { JobExecutionResult, JobRun } from "../jobs/job-run.ts";

export interface JobContext extends Pick<JobRun, "sleepUntil"> {
  /**
   * Does something once, by the type's policy, with services whose spans belong to this try. The name must be the same each time the
   * handler is run; the result goes through JSON. Throws `StepFailed` where it is given up.
   */
  readonly step: <Result>(name: string, work: (attempt: number, deps: Deps) => Promise<Result>) => Promise<Result>;
  readonly id: string;
  readonly type: JobType;
  /** For what is no step. */
  readonly deps: Deps;
  readonly log: JobLog;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** The cron's tick, or when the delay ended. */
  readonly scheduledFor: number | null;
  /** Of whoever asked, for the jobs and requests that follow from this one. */
  readonly requestId: string | null;
  readonly traceparent: string | null;
}

/**
 * The code of a job type. It runs again from its beginning after every interruption: what has an effect, reads the clock or may differ
 * from run to run stands in a step. What a step throws is tried again by the type's policy; `{success: false}` is final.
 */
export type JobHandler<Type extends JobType> = (payload: JobPayload<Type>, job: JobContext) => Promise<JobExecutionResult>;

/** Goes on as a job of its own, for which the platform's limits begin anew. Returns its id. */
export async function continueAs<Type extends JobType>(step: string, type: Type, payload: JobPayloadInput<Type>, job: JobContext) {
  const { id, requestId, traceparent } = job;
  const options = { requestedBy: `job:${id}`, idempotencyKey: "next", requestId, traceparent };
  return job.step(step, async (_attempt, { jobs }) => (await jobs.enqueueJob(type, payload, options)).id);
}

/** What a step came to where its failure is to stop nothing else: null once it is given up. */
export async function orNull<Result>(step: Promise<Result>): Promise<Result | null> {
  try {
    return await step;
  } catch (error) {
    if (error instanceof StepFailed) return null;
    throw error;
  }
}
