/** Input and output of job handlers. */
import type { Deps } from "../deps.ts";
import type { JobPayload, JobPayloadInput, JobType } from "../jobs/catalog.ts";
import { StepFailed } from "../jobs/failure.ts";
import type { JobLog } from "../jobs/job-log.ts";
import type { JobExecutionResult, JobRun } from "../jobs/job-run.ts";

export interface JobContext extends Pick<JobRun, "sleepUntil"> {
  /**
   * Runs a step once, by the type's policy, with dependencies whose spans belong to this attempt. The name must be the same in each run of
   * the handler. The result must survive JSON. Throws `StepFailed` if the step finally fails.
   */
  readonly step: <Result>(name: string, work: (attempt: number, deps: Deps) => Promise<Result>) => Promise<Result>;
  readonly id: string;
  readonly type: JobType;
  /** Services for code outside of steps. */
  readonly deps: Deps;
  readonly log: JobLog;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** Scheduled time of the cron, or end of the delay. */
  readonly scheduledFor: number | null;
  /** Trace of the requester, for jobs and requests that follow from this one. */
  readonly requestId: string | null;
  readonly traceparent: string | null;
}

/**
 * The code of a job type. It restarts from its beginning after every interruption. So effects, the clock and varying values belong in
 * steps. An error of a step is retried by the type's policy. `{success: false}` is final.
 */
export type JobHandler<Type extends JobType> = (payload: JobPayload<Type>, job: JobContext) => Promise<JobExecutionResult>;

/** Continues in a new job, to which the platform's limits apply separately. Returns its id. */
export async function continueAs<Type extends JobType>(step: string, type: Type, payload: JobPayloadInput<Type>, job: JobContext) {
  const { id, requestId, traceparent } = job;
  const options = { requestedBy: `job:${id}`, idempotencyKey: "next", requestId, traceparent };
  return job.step(step, async (_attempt, { jobs }) => (await jobs.enqueueJob(type, payload, options)).id);
}

/** For a step whose failure must not stop the job. null: the step has finally failed. */
export async function orNull<Result>(step: Promise<Result>): Promise<Result | null> {
  try {
    return await step;
  } catch (error) {
    if (error instanceof StepFailed) return null;
    throw error;
  }
}
