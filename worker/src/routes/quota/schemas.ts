/** The quota as the OpenAPI document shows it, and how a request says whose it is. */
import { z } from "@hono/zod-openapi";
import { PROVIDER } from "../../deps.ts";
import { time } from "../../http/fields.ts";
import { isReservedCaller } from "../../quota/index.ts";
import { answer } from "../operation.ts";
import { EXAMPLE_STATUS } from "./example.ts";

export const provider = z.enum([PROVIDER]).default(PROVIDER).openapi({ description: "Whose quota. One ledger a provider." });

/** Who spends: the label under which calls appear in the status. Names of the ledger's own and of projects may not be chosen. */
export const callerLabel = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._:-]{0,63}$/u, "must be 1 to 64 lower-case letters, digits or . : _ -, beginning with a letter or digit")
  .refine((label) => !isReservedCaller(label), "this is a name of the ledger's own; choose another")
  .describe("Who spends: the label under which the calls appear in the status");

export const priority = z
  .enum(["interactive", "background"])
  .default("interactive")
  .describe("background: bulk work, which leaves the floor to interactive callers");

const calls = z.int();

export const callerUse = z.object({ caller: z.string(), used: calls });

export const quotaStatus = z
  .object({
    provider: z.string(),
    date: z.string().describe("The UTC day that is counted, YYYY-MM-DD"),
    daily_limit: calls.describe("What the provider sells"),
    safety_limit: calls.describe("daily_limit less the safety buffer: what is given out"),
    used: calls.describe("Charged today, plus upstream.untracked"),
    reserved: calls.describe("Promised to callers, not settled yet"),
    remaining: calls.describe("safety_limit - used - reserved, never below 0"),
    percentage_used: calls.describe("used / safety_limit in whole percent, rounded down"),
    reset_at: time,
    can_make_calls: z.boolean(),
    safety_remaining: calls.describe("safety_limit - used"),
    enforcement: z.enum(["enforce", "observe", "off"]),
    source: z
      .enum(["ledger", "snapshot"])
      .describe("snapshot: the last published state, because the ledger did not answer or was not asked"),
    as_of: time,
    age_seconds: calls.optional().describe("Age of the snapshot"),
    recovered: z
      .literal(true)
      .optional()
      .describe("The ledger's store was empty, and today's count was taken from the snapshot or the provider"),
    callers: z
      .array(callerUse)
      .readonly()
      .describe(
        "Who spent it. Projects are summed up as `projects`; in the answers to a project's own requests its line stands apart. Only `GET /api/quota/status` with the admin token names them: the 1,000 that spent the most",
      ),
    forecast: z.object({
      calls_per_hour: calls.describe("Spent in the last 60 minutes"),
      exhausted_at: z.string().nullable().describe("When the safety limit is reached at this pace; null if not today"),
    }),
    background: z.object({
      floor: calls.describe("What background work leaves to interactive callers now; it shrinks to 0 towards 24:00 UTC"),
      remaining: calls.describe("What background work may still have now"),
    }),
    upstream: z
      .object({
        limit: calls,
        spent: calls.describe("By the provider's own count"),
        untracked: calls.describe("Spent by somebody who did not ask us"),
        bulk_billing: z.enum(["per_request", "per_isbn", "unknown"]),
        bulk_billing_source: z.enum(["configured", "observed", "assumed", "unknown"]),
        observed_at: time,
      })
      .nullable()
      .describe("null until the provider has told us its count today"),
  })
  .openapi("QuotaStatus", { example: EXAMPLE_STATUS });

const RATE_LIMIT_HEADERS = {
  "RateLimit-Policy": {
    schema: { type: "string" as const, example: '"daily";q=13000;w=86400' },
    description: "draft-ietf-httpapi-ratelimit-headers-11",
  },
  RateLimit: {
    schema: { type: "string" as const, example: '"daily";r=4544;t=36000' },
    description: "Calls left today, and seconds to the reset",
  },
};

export const withRateLimit = <Schema extends z.ZodType>(description: string, schema: Schema) =>
  answer(description, schema, RATE_LIMIT_HEADERS);

export const statusAnswer = withRateLimit("The quota as it stands", quotaStatus);
