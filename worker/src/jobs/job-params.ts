/** Parameters of a Workflow instance. They suffice to run the job while the index is unavailable. No I/O. No clock. */
import { z } from "zod";
import type { NewJob } from "../store/jobs/jobs.ts";

const jobParams = z.object({
  type: z.string(),
  payload: z.record(z.string(), z.unknown()),
  maxTries: z.int().min(1),
  /** Epoch milliseconds. */
  createdAt: z.int(),
  /** Scheduled time of a cron, or end of the delay. */
  scheduledFor: z.int().nullable(),
  /** The job waits until this time. It never waits for a cron's scheduled time. */
  delayUntil: z.int().nullable(),
  requestedBy: z.string(),
  requestId: z.string().nullable(),
  traceId: z.string().nullable(),
  traceparent: z.string().nullable(),
});

export type JobParams = z.output<typeof jobParams>;

/** An instance may be older than the running code. Throws if the parameters are not readable. */
export function readJobParams(given: unknown): JobParams {
  return jobParams.parse(given);
}

export function paramsOf(job: Omit<NewJob, "status">): JobParams {
  return {
    type: job.type,
    payload: JSON.parse(job.payload) as Record<string, unknown>,
    maxTries: job.max_tries,
    createdAt: job.created_at,
    scheduledFor: job.scheduled_for,
    delayUntil: job.cron === null ? job.scheduled_for : null,
    requestedBy: job.requested_by,
    requestId: job.request_id,
    traceId: job.trace_id,
    traceparent: job.traceparent,
  };
}
