/** Common input, cost and output of all enrichments. */
import { z } from "@hono/zod-openapi";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Deps } from "../../deps.ts";
import { orNull } from "../../http/fields.ts";
import { metered } from "../../http/guards.ts";
import { showRateLimit, visibleStatus } from "../../http/index.ts";
import type { AppContext, AppEnv } from "../../http/index.ts";
import { spenderOf } from "../../http/spender.ts";
import type { QuotaStatus } from "../../quota/index.ts";
import { meteredProject, operations } from "../operation.ts";
import { callerLabel, priority, quotaStatus } from "../quota/schemas.ts";

export const enrichments = (router: OpenAPIHono<AppEnv>) =>
  operations(router, "Enrichment", meteredProject, ["quota_unavailable", "storage_unavailable"]);
export const SPENDING = ["unprocessable", "cap_exceeded", "quota_exhausted", "pace_exceeded", "rate_limited", "upstream_error"] as const;

/** The administrator may set the caller, as with a reservation. */
export const spender = { caller: callerLabel.optional(), priority };

export const apiCalls = z.int().describe("Provider calls charged for this request");

/** Last fields of every response. */
export const afterAll = {
  duration_ms: z.int().describe("Milliseconds"),
  quota: orNull(quotaStatus).describe("null: no quota was needed and the ledger did not respond"),
};

/** Fields of an error that ended the request. */
export const stop = { code: z.string(), message: z.string() };

/** One enrichment is one invocation of the project, and one call of its organization. */
const INVOCATION = { scope: "enrich", kind: "use", meter: "function_invocations_per_day" } as const;

/** Runs `work` for the caller and measures its duration. `label` is the default caller. */
export async function enriching<Result extends { readonly quota: QuotaStatus | null }>(
  c: AppContext,
  given: Parameters<typeof spenderOf>[2],
  label: string,
  work: (deps: Deps, spender: ReturnType<typeof spenderOf>) => Promise<Result>,
) {
  return metered(c, INVOCATION, async (who) => {
    const deps = c.get("deps");
    const began = deps.clock();
    const result = await work(deps, spenderOf(c, who, given, label));
    showRateLimit(c, result.quota);
    return { ...result, duration_ms: deps.clock() - began, quota: visibleStatus(c, result.quota) };
  });
}
