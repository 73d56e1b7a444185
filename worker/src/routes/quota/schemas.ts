/** Quota status in the OpenAPI document, and the fields that name a caller. */
import { z } from "@hono/zod-openapi";
import { PROVIDER } from "../../deps.ts";
import { time } from "../../http/fields.ts";
import { isReservedCaller } from "../../quota/index.ts";
import { answer } from "../operation.ts";
import { EXAMPLE_STATUS } from "./example.ts";

export const provider = z.enum([PROVIDER]).default(PROVIDER).openapi({ description: "Provider of the quota. Each has its own ledger." });

/** The caller that calls are charged to. Names of the ledger and of projects are reserved. */
export const callerLabel = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._:-]{0,63}$/u, "must be 1 to 64 lower-case letters, digits or . : _ -, beginning with a letter or digit")
  .refine((label) => !isReservedCaller(label), "must not be a reserved name of the ledger")
  .describe("Caller that the calls are charged to, shown in the status");

export const priority = z
  .enum(["interactive", "background"])
  .default("interactive")
  .describe("background: bulk work, which cannot use the floor");

const calls = z.int();

export const callerUse = z.object({ caller: z.string(), used: calls });

export const quotaStatus = z
  .object({
    provider: z.string(),
    date: z.string().describe("UTC day, YYYY-MM-DD"),
    daily_limit: calls.describe("Calls that the provider sells per day"),
    safety_limit: calls.describe("daily_limit minus the buffer"),
    used: calls.describe("Charged today, plus upstream.untracked"),
    reserved: calls.describe("Calls in open reservations"),
    remaining: calls.describe("safety_limit - used - reserved, never below 0"),
    percentage_used: calls.describe("used / safety_limit in whole percent, rounded down"),
    reset_at: time,
    can_make_calls: z.boolean(),
    safety_remaining: calls.describe("safety_limit - used"),
    enforcement: z.enum(["enforce", "observe", "off"]),
    source: z
      .enum(["ledger", "snapshot"])
      .describe("snapshot: the last published state, because the ledger did not respond or was not read"),
    as_of: time,
    age_seconds: calls.optional().describe("Age of the snapshot"),
    recovered: z
      .literal(true)
      .optional()
      .describe("The ledger's store was empty, so today's count was restored from the snapshot or the provider"),
    callers: z
      .array(callerUse)
      .readonly()
      .describe(
        "Usage by caller. The admin token sees the 50 largest in `GET /api/quota/status`, and the others as `others`. Elsewhere, and for a project's key, only the requesting caller",
      ),
    forecast: z.object({
      calls_per_hour: calls.describe("Calls in the last 60 minutes"),
      exhausted_at: z.string().nullable().describe("Time when the limit is reached at this rate. null: not today"),
    }),
    background: z.object({
      floor: calls.describe("Calls held back from background work. Shrinks to 0 by 24:00 UTC"),
      remaining: calls.describe("Calls that background work can still get now"),
    }),
    upstream: z
      .object({
        limit: calls,
        spent: calls.describe("Calls in the provider's count"),
        untracked: calls.describe("Calls that were not made through the coordinator"),
        bulk_billing: z.enum(["per_request", "per_isbn", "unknown"]),
        bulk_billing_source: z.enum(["configured", "observed", "assumed", "unknown"]),
        observed_at: time,
      })
      .nullable()
      .describe("null: the provider's count of today is unknown"),
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

export const statusAnswer = withRateLimit("The quota status", quotaStatus);
