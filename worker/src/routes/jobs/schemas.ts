/** Jobs in the API. */
import { z } from "@hono/zod-openapi";
import { JOBS, JOB_TYPES, visiblePayload } from "../../jobs/catalog.ts";
import type { JobType } from "../../jobs/catalog.ts";
import { retryOf, timelineOf } from "../../jobs/timeline.ts";
import { idempotencyKey, time } from "../../http/fields.ts";
import { isoOrNull, isoSeconds } from "../../lib/time.ts";
import type { AttemptRow } from "../../store/jobs/attempts.ts";
import { JOB_STATUSES } from "../../store/jobs/jobs.ts";
import type { JobRow } from "../../store/jobs/jobs.ts";

const MAX_DELAY_SECONDS = 30 * 24 * 60 * 60;
const MAX_ATTEMPTS = 20;
const EXAMPLE_ID = "harvest-5f0c0b1a7d1e4a6b8c9d0e1f2a3b4c5d6e7f8091";

/** One schema for each type, so that errors name the fields of its payload. */
function askingFor<Type extends JobType>(type: Type) {
  return z
    .strictObject({
      type: z.literal(type).describe(JOBS[type].description),
      payload: JOBS[type].payload.describe("Must not contain secrets"),
      idempotency_key: idempotencyKey.describe("The same key returns the same job"),
      delay_seconds: z.int().min(0).max(MAX_DELAY_SECONDS).optional().describe("Wait before the job begins"),
      max_attempts: z.int().min(1).max(MAX_ATTEMPTS).optional().describe(`Attempts of each step. Default: ${JOBS[type].tries}`),
      project_id: z.string().min(1).max(100).optional().describe("Project of the job, for filters"),
    })
    .openapi(`JobRequest_${type}`);
}

const requests = JOB_TYPES.map((type) => askingFor(type));

export const jobBody = z
  .discriminatedUnion("type", requests as [(typeof requests)[number], ...typeof requests])
  .openapi({ example: { type: "housekeeping", payload: { provider_count: true }, idempotency_key: "by-hand-2025-12-30" } });

const count = z.int();

const jobFields = {
  id: z.string(),
  type: z.string(),
  status: z
    .enum(JOB_STATUSES)
    .describe(
      "scheduled: waits for its delay. running: also between two attempts. waiting: sleeps between steps. The last three are final",
    ),
  payload: z.record(z.string(), z.unknown()).describe("Without secret fields"),
  requested_by: z.string(),
  project_id: z.string().nullable(),
  run: count.describe("1 for the first run, one more for each retry"),
  retry_of: z.string().nullable().describe("The run before this one"),
  tries: count.describe("Highest number of attempts of a step so far"),
  max_attempts: count.describe("Maximum attempts of each step"),
  error: z.string().nullable(),
  scheduled_for: time.nullable().describe("Scheduled time of the cron, or end of the delay"),
  request_id: z.string().nullable(),
  trace_id: z.string().nullable(),
  created_at: time,
  started_at: time.nullable(),
  ended_at: time.nullable(),
};

const EXAMPLE_JOB = {
  id: EXAMPLE_ID,
  type: "harvest",
  status: "completed" as const,
  payload: {},
  requested_by: "cron",
  project_id: null,
  run: 1,
  retry_of: null,
  tries: 2,
  max_attempts: 3,
  error: null,
  scheduled_for: "2025-12-30T14:00:00Z",
  request_id: null,
  trace_id: null,
  created_at: "2025-12-30T14:00:01Z",
  started_at: "2025-12-30T14:00:01Z",
  ended_at: "2025-12-30T14:00:09Z",
};

/** Inlined if it may be null, because not every reader of the document understands a nullable reference. */
export const jobOrNull = z.object(jobFields).nullable();

export const job = z.object(jobFields).openapi("Job", { example: EXAMPLE_JOB });

const attempt = z.object({
  step: z.string(),
  nth: count.describe("Number among the steps with this name"),
  attempt: count,
  outcome: z
    .enum(["succeeded", "failed", "timed_out", "interrupted"])
    .nullable()
    .describe("interrupted: the Worker crashed, or the job was cancelled. null: running"),
  error: z.string().nullable(),
  started_at: time.nullable(),
  ended_at: time.nullable(),
  duration_ms: count.nullable(),
});

const EXAMPLE_ATTEMPTS = [
  {
    step: "run",
    nth: 1,
    attempt: 1,
    outcome: "failed" as const,
    error: "storage_unavailable: The database did not answer.",
    started_at: "2025-12-30T14:00:01Z",
    ended_at: "2025-12-30T14:00:02Z",
    duration_ms: 310,
  },
  {
    step: "run",
    nth: 1,
    attempt: 2,
    outcome: "succeeded" as const,
    error: null,
    started_at: "2025-12-30T14:00:07Z",
    ended_at: "2025-12-30T14:00:09Z",
    duration_ms: 2_140,
  },
];

export const jobDetail = z
  .object({
    ...jobFields,
    result: z.unknown().describe("Depends on the type. null: none"),
    attempts: z.array(attempt).describe("All attempts of all steps"),
    errors: z.array(z.object({ at: time, step: z.string(), attempt: count, message: z.string() })),
    timeline: z.array(z.object({ at: time, event: z.string() })).describe("Events of the job, oldest first"),
  })
  .openapi("JobDetail", {
    example: {
      ...EXAMPLE_JOB,
      result: { run: null, next: null },
      attempts: EXAMPLE_ATTEMPTS,
      errors: [{ at: "2025-12-30T14:00:02Z", step: "run", attempt: 1, message: "storage_unavailable: The database did not answer." }],
      timeline: [{ at: "2025-12-30T14:00:01Z", event: "requested by cron" }],
    },
  });

export function jobJson(row: JobRow): z.infer<typeof job> {
  const { id, type, status, requested_by, project_id, run, tries, max_tries, error, request_id, trace_id } = row;
  return {
    id,
    type,
    status,
    payload: visiblePayload(type, JSON.parse(row.payload) as Record<string, unknown>),
    requested_by,
    project_id,
    run,
    retry_of: retryOf(row),
    tries,
    max_attempts: max_tries,
    error,
    scheduled_for: isoOrNull(row.scheduled_for),
    request_id,
    trace_id,
    created_at: isoSeconds(row.created_at),
    started_at: isoOrNull(row.started_at),
    ended_at: isoOrNull(row.ended_at),
  };
}

export function jobDetailJson(row: JobRow, attempts: readonly AttemptRow[]): z.infer<typeof jobDetail> {
  return {
    ...jobJson(row),
    result: row.result === null ? null : (JSON.parse(row.result) as unknown),
    attempts: attempts.map(({ step, nth, attempt, outcome, error, started_at, ended_at }) => ({
      step,
      nth,
      attempt,
      outcome,
      error,
      started_at: isoOrNull(started_at),
      ended_at: isoOrNull(ended_at),
      duration_ms: started_at === null || ended_at === null ? null : ended_at - started_at,
    })),
    errors: attempts.flatMap(({ step, attempt, error, ended_at }) =>
      error === null ? [] : [{ at: isoSeconds(ended_at ?? row.updated_at), step, attempt, message: error }],
    ),
    timeline: timelineOf(row, attempts).map(({ at, event }) => ({ at: isoSeconds(at), event })),
  };
}

export const ofJob = z.object({ id: z.string().max(100).describe("Id of the job").openapi({ example: EXAMPLE_ID }) });

/** Link to a job. */
export const jobLink = z
  .object({
    id: z.string(),
    status: z.string().nullable().describe("null: not yet or no longer in the index of jobs"),
    href: z.string(),
  })
  .openapi("JobLink");

export const linkTo = ({ id, status }: { readonly id: string; readonly status: string | null }) => ({
  id,
  status,
  href: `/api/jobs/${id}`,
});
