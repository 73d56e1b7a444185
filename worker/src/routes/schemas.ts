/** Shapes that several routes share, as the OpenAPI document shows them. */
import { z } from "@hono/zod-openapi";
import { PROBLEMS } from "../errors.ts";
import type { ProblemCode } from "../errors.ts";
import { isReservedCaller } from "../quota/index.ts";

export const EXAMPLE_STATUS = {
  provider: "isbndb",
  date: "2025-12-30",
  daily_limit: 15_000,
  safety_limit: 13_000,
  used: 8_456,
  reserved: 0,
  remaining: 4_544,
  percentage_used: 65,
  reset_at: "2025-12-31T00:00:00Z",
  can_make_calls: true,
  safety_remaining: 4_544,
  enforcement: "enforce" as const,
  source: "ledger" as const,
  as_of: "2025-12-30T14:03:11Z",
  callers: [
    { caller: "enrich.batch", used: 7_000 },
    { caller: "cron.harvest", used: 1_400 },
    { caller: "untracked", used: 56 },
  ],
  forecast: { calls_per_hour: 612, exhausted_at: "2025-12-30T21:28:00Z" },
  background: { floor: 415, remaining: 4_129 },
  upstream: {
    limit: 15_000,
    spent: 8_456,
    untracked: 56,
    bulk_billing: "per_request" as const,
    bulk_billing_source: "observed" as const,
    observed_at: "2025-12-30T14:03:09Z",
  },
};

const calls = z.int();
const time = z.string().describe("ISO 8601 in UTC, without milliseconds");

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

export const problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
  })
  .openapi("Problem", { description: "RFC 9457 problem details" });

/** Of a schema with a name: `.nullable()` would become one in the document that no null fits. */
export const orNull = <Schema extends z.ZodType>(schema: Schema) => z.union([schema, z.null()]);

/** Content of a body. */
export const json = <Schema extends z.ZodType>(schema: Schema) => ({ "application/json": { schema } });

/** What a problem looks like in practice, where more than its title helps. */
const EXAMPLES: Partial<Record<ProblemCode, Record<string, unknown>>> = {
  invalid_request: {
    detail: "isbns: Too small: expected array to have >=1 items",
    errors: [{ path: "isbns", message: "Too small: expected array to have >=1 items" }],
  },
  quota_exhausted: {
    detail: "This needs 1 call, but nothing is left today (13,000 of 13,000 used). The next day begins at 2025-12-31T00:00:00Z.",
    "violated-policies": ["daily"],
    calls_needed: 1,
    calls_available: 0,
    calls_charged: 0,
    reset_at: "2025-12-31T00:00:00Z",
    quota: { ...EXAMPLE_STATUS, used: 13_000, remaining: 0, safety_remaining: 0, percentage_used: 100, can_make_calls: false },
  },
  pace_exceeded: {
    detail: "Too many requests are already waiting for their turn with the provider. Try again in 3 s; the day is not over.",
    "violated-policies": ["pace"],
    calls_needed: 1,
    calls_charged: 0,
  },
  project_suspended: {
    detail: "The project is suspended: quota:function_invocations_per_day until 2025-12-31T00:00:00Z.",
    reasons: [
      {
        reason: "quota:function_invocations_per_day",
        cap_type: "function_invocations_per_day",
        since: "2025-12-30T14:00:00Z",
        until: "2025-12-31T00:00:00Z",
      },
    ],
  },
  monthly_quota_exceeded: {
    detail: "The organisation has used 100,000 of its 100,000 calls. The next period begins at 2025-12-31T00:00:00Z.",
    "violated-policies": ["monthly"],
    quota_type: "api_calls",
    used: 100_000,
    limit: 100_000,
    reset_at: "2025-12-31T00:00:00Z",
  },
  cap_exceeded: {
    detail: "The project has used 5,000 of 5,000 function_invocations_per_day. The next day begins at 2025-12-31T00:00:00Z.",
    "violated-policies": ["function_invocations_per_day"],
    cap_type: "function_invocations_per_day",
    used: 5_000,
    cap: 5_000,
    reset_at: "2025-12-31T00:00:00Z",
  },
  upstream_error: {
    detail: "The provider answered 500. 1 call was charged.",
    outcome: "provider_failed",
    calls_charged: 1,
    retry: "later",
  },
};

const HEADERS: Record<string, object> = {
  "Retry-After": { schema: { type: "integer" }, description: "Seconds" },
};

/** The OpenAPI entry of one problem for each status; codes that share a status share the entry. */
export function problems(...codes: ProblemCode[]) {
  const byStatus = Map.groupBy(codes, (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, sharing]) => [
      status,
      {
        description: sharing.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join(". "),
        ...(status === 429 || status === 503 ? { headers: HEADERS } : {}),
        content: {
          "application/problem+json": {
            schema: problem,
            examples: Object.fromEntries(sharing.map((code) => [code, { value: exampleOf(code) }])),
          },
        },
      },
    ]),
  );
}

function exampleOf(code: ProblemCode): Record<string, unknown> {
  const kind: { status: number; title: string; type?: string } = PROBLEMS[code];
  return { type: kind.type ?? "about:blank", title: kind.title, status: kind.status, detail: `${kind.title}.`, code, ...EXAMPLES[code] };
}

/** What can go wrong anywhere behind credentials. */
export const COMMON_PROBLEMS = ["unauthorized", "forbidden", "too_many_failures", "internal_error"] as const satisfies ProblemCode[];

/** What stops a project anywhere it uses the service. */
export const PROJECT_PROBLEMS = ["project_suspended", "project_not_ready", "monthly_quota_exceeded"] as const satisfies ProblemCode[];

export const RATE_LIMIT_HEADERS = {
  "RateLimit-Policy": {
    schema: { type: "string" as const, example: '"daily";q=13000;w=86400' },
    description: "draft-ietf-httpapi-ratelimit-headers-11",
  },
  RateLimit: {
    schema: { type: "string" as const, example: '"daily";r=4544;t=36000' },
    description: "Calls left today, and seconds to the reset",
  },
};

export const ADMIN = [{ admin: [] }];
/** Where both may come: the administrator, and a project's key. */
export const ADMIN_OR_KEY = [{ admin: [] }, { project: [] }];
/** For monitoring. */
export const METRICS = [{ admin: [] }, { metrics: [] }];

/** Text that can stand in an address of the provider's, which takes at most 150 characters. */
export const addressable = z
  .string()
  .trim()
  .min(1, "expected at least one character")
  .max(150, "expected at most 150 characters")
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), "expected text without control characters and broken surrogates")
  .refine((text) => !/^\.{1,2}$/u.test(text), "expected more than dots");

/** Who spends: the label under which calls appear in the status. Names of the ledger's own and of projects may not be chosen. */
export const callerLabel = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._:-]{0,63}$/u, "expected 1 to 64 lower-case letters, digits or . : _ -, beginning with a letter or digit")
  .refine((label) => !isReservedCaller(label), "this is a name of the ledger's own; choose another")
  .describe("Who spends: the label under which the calls appear in the status");

export const priority = z
  .enum(["interactive", "background"])
  .default("interactive")
  .describe("background: bulk work, which leaves the floor to interactive callers");
