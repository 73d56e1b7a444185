/** Durable jobs: create, list, read, cancel, retry, and list schedules. */
import { z } from "@hono/zod-openapi";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { nextCursor, pageByTime, pageQuery } from "../../http/paging.ts";
import { JOB_TYPES } from "../../jobs/catalog.ts";
import { knownJob, readJob, readSchedules } from "../../jobs/reading.ts";
import { isoOrNull } from "../../lib/time.ts";
import { JOB_STATUSES, listJobs } from "../../store/jobs/jobs.ts";
import type { JobRow } from "../../store/jobs/jobs.ts";
import { admin, answer, jsonBody, location, operations } from "../operation.ts";
import { job, jobBody, jobDetail, jobDetailJson, jobJson, jobOrNull, ofJob } from "./schemas.ts";

export const jobRoutes = createRouter();
const operation = operations(jobRoutes, "Jobs", admin);

const REQUESTED_BY = "admin";

operation("post", "/", {
  summary: "Create a job",
  description: "The job is recorded before the response, so it will run. The same `idempotency_key` returns the first job.",
  request: {
    headers: z.object({ traceparent: z.string().max(200).optional().describe("W3C trace context, continued by the job") }),
    body: jsonBody(jobBody),
  },
  responses: { 202: answer("The job", job, location("The job")) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { type, payload, ...options } = c.req.valid("json");
  const { job: row } = await c.get("deps").jobs.enqueueJob(type, payload, {
    requestedBy: REQUESTED_BY,
    idempotencyKey: options.idempotency_key,
    delaySeconds: options.delay_seconds,
    maxAttempts: options.max_attempts,
    projectId: options.project_id,
    requestId: c.get("requestId"),
    traceparent: c.get("deps").trace.traceparent,
  });
  return accepted(c, row);
});

operation("get", "/", {
  summary: "List jobs",
  request: {
    query: z.object({
      type: z.enum(JOB_TYPES).optional().describe("Only jobs of this type"),
      status: z.enum(JOB_STATUSES).optional().describe("Only jobs with this status"),
      project_id: z.string().min(1).max(100).optional().describe("Only jobs of this project"),
      ...pageQuery,
    }),
  },
  responses: { 200: answer("One page", z.object({ jobs: z.array(job), next_cursor: nextCursor }).openapi("Jobs")) },
}).handle(async (c) => {
  const { cursor, limit, ...filter } = c.req.valid("query");
  const { db } = c.get("deps");
  const { items, next_cursor } = await pageByTime(
    { cursor, limit },
    async ({ after, limit }) => listJobs(db, filter, after, limit),
    jobJson,
  );
  return c.json({ jobs: items, next_cursor }, 200);
});

operation("get", "/schedules", {
  summary: "List schedules",
  responses: {
    200: answer(
      "Every cron with its last and next run",
      z
        .object({
          schedules: z.array(
            z.object({ cron: z.string(), type: z.string(), description: z.string(), last_run: jobOrNull, next_run: z.string().nullable() }),
          ),
        })
        .openapi("JobSchedules"),
    ),
  },
}).handle(async (c) => {
  const { db, clock, config } = c.get("deps");
  const shown = (await readSchedules(db, config, clock())).map(({ cron, type, description, last, nextAt }) => {
    return { cron, type, description, last_run: last && jobJson(last), next_run: isoOrNull(nextAt) };
  });
  return c.json({ schedules: shown }, 200);
});

operation("get", "/{id}", {
  summary: "Get a job with all attempts",
  request: { params: ofJob },
  responses: { 200: answer("The job", jobDetail) },
}).handle(async (c) => {
  const { row, attempts } = await readJob(c.get("deps"), c.req.valid("param").id);
  return c.json(jobDetailJson(row, attempts), 200);
});

operation("post", "/{id}/cancel", {
  summary: "Cancel a job",
  description: "No further step begins. Effects of a running step remain. Idempotent.",
  request: { params: ofJob },
  responses: { 200: answer("The job", job) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { db, jobs } = c.get("deps");
  return c.json(jobJson(await jobs.cancel(await knownJob(db, c.req.valid("param").id))), 200);
});

operation("post", "/{id}/retry", {
  summary: "Retry a failed or cancelled job",
  description: "Creates a new job that starts from the beginning. Idempotent.",
  request: { params: ofJob },
  responses: { 202: answer("The new run", job, location("The job")) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { db, jobs } = c.get("deps");
  const row = await knownJob(db, c.req.valid("param").id);
  return accepted(c, (await jobs.retry(row, { requestedBy: REQUESTED_BY, requestId: c.get("requestId") })).job);
});

function accepted(c: AppContext, row: JobRow) {
  c.header("Location", `/api/jobs/${row.id}`);
  return c.json(jobJson(row), 202);
}
