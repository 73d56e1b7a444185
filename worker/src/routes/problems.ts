/** Problems in the OpenAPI document. */
import { z } from "@hono/zod-openapi";
import { PROBLEMS, Problem, problemBody } from "../errors.ts";
import { ERRORS_PATH } from "../http/index.ts";
import type { ProblemCode } from "../errors.ts";
import { EXAMPLE_STATUS } from "./quota/example.ts";

export const problem = z
  .looseObject({
    type: z.string().describe("Links to the code's documentation"),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
    message: z.string().describe("Equals `detail`"),
    error: z.string().describe("Equals `code`"),
    documentation_url: z.string().optional().describe("The code's documentation, if `type` does not link to it"),
  })
  .openapi("Problem", { description: "RFC 9457 problem details" });

/** Details and other fields of the example problems. */
const EXAMPLES: Partial<Record<ProblemCode, Record<string, unknown>>> = {
  invalid_request: {
    detail: "`calls` must be at least 1 (got 0).",
    errors: [{ path: "calls", message: "must be at least 1", value: 0 }],
  },
  quota_exhausted: {
    detail: "This request needs 1 call, but no calls remain today (13,000 of 13,000 used). The next day begins at 2025-12-31T00:00:00Z.",
    "violated-policies": ["daily"],
    calls_needed: 1,
    calls_available: 0,
    calls_charged: 0,
    reset_at: "2025-12-31T00:00:00Z",
    quota: { ...EXAMPLE_STATUS, used: 13_000, remaining: 0, safety_remaining: 0, percentage_used: 100, can_make_calls: false },
  },
  pace_exceeded: {
    detail: "Too many requests are already waiting for the provider. Try again in 3 s. Quota remains.",
    "violated-policies": ["pace"],
    calls_needed: 1,
    calls_charged: 0,
  },
  rate_limited: {
    detail:
      "Your project released 30 unused reservations in the last minute. Try again in 12 s, and reserve only calls that you will send.",
    "violated-policies": ["returned-reservations"],
    calls_needed: 1,
    calls_charged: 0,
  },
  project_suspended: {
    detail: "The project is suspended. Reason: quota:function_invocations_per_day until 2025-12-31T00:00:00Z.",
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
    detail: "The organization has used 100,000 of its 100,000 API calls. The next period begins at 2025-12-31T00:00:00Z.",
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
    detail: "The provider responded with 500. 1 call was charged.",
    outcome: "provider_failed",
    calls_charged: 1,
    retry: "later",
  },
};

const HEADERS = { "Retry-After": { schema: { type: "integer" as const }, description: "Seconds" } };

/** Entries for the OpenAPI document, by status. Codes with the same status share an entry. */
export function problems(codes: readonly ProblemCode[]) {
  const byStatus = Map.groupBy(codes, (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, sharing]) => [
      status,
      {
        description: sharing.map((code) => `\`${code}\`: ${PROBLEMS[code].meaning}`).join(" "),
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
  const { detail = PROBLEMS[code].meaning, ...members } = EXAMPLES[code] ?? {};
  return problemBody(new Problem(code, String(detail), { members }), `https://quota.example.com${ERRORS_PATH}`);
}
