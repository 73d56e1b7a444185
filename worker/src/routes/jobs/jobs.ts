/** Durable jobs: asking for one, the list of them, one in full, cancelling, retrying, and what the clock asks for. */
import { createRoute, z } from "@hono/zod-openapi";
import { adminOnly } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { nextCursor, page, pageQuery, timeCursor, timeKey } from "../../http/paging.ts";
import { knownJob, readJob, readSchedules } from "../../jobs/reading.ts";
import { isoSeconds } from "../../lib/time.ts";
import { JOB_STATUSES, listJobs } from "../../store/jobs/jobs.ts";
import type { JobRow } from "../../store/jobs/jobs.ts";
import { idParameter, job, jobBody, jobDetail, jobDetailJson, jobJson, jobOrNull, jobQueryType } from "./schemas.ts";
import { ADMIN, COMMON_PROBLEMS, problems } from "../schemas.ts";

const REQUESTED_BY = "admin";

const LOCATION = { Location: { schema: { type: "string" as const }, description: "The job" } };

const postJob = createRoute({
  method: "post",
  path: "/",
  tags: ["Jobs"],
  summary: "Ask for a job",
  description: "Written down before it is answered, and run whatever happens then. The same `idempotency_key` answers with the first job.",
  security: ADMIN,
  middleware: [adminOnly] as const,
  request: {
    headers: z.object({ traceparent: z.string().max(200).optional().describe("W3C trace context, which the job's log lines carry on") }),
    body: { required: true, content: { "application/json": { schema: jobBody } } },
  },
  responses: {
    202: { description: "The job", headers: LOCATION, content: { "application/json": { schema: job } } },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "conflict", "payload_too_large", "unsupported_media_type", "storage_unavailable"),
  },
});

const getJobs = createRoute({
  method: "get",
  path: "/",
  tags: ["Jobs"],
  summary: "Jobs, the newest first",
  security: ADMIN,
  middleware: [adminOnly] as const,
  request: {
    query: z.object({
      type: jobQueryType.optional().describe("Only jobs of this type"),
      status: z.enum(JOB_STATUSES).optional().describe("Only jobs that are so now"),
      project_id: z.string().min(1).max(100).optional().describe("Only jobs that were asked for about this project"),
      ...pageQuery,
    }),
  },
  responses: {
    200: {
      description: "A page",
      content: {
        "application/json": {
          schema: z.object({ jobs: z.array(job), next_cursor: nextCursor }).openapi("Jobs"),
        },
      },
    },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "storage_unavailable"),
  },
});

const getSchedules = createRoute({
  method: "get",
  path: "/schedules",
  tags: ["Jobs"],
  summary: "What the clock asks for",
  security: ADMIN,
  middleware: [adminOnly] as const,
  responses: {
    200: {
      description: "Every cron with its last and next run",
      content: {
        "application/json": {
          schema: z
            .object({
              schedules: z.array(
                z.object({
                  cron: z.string(),
                  type: z.string(),
                  description: z.string(),
                  last_run: jobOrNull,
                  next_run: z.string().nullable(),
                }),
              ),
            })
            .openapi("JobSchedules"),
        },
      },
    },
    ...problems(...COMMON_PROBLEMS, "storage_unavailable"),
  },
});

const one = { tags: ["Jobs"], security: ADMIN, middleware: adminOnly, request: { params: idParameter } };

const getJob = createRoute({
  ...one,
  method: "get",
  path: "/{id}",
  summary: "One job with every try",
  responses: {
    200: { description: "The job", content: { "application/json": { schema: jobDetail } } },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "not_found", "storage_unavailable"),
  },
});

const postCancel = createRoute({
  ...one,
  method: "post",
  path: "/{id}/cancel",
  summary: "Cancel a job that has not ended",
  description: "No further step of it begins; what a step under way has done already stays done. Twice the same.",
  responses: {
    200: { description: "The job", content: { "application/json": { schema: job } } },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "not_found", "conflict", "storage_unavailable"),
  },
});

const postRetry = createRoute({
  ...one,
  method: "post",
  path: "/{id}/retry",
  summary: "Run a failed or cancelled job once more",
  description: "As a job of its own, from its beginning. Asking twice gives one.",
  responses: {
    202: { description: "The new run", headers: LOCATION, content: { "application/json": { schema: job } } },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "not_found", "conflict", "storage_unavailable"),
  },
});

export const jobRoutes = createRouter();

jobRoutes.openapi(postJob, async (c) => {
  const { type, payload, ...asked } = c.req.valid("json");
  const { job: row } = await c.get("deps").jobs.enqueueJob(type, payload, {
    requestedBy: REQUESTED_BY,
    idempotencyKey: asked.idempotency_key,
    delaySeconds: asked.delay_seconds,
    maxAttempts: asked.max_attempts,
    projectId: asked.project_id,
    requestId: c.get("requestId"),
    traceparent: c.get("deps").trace.traceparent,
  });
  return accepted(c, row);
});

jobRoutes.openapi(getJobs, async (c) => {
  const { cursor, limit, ...filter } = c.req.valid("query");
  const { rows, next } = page(await listJobs(c.get("deps").db, filter, timeCursor(cursor), limit + 1), limit, timeKey);
  return c.json({ jobs: rows.map(jobJson), next_cursor: next }, 200);
});

jobRoutes.openapi(getSchedules, async (c) => {
  const { db, clock, config } = c.get("deps");
  const shown = (await readSchedules(db, config, clock())).map(({ cron, type, description, last, nextAt }) => {
    return { cron, type, description, last_run: last ? jobJson(last) : null, next_run: nextAt === null ? null : isoSeconds(nextAt) };
  });
  return c.json({ schedules: shown }, 200);
});

jobRoutes.openapi(getJob, async (c) => {
  const { row, attempts } = await readJob(c.get("deps"), c.req.valid("param").id);
  return c.json(jobDetailJson(row, attempts), 200);
});

jobRoutes.openapi(postCancel, async (c) => {
  const { db, jobs } = c.get("deps");
  return c.json(jobJson(await jobs.cancel(await knownJob(db, c.req.valid("param").id))), 200);
});

jobRoutes.openapi(postRetry, async (c) => {
  const { db, jobs } = c.get("deps");
  const row = await knownJob(db, c.req.valid("param").id);
  return accepted(c, (await jobs.retry(row, { requestedBy: REQUESTED_BY, requestId: c.get("requestId") })).job);
});

function accepted(c: AppContext, row: JobRow) {
  c.header("Location", `/api/jobs/${row.id}`);
  return c.json(jobJson(row), 202);
}
