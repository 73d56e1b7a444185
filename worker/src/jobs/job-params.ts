/** What a Workflow instance is created with: all that a job needs to run, so that it runs while the index is away. No I/O. No clock. */
import { z } from "zod";
import type { NewJob } from "../store/jobs/jobs.ts";

const jobParams = z.object({
  type: z.string(),
  payload: z.record(z.string(), z.unknown()),
  maxTries: z.int().min(1),
  /** Epoch milliseconds. */
  createdAt: z.int(),
  /** A cron's tick, or when a delay ends. */
  scheduledFor: z.int().nullable(),
  /** A cron's tick is never waited for, only a delay. */
  delayUntil: z.int().nullable(),
  requestedBy: z.string(),
  requestId: z.string().nullable(),
  traceId: z.string().nullable(),
  traceparent: z.string().nullable(),
});

export type JobParams = z.output<typeof jobParams>;

/** An instance may be older than the code that runs it. Throws where it cannot be read. */
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
