/** The quota seen from outside: status, history, and what an operator may change. */
import { createRoute, z } from "@hono/zod-openapi";
import { PROVIDER } from "../../deps.ts";
import { ENFORCEMENTS, MAX_CALLS, MAX_RATE_PER_SECOND, MIN_RATE_PER_SECOND } from "../../env.ts";
import { Problem } from "../../errors.ts";
import { createRouter, showRateLimit, visibleStatus } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { adminOnly, needAdmin } from "../../http/guards.ts";
import { projectCaller, publicCallers, statusOfCaller } from "../../quota/index.ts";
import type { SettingsChange } from "../../quota/index.ts";
import { historyAnswer, historyQuery, projectId, provider } from "./schemas.ts";
import { byAdmin, copyToAudit, shownOperation } from "./operations.ts";
import { ADMIN, COMMON_PROBLEMS, RATE_LIMIT_HEADERS, problems, quotaStatus } from "../schemas.ts";

const providerQuery = z.object({ provider });

const statusAnswer = {
  description: "The quota as it stands",
  headers: RATE_LIMIT_HEADERS,
  content: { "application/json": { schema: quotaStatus } },
};

const getStatus = createRoute({
  method: "get",
  path: "/status",
  tags: ["Quota"],
  summary: "How much of today is used, and by whom",
  description: "Public. Without the admin token, projects are summed up. If the ledger does not answer, the last published snapshot does.",
  request: {
    query: z.object({
      provider,
      fresh: z.enum(["true", "false"]).default("true").openapi({ description: "false reads the published snapshot at once: for pollers" }),
      project_id: projectId
        .optional()
        .describe("For the administrator: `callers` holds this project's line alone, 0 where it spent nothing"),
    }),
  },
  responses: { 200: statusAnswer, ...problems(...COMMON_PROBLEMS, "invalid_request", "quota_unavailable") },
});

const getHistory = createRoute({
  method: "get",
  path: "/history",
  tags: ["Quota"],
  summary: "The latest days: what was used, by caller and by hour, and what operators changed",
  description:
    "Of projects, the 1,000 that spent the most are named, fewer a day where more than 10 days are asked for; the others are summed up as `projects`. With `project_id` or `caller`, only what that one spent; days on which it spent nothing are left out too.",
  security: ADMIN,
  middleware: [adminOnly] as const,
  request: { query: historyQuery },
  responses: {
    200: {
      description: "The newest first; days on which nothing happened are left out",
      content: { "application/json": { schema: historyAnswer } },
    },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "quota_unavailable"),
  },
});

const putUsage = createRoute({
  method: "put",
  path: "/usage",
  tags: ["Quota operation"],
  summary: "Set today's count",
  description:
    "Audited. The difference stands under the caller `operator`. What the provider has counted so far does not come back as untracked.",
  security: ADMIN,
  middleware: [adminOnly] as const,
  request: {
    query: providerQuery,
    body: {
      required: true,
      content: {
        "application/json": { schema: z.strictObject({ used: z.int().min(0).max(MAX_CALLS) }).openapi({ example: { used: 8_456 } }) },
      },
    },
  },
  responses: {
    200: statusAnswer,
    ...problems(...COMMON_PROBLEMS, "invalid_request", "payload_too_large", "unsupported_media_type", "quota_unavailable"),
  },
});

const postReset = createRoute({
  method: "post",
  path: "/reset",
  tags: ["Quota operation"],
  summary: "Set today's count to 0",
  description: "Audited. Open reservations stay held. What the provider has counted so far does not come back as untracked.",
  security: ADMIN,
  middleware: [adminOnly] as const,
  request: { query: providerQuery },
  responses: { 200: statusAnswer, ...problems(...COMMON_PROBLEMS, "invalid_request", "quota_unavailable") },
});

const settingsBody = z
  .strictObject({
    daily_limit: z.int().min(0).max(MAX_CALLS).optional(),
    safety_buffer: z.int().min(0).max(MAX_CALLS).optional(),
    background_floor: z.int().min(0).max(MAX_CALLS).optional(),
    rate_per_second: z
      .number()
      .refine(
        (rate) => rate === 0 || (rate >= MIN_RATE_PER_SECOND && rate <= MAX_RATE_PER_SECOND),
        `expected 0, or ${MIN_RATE_PER_SECOND} to ${MAX_RATE_PER_SECOND}`,
      )
      .optional()
      .describe("0 switches the pace off"),
    enforcement: z
      .enum(ENFORCEMENTS)
      .optional()
      .describe("enforce; observe: count, and log what would be refused; off: count only, and go on even when the ledger fails"),
  })
  .refine((body) => Object.keys(body).length > 0, "expected at least one setting")
  .openapi({ example: { enforcement: "observe" } });

const settings = z
  .object({
    daily_limit: z.int(),
    safety_buffer: z.int(),
    background_floor: z.int(),
    rate_per_second: z.number(),
    enforcement: z.enum(ENFORCEMENTS),
    safety_limit: z.int(),
  })
  .openapi("QuotaSettings");

const settingsAnswer = {
  description: "The settings in force. They hold from the next decision on",
  content: {
    "application/json": {
      schema: z.object({
        applied_to: z
          .enum(["ledger", "switch"])
          .describe("switch: the ledger is away, so only the enforcement switch in KV was turned; the ledger follows when it is back"),
        enforcement: z.enum(ENFORCEMENTS).nullable().describe("null: as configured"),
        settings: settings.nullable().describe("null while the ledger is away"),
      }),
    },
  },
};

const putSettings = createRoute({
  method: "put",
  path: "/settings",
  tags: ["Quota operation"],
  summary: "Change limits or the enforcement, live",
  description: "Audited. While the ledger is away only `enforcement` can be changed.",
  security: ADMIN,
  middleware: [adminOnly] as const,
  request: { query: providerQuery, body: { required: true, content: { "application/json": { schema: settingsBody } } } },
  responses: {
    200: settingsAnswer,
    ...problems(...COMMON_PROBLEMS, "invalid_request", "payload_too_large", "unsupported_media_type", "unprocessable", "quota_unavailable"),
  },
});

const deleteSettings = createRoute({
  method: "delete",
  path: "/settings",
  tags: ["Quota operation"],
  summary: "Return to the configured settings",
  security: ADMIN,
  middleware: [adminOnly] as const,
  request: { query: providerQuery },
  responses: { 200: settingsAnswer, ...problems(...COMMON_PROBLEMS, "invalid_request", "quota_unavailable") },
});

export const quotaRoutes = createRouter();

quotaRoutes.openapi(getStatus, async (c) => {
  const { fresh, project_id } = c.req.valid("query");
  if (project_id !== undefined) await needAdmin(c);
  const one = project_id === undefined ? null : projectCaller(project_id);
  const view = one === null && c.get("principal").kind === "admin" ? "by_project" : { own: one };
  const status = await c.get("deps").quota.getStatus({ fresh: fresh === "true", view });
  showRateLimit(c, status);
  c.header("Cache-Control", "no-store");
  return c.json(one === null ? visibleStatus(c, status) : statusOfCaller(status, one), 200);
});

quotaRoutes.openapi(getHistory, async (c) => {
  const { days, project_id, caller } = c.req.valid("query");
  const asked = project_id === undefined ? (caller ?? null) : projectCaller(project_id);
  const history = await c.get("deps").quotaAdmin.history(days, asked);
  showRateLimit(c, history.status);
  const operations = history.operations.map(shownOperation);
  const isAdmin = c.get("principal").kind === "admin";
  const shown = history.days.map((day) => (isAdmin ? day : { ...day, callers: publicCallers(day.callers) }));
  return c.json({ provider: PROVIDER, days: shown, operations }, 200);
});

quotaRoutes.openapi(putUsage, async (c) => {
  const operation = byAdmin();
  const status = await c.get("deps").quotaAdmin.setUsage(c.req.valid("json").used, operation);
  await copyToAudit(c, operation);
  showRateLimit(c, status);
  return c.json(status, 200);
});

quotaRoutes.openapi(postReset, async (c) => {
  const operation = byAdmin();
  const status = await c.get("deps").quotaAdmin.reset(operation);
  await copyToAudit(c, operation);
  showRateLimit(c, status);
  return c.json(status, 200);
});

quotaRoutes.openapi(putSettings, async (c) => {
  const body = c.req.valid("json");
  const change = {
    dailyLimit: body.daily_limit,
    safetyBuffer: body.safety_buffer,
    backgroundFloor: body.background_floor,
    ratePerSecond: body.rate_per_second,
    enforcement: body.enforcement,
  };
  return c.json(await changeSettings(c, change), 200);
});

quotaRoutes.openapi(deleteSettings, async (c) => c.json(await changeSettings(c, null), 200));

async function changeSettings(c: AppContext, change: SettingsChange | null) {
  const operation = byAdmin();
  const answer = await c.get("deps").quotaAdmin.changeSettings(change, operation);
  switch (answer.result) {
    case "impossible":
      throw new Problem("unprocessable", answer.detail);
    case "switched": {
      const { value: enforcement } = answer.mirror.enforcement;
      await copyToAudit(c, operation, { action: "settings.switch", before: null, after: { enforcement } });
      return { applied_to: "switch" as const, enforcement, settings: null };
    }
    case "changed": {
      await copyToAudit(c, operation);
      showRateLimit(c, answer.status);
      const { dailyLimit, safetyBuffer, backgroundFloor, ratePerSecond, enforcement } = answer.settings;
      return {
        applied_to: "ledger" as const,
        enforcement,
        settings: {
          daily_limit: dailyLimit,
          safety_buffer: safetyBuffer,
          background_floor: backgroundFloor,
          rate_per_second: ratePerSecond,
          enforcement,
          safety_limit: answer.status.safety_limit,
        },
      };
    }
  }
}
