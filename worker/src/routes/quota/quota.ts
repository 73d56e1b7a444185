/** Status and history of the quota. */
import { z } from "@hono/zod-openapi";
import { PROVIDER } from "../../deps.ts";
import { identifier } from "../../http/fields.ts";
import { assertAdmin } from "../../http/guards.ts";
import { createRouter, showRateLimit, visibleStatus } from "../../http/index.ts";
import { digits } from "../../http/paging.ts";
import { projectCaller, statusOfCaller } from "../../quota/index.ts";
import { admin, answer, mostlyPublic, operations } from "../operation.ts";
import { shownOperation } from "./operations.ts";
import { EXAMPLE_STATUS } from "./example.ts";
import { callerUse, provider, statusAnswer } from "./schemas.ts";

export const quotaRoutes = createRouter();
const forEverybody = operations(quotaRoutes, "Quota", mostlyPublic, ["quota_unavailable"]);
const forAdmin = operations(quotaRoutes, "Quota", admin, ["quota_unavailable"]);

forEverybody("get", "/status", {
  summary: "Get today's usage by caller",
  description:
    "Public. `callers` is empty without the admin token. If the ledger does not respond, the last published snapshot is returned.",
  request: {
    query: z.object({
      provider,
      fresh: z
        .enum(["true", "false"])
        .default("true")
        .openapi({ description: "false: read the published snapshot without the ledger, for polling" }),
      project_id: identifier.optional().describe("Needs the admin token. `callers` then holds only this project"),
    }),
  },
  responses: { 200: statusAnswer },
}).handle(async (c) => {
  const { fresh, project_id } = c.req.valid("query");
  if (project_id !== undefined) await assertAdmin(c);
  const one = project_id === undefined ? null : projectCaller(project_id);
  const { quota } = c.get("deps");
  const isPublic = c.get("principal").kind !== "admin";
  const view = one === null ? "by_project" : { own: one };
  const status =
    isPublic && fresh === "true"
      ? await quota.getPublicStatus()
      : await quota.getStatus({ fresh: fresh === "true", view: isPublic ? { own: null } : view });
  showRateLimit(c, status);
  c.header("Cache-Control", "no-store");
  return c.json(one === null ? visibleStatus(c, status) : statusOfCaller(status, one), 200);
});

/** Any caller, including those of projects and of the ledger. The longest is `project:` and an id. */
const anyCaller = z.string().regex(/^[\w.:-]{1,72}$/u, "must be 1 to 72 letters, digits or . : _ -");

const historyQuery = z
  .object({
    provider,
    days: z.preprocess(digits, z.int().min(1).max(400).default(30)).describe("UTC days, including today"),
    project_id: identifier.optional().describe("Only usage of this project"),
    caller: anyCaller
      .optional()
      .describe("Only usage of this caller. Must not be combined with `project_id`")
      .openapi({ example: "enrich.batch" }),
  })
  .refine(({ project_id, caller }) => project_id === undefined || caller === undefined, {
    path: ["caller"],
    message: "must not be given together with `project_id`",
  });

const NOT_BY_CALLER = "null for a single caller, because it is not stored by caller";

const dayHistory = z.object({
  date: z.string(),
  used: z.int(),
  reserved_expired: z.int().nullable().describe(`Charged for expired reservations. ${NOT_BY_CALLER}`),
  refused: z.int().nullable().describe(`Refused requests. ${NOT_BY_CALLER}`),
  would_refuse: z.int().nullable().describe(`Requests granted in observe mode that enforcing would have refused. ${NOT_BY_CALLER}`),
  untracked: z.int().nullable().describe(`Calls that were not made through the coordinator. ${NOT_BY_CALLER}`),
  callers: z.array(callerUse).readonly(),
  hours: z.array(z.object({ hour: z.int(), used: z.int() })).readonly(),
});

const operation = z.object({ at: z.string(), action: z.string(), actor: z.string(), before: z.unknown(), after: z.unknown() });

const historyAnswer = z
  .object({
    provider: z.string(),
    days: z.array(dayHistory).readonly(),
    operations: z.array(operation).readonly().describe("Changes by operators. Empty for a single caller"),
  })
  .openapi({
    example: {
      provider: PROVIDER,
      days: [
        {
          date: "2025-12-30",
          used: 8_456,
          reserved_expired: 3,
          refused: 12,
          would_refuse: 0,
          untracked: 56,
          callers: EXAMPLE_STATUS.callers,
          hours: [{ hour: 9, used: 8_400 }],
        },
      ],
      operations: [],
    },
  });

forAdmin("get", "/history", {
  summary: "Get the usage of the latest days by caller and hour, and changes by operators",
  description:
    "Names the 50 callers with the highest usage per day, or 25 for 400 days. The others are added up as `others`. With `project_id` or `caller`, only the usage of that caller.",
  request: { query: historyQuery },
  responses: { 200: answer("Newest first, without days without usage", historyAnswer) },
}).handle(async (c) => {
  const { days, project_id, caller } = c.req.valid("query");
  const requestedCaller = project_id === undefined ? (caller ?? null) : projectCaller(project_id);
  const history = await c.get("deps").quotaAdmin.history(days, requestedCaller);
  showRateLimit(c, history.status);
  const operations = history.operations.map(shownOperation);
  return c.json({ provider: PROVIDER, days: history.days, operations }, 200);
});
