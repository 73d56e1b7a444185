/** Usage of a project, and the decisions of the sweeps. */
import { z } from "@hono/zod-openapi";
import { ofProject, time } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { digits, pageBySeq, pageOnly } from "../../http/paging.ts";
import { isoSeconds } from "../../lib/time.ts";
import { CAP_TYPES } from "../../store/limits/meters.ts";
import { listEvaluations } from "../../store/suspension/suspensions.ts";
import { PROJECT_STATUSES } from "../../store/projects/projects.ts";
import { getProjectUsage } from "../../tenants/limits/usage.ts";
import { existingProject } from "../acting.ts";
import { answer, onePage, operations, projectItself } from "../operation.ts";
import { callsPerDay, capValue, reason, shareMode } from "../projects/schemas.ts";

export const projectUsageRoutes = createRouter();
const operation = operations(projectUsageRoutes, "Usage", projectItself("read"));

const MAX_DAYS = 400;
const DEFAULT_DAYS = 30;

const count = z.int().nullable();

const usage = z
  .object({
    project_id: z.string(),
    status: z.enum(PROJECT_STATUSES),
    reasons: z.array(reason),
    as_of: time,
    date: z.string().describe("UTC day of the counters"),
    reset_at: time.describe("Reset of all daily counters"),
    caps: z.array(
      z.object({
        cap_type: z.enum(CAP_TYPES),
        kind: z.enum(["counter", "gauge"]),
        used: count.describe("null: never reported, which is not 0"),
        cap: capValue,
        remaining: count.describe("null: unlimited or unknown"),
        percent: count.describe("Whole percent, rounded down. null: unlimited or unknown"),
        state: z.enum(["unknown", "unlimited", "ok", "warning", "exceeded"]),
        thresholds_reached: z.array(z.int()).readonly().describe("Percent"),
        revision: z.int().describe("Number of changes of the cap"),
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
        calls_per_day: callsPerDay.describe("The current share. null: unlimited, or unknown while the ledger does not respond"),
        share_mode: shareMode,
        used: count,
        reserved: count,
        remaining: count,
      })
      .describe("Provider calls of the project today. null: the ledger did not respond"),
    days: z
      .array(
        z.object({
          day: z.string(),
          meter: z.string(),
          used: z.int(),
          adjusted: z.int().describe("Usage reported after the day has ended"),
        }),
      )
      .describe("Latest days with usage, newest first"),
  })
  .openapi("Usage");

operation("get", "/projects/{id}/usage", {
  summary: "Get the usage and the caps of a project",
  request: {
    params: ofProject,
    query: z.object({
      days: z.preprocess(digits, z.int().min(1).max(MAX_DAYS).default(DEFAULT_DAYS)).openapi({
        type: "integer",
        minimum: 1,
        maximum: MAX_DAYS,
        default: DEFAULT_DAYS,
        description: "UTC days of history, including today",
      }),
    }),
  },
  responses: { 200: answer("Usage and caps", usage) },
}).handle(async (c) => {
  const { id } = c.req.valid("param");
  return c.json(await getProjectUsage(c.get("deps"), id, c.req.valid("query").days), 200);
});

const evaluation = z.object({
  at: time,
  job_id: z.string(),
  cap_type: z.string(),
  period: z.string(),
  used: count.describe("null: the source was not readable"),
  cap: capValue,
  revision: z.int(),
  decision: z
    .enum(["ok", "unlimited", "unknown", "exceeded", "warned", "suspended", "lifted"])
    .describe("exceeded: over the cap and already suspended"),
  threshold: count.describe("warned: the highest reached threshold in percent"),
  dry_run: z.boolean(),
});

operation("get", "/projects/{id}/evaluations", {
  summary: "List decisions of the sweeps about a project",
  request: { params: ofProject, query: pageOnly },
  responses: { 200: onePage({ evaluations: z.array(evaluation) }) },
}).handle(async (c) => {
  const { id, db } = await existingProject(c, c.req.valid("param"));
  const { items, next_cursor } = await pageBySeq(
    c.req.valid("query"),
    async (slice) => listEvaluations(db, id, slice),
    ({ at, run, cap_type, period, used, cap, revision, decision, threshold, dry_run }) => {
      const judged = { cap_type, period, used, cap, revision, decision, threshold };
      return { at: isoSeconds(at), job_id: run, ...judged, dry_run: dry_run === 1 };
    },
  );
  return c.json({ evaluations: items, next_cursor }, 200);
});
