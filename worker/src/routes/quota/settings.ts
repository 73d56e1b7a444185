/** Changes of the quota by operators: today's count and the settings. */
import { z } from "@hono/zod-openapi";
import { ENFORCEMENTS, MAX_CALLS, MAX_RATE_PER_SECOND, MIN_RATE_PER_SECOND } from "../../env.ts";
import { Problem } from "../../errors.ts";
import { orNull } from "../../http/fields.ts";
import { createRouter, showRateLimit } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { safetyLimit } from "../../quota/index.ts";
import type { Operation, QuotaStatus, Settings, SettingsChange } from "../../quota/index.ts";
import { admin, answer, jsonBody, operations } from "../operation.ts";
import { byAdmin, copyToAudit } from "./operations.ts";
import { provider, statusAnswer } from "./schemas.ts";

export const settingsRoutes = createRouter();
const operation = operations(settingsRoutes, "Quota operation", admin, ["quota_unavailable"]);

const providerQuery = z.object({ provider });

async function audited(c: AppContext, by: Operation, change: Promise<QuotaStatus>): Promise<QuotaStatus> {
  const status = await change;
  await copyToAudit(c, by);
  showRateLimit(c, status);
  return status;
}

operation("put", "/usage", {
  summary: "Set today's count",
  description:
    "Audited. The difference appears under the caller `operator`. Calls that the provider has already counted do not return as untracked.",
  request: {
    query: providerQuery,
    body: jsonBody(z.strictObject({ used: z.int().min(0).max(MAX_CALLS) }).openapi({ example: { used: 8_456 } })),
  },
  responses: { 200: statusAnswer },
}).handle(async (c) => {
  const by = byAdmin();
  return c.json(await audited(c, by, c.get("deps").quotaAdmin.setUsage(c.req.valid("json").used, by)), 200);
});

operation("post", "/reset", {
  summary: "Set today's count to 0",
  description: "Audited. Open reservations stay reserved. Calls that the provider has already counted do not return as untracked.",
  request: { query: providerQuery },
  responses: { 200: statusAnswer },
}).handle(async (c) => {
  const by = byAdmin();
  return c.json(await audited(c, by, c.get("deps").quotaAdmin.reset(by)), 200);
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
        `must be 0, or from ${MIN_RATE_PER_SECOND} to ${MAX_RATE_PER_SECOND}`,
      )
      .optional()
      .describe("0: no pace"),
    enforcement: z
      .enum(ENFORCEMENTS)
      .optional()
      .describe("enforce: refuse. observe: count, and log would-be refusals. off: only count, and continue without the ledger"),
  })
  .refine((body) => Object.keys(body).length > 0, "must have at least one setting")
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

const settingsAnswer = answer(
  "The current settings, effective with the next decision",
  z.object({
    applied_to: z
      .enum(["ledger", "switch"])
      .describe("switch: the ledger is unavailable, so only the enforcement switch in KV was set. The ledger follows later"),
    enforcement: z.enum(ENFORCEMENTS).nullable().describe("null: as configured"),
    settings: orNull(settings).describe("null: the ledger is unavailable"),
  }),
);

operation("get", "/settings", {
  summary: "Read the settings",
  request: { query: providerQuery },
  responses: {
    200: answer("The current settings and the configured ones", z.object({ settings, configured: settings })),
  },
}).handle(async (c) => {
  const { settings: current, configured, status } = await c.get("deps").quotaAdmin.settings();
  showRateLimit(c, status);
  return c.json({ settings: shownSettings(current), configured: shownSettings(configured) }, 200);
});

operation("put", "/settings", {
  summary: "Change limits or the enforcement",
  description: "Audited. While the ledger is unavailable, only `enforcement` can be changed.",
  request: { query: providerQuery, body: jsonBody(settingsBody) },
  responses: { 200: settingsAnswer },
  problems: ["unprocessable"],
}).handle(async (c) => {
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

operation("delete", "/settings", {
  summary: "Return to the configured settings",
  request: { query: providerQuery },
  responses: { 200: settingsAnswer },
}).handle(async (c) => c.json(await changeSettings(c, null), 200));

async function changeSettings(c: AppContext, change: SettingsChange | null) {
  const by = byAdmin();
  const changed = await c.get("deps").quotaAdmin.changeSettings(change, by);
  switch (changed.result) {
    case "impossible":
      throw new Problem("unprocessable", changed.detail);
    case "switched": {
      const { value: enforcement } = changed.mirror.enforcement;
      await copyToAudit(c, by, { action: "settings.switch", before: null, after: { enforcement } });
      return { applied_to: "switch" as const, enforcement, settings: null };
    }
    case "changed": {
      await copyToAudit(c, by);
      showRateLimit(c, changed.status);
      return { applied_to: "ledger" as const, enforcement: changed.settings.enforcement, settings: shownSettings(changed.settings) };
    }
  }
}

function shownSettings(values: Settings) {
  const { dailyLimit, safetyBuffer, backgroundFloor, ratePerSecond, enforcement } = values;
  return {
    daily_limit: dailyLimit,
    safety_buffer: safetyBuffer,
    background_floor: backgroundFloor,
    rate_per_second: ratePerSecond,
    enforcement,
    safety_limit: safetyLimit(values),
  };
}
