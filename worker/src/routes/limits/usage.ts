/** What a project has used and why it is where it is, and what administrators changed. */
import { createRoute, z } from "@hono/zod-openapi";
import { adminOnly, ownProject } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import { digits, nextCursor, page, pageQuery, seqCursor, seqKey } from "../../http/paging.ts";
import { isoOrNull, isoSeconds } from "../../lib/time.ts";
import { listAudit } from "../../store/changes.ts";
import { EVENT_TYPES, listEvents } from "../../store/events.ts";
import { CAP_TYPES } from "../../store/limits/meters.ts";
import { listEvaluations, listSuspensions } from "../../store/suspension/suspensions.ts";
import { PROJECT_STATUSES } from "../../store/projects/projects.ts";
import { getProject } from "../../tenants/projects/projects.ts";
import { getProjectUsage } from "../../tenants/limits/usage.ts";
import { ADMIN, ADMIN_OR_KEY, COMMON_PROBLEMS, json, problems } from "../schemas.ts";
import { callsPerDay, capValue, projectId, reason, shareMode, time } from "../projects/schemas.ts";

const MAX_DAYS = 400;
const DEFAULT_DAYS = 30;

const PROBLEMS = [...COMMON_PROBLEMS, "invalid_request", "not_found", "storage_unavailable"] as const;
const guarded = { tags: ["Usage"], security: ADMIN_OR_KEY, middleware: [ownProject("read")] };
const params = z.object({ id: projectId });

const count = z.int().nullable();

const usage = z
  .object({
    project_id: z.string(),
    status: z.enum(PROJECT_STATUSES),
    reasons: z.array(reason),
    as_of: time,
    date: z.string().describe("The UTC day that the counters belong to"),
    reset_at: time.describe("When all daily counters begin at 0 again"),
    caps: z.array(
      z.object({
        cap_type: z.enum(CAP_TYPES),
        kind: z.enum(["counter", "gauge"]),
        used: count.describe("null: nobody has reported it, which is not 0"),
        cap: capValue,
        remaining: count.describe("null: unlimited or unknown"),
        percent: count.describe("Whole percent, rounded down; null where there is none"),
        state: z.enum(["unknown", "unlimited", "ok", "warning", "exceeded"]),
        thresholds_reached: z.array(z.int()).readonly().describe("Percent"),
        revision: z.int().describe("How often the cap was set"),
        reset_at: time.nullable().describe("null for a gauge"),
      }),
    ),
    organization: z.object({
      id: z.string(),
      api_calls: z.object({
        used: count,
        limit: count,
        remaining: count,
        percent: count,
        period_starts_at: time.nullable(),
        reset_at: time.nullable(),
      }),
    }),
    upstream: z
      .object({
        calls_per_day: callsPerDay.describe("The share in force; null: unlimited, or unknown while the ledger does not answer"),
        share_mode: shareMode,
        used: count,
        reserved: count,
        remaining: count,
      })
      .describe("The provider's calls that the project spent today; null while the ledger does not answer"),
    days: z
      .array(z.object({ day: z.string(), meter: z.string(), used: z.int(), adjusted: z.int().describe("Reported after the day was over") }))
      .describe("The latest days, the newest first; days without use are left out"),
  })
  .openapi("Usage");

const getUsage = createRoute({
  method: "get",
  path: "/projects/{id}/usage",
  ...guarded,
  summary: "What a project has used, against what it may",
  request: {
    params,
    query: z.object({
      days: z.preprocess(digits, z.int().min(1).max(MAX_DAYS).default(DEFAULT_DAYS)).openapi({
        type: "integer",
        minimum: 1,
        maximum: MAX_DAYS,
        default: DEFAULT_DAYS,
        description: "How many UTC days of history, today included",
      }),
    }),
  },
  responses: { 200: { description: "In one look", content: json(usage) }, ...problems(...PROBLEMS) },
});

const evaluation = z.object({
  at: time,
  job_id: z.string(),
  cap_type: z.string(),
  period: z.string(),
  used: count.describe("null: the source could not be read"),
  cap: capValue,
  revision: z.int(),
  decision: z
    .enum(["ok", "unlimited", "unknown", "exceeded", "warned", "suspended", "lifted"])
    .describe("exceeded: over the cap, and stopped already"),
  threshold: count.describe("warned: the highest one reached, in percent"),
  dry_run: z.boolean(),
});

const getEvaluations = createRoute({
  method: "get",
  path: "/projects/{id}/evaluations",
  ...guarded,
  summary: "Why each decision of a sweep was taken, the newest first",
  request: { params, query: z.object(pageQuery) },
  responses: {
    200: { description: "One page", content: json(z.object({ evaluations: z.array(evaluation), next_cursor: nextCursor })) },
    ...problems(...PROBLEMS),
  },
});

const suspension = reason.extend({
  holds: z.boolean().describe("Whether it stops the project now"),
  actor: z.string(),
  lifted_at: time.nullable().describe("null: it holds, or ended by itself"),
  lifted_by: z.string().nullable(),
});

const getSuspensions = createRoute({
  method: "get",
  path: "/projects/{id}/suspensions",
  ...guarded,
  summary: "The reasons that stop or stopped a project, the newest first",
  request: { params, query: z.object(pageQuery) },
  responses: {
    200: { description: "One page", content: json(z.object({ suspensions: z.array(suspension), next_cursor: nextCursor })) },
    ...problems(...PROBLEMS),
  },
});

const event = z.object({
  id: z.string().describe("Says what it is about: none is written twice"),
  type: z.enum(EVENT_TYPES),
  at: time,
  data: z.unknown(),
});

const getEvents = createRoute({
  method: "get",
  path: "/projects/{id}/events",
  ...guarded,
  summary: "What happened to a project that its owner is told: warnings, suspensions, reactivations, disabled webhooks; the newest first",
  request: { params, query: z.object(pageQuery) },
  responses: {
    200: { description: "One page", content: json(z.object({ events: z.array(event), next_cursor: nextCursor })) },
    ...problems(...PROBLEMS),
  },
});

const auditEntry = z
  .object({
    at: time,
    actor: z.string().describe("`admin`, `key:<id>`, or the job that did it"),
    action: z.string(),
    subject: z.string(),
    project_id: z.string().nullable(),
    operation: z.string().describe("One for all that a request changed"),
    before: z.unknown(),
    after: z.unknown(),
  })
  .openapi("AuditEntry");

const getAudit = createRoute({
  method: "get",
  path: "/audit",
  tags: ["Audit"],
  security: ADMIN,
  middleware: [adminOnly] as const,
  summary: "What was changed, by whom, from what to what; the newest first",
  request: {
    query: z.object({
      project_id: projectId.optional().describe("Only what was changed of this project"),
      subject: z.string().max(100).optional().describe("Only what was changed of this").openapi({ example: "project:proj_reading_list" }),
      ...pageQuery,
    }),
  },
  responses: {
    200: { description: "One page", content: json(z.object({ entries: z.array(auditEntry), next_cursor: nextCursor })) },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "storage_unavailable"),
  },
});

export const projectUsageRoutes = createRouter();

projectUsageRoutes.openapi(getUsage, async (c) => {
  const { id } = c.req.valid("param");
  return c.json(await getProjectUsage(c.get("deps"), id, c.req.valid("query").days), 200);
});

projectUsageRoutes.openapi(getEvaluations, async (c) => {
  const { id } = c.req.valid("param");
  const { limit, cursor } = c.req.valid("query");
  const deps = c.get("deps");
  await getProject(deps, id);
  const { rows, next } = page(await listEvaluations(deps.db, id, { before: seqCursor(cursor), limit: limit + 1 }), limit, seqKey);
  const evaluations = rows.map(({ at, run, cap_type, period, used, cap, revision, decision, threshold, dry_run }) => ({
    at: isoSeconds(at),
    job_id: run,
    cap_type,
    period,
    used,
    cap,
    revision,
    decision,
    threshold,
    dry_run: dry_run === 1,
  }));
  return c.json({ evaluations, next_cursor: next }, 200);
});

projectUsageRoutes.openapi(getSuspensions, async (c) => {
  const { id } = c.req.valid("param");
  const { limit, cursor } = c.req.valid("query");
  const deps = c.get("deps");
  await getProject(deps, id);
  const found = await listSuspensions(deps.db, id, { before: seqCursor(cursor), limit: limit + 1 }, deps.clock());
  const { rows, next } = page(found, limit, seqKey);
  const suspensions = rows.map(({ reason: why, cap_type, detail, since, until, holds, actor, lifted_at, lifted_by }) => ({
    reason: why,
    ...(cap_type === null ? {} : { cap_type }),
    ...(detail === null ? {} : { detail }),
    since: isoSeconds(since),
    ...(until === null ? {} : { until: isoSeconds(until) }),
    holds: holds === 1,
    actor,
    lifted_at: isoOrNull(lifted_at),
    lifted_by,
  }));
  return c.json({ suspensions, next_cursor: next }, 200);
});

projectUsageRoutes.openapi(getEvents, async (c) => {
  const { id } = c.req.valid("param");
  const { limit, cursor } = c.req.valid("query");
  const deps = c.get("deps");
  await getProject(deps, id);
  const { rows, next } = page(await listEvents(deps.db, id, { before: seqCursor(cursor), limit: limit + 1 }), limit, seqKey);
  const events = rows.map(({ id: name, type, created_at, data }) => ({
    id: name,
    type,
    at: isoSeconds(created_at),
    data: JSON.parse(data) as unknown,
  }));
  return c.json({ events, next_cursor: next }, 200);
});

projectUsageRoutes.openapi(getAudit, async (c) => {
  const { project_id = null, subject = null, limit, cursor } = c.req.valid("query");
  const filter = { projectId: project_id, subject, before: seqCursor(cursor), limit: limit + 1 };
  const { rows, next } = page(await listAudit(c.get("deps").db, filter), limit, seqKey);
  const entries = rows.map(({ at, actor, action, subject: about, project_id: of, operation, before, after }) => ({
    at: isoSeconds(at),
    actor,
    action,
    subject: about,
    project_id: of,
    operation,
    before: JSON.parse(before) as unknown,
    after: JSON.parse(after) as unknown,
  }));
  return c.json({ entries, next_cursor: next }, 200);
});
