/** What every enrichment takes, costs and answers. */
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
export const SPENDING = ["unprocessable", "cap_exceeded", "quota_exhausted", "pace_exceeded", "upstream_error"] as const;

/** The administrator may say who spends, as with a reservation. */
export const spender = { caller: callerLabel.optional(), priority };

export const apiCalls = z.int().describe("Provider calls charged for this request");

/** Last members of every answer. */
export const afterAll = {
  duration_ms: z.int().describe("Milliseconds"),
  quota: orNull(quotaStatus).describe("null only where no quota was needed and the ledger does not answer"),
};

/** Members of an error that ended a run. */
export const stop = { code: z.string(), message: z.string() };

/** One enrichment is one invocation of the project, and one of its organisation's calls. */
const INVOCATION = { scope: "enrich", kind: "use", meter: "function_invocations_per_day" } as const;

/** Does `work` for who asked, and says what it took. The label is the caller's by default. */
export async function enriching<Result extends { readonly quota: QuotaStatus | null }>(
  c: AppContext,
  given: Parameters<typeof spenderOf>[1],
  label: string,
  work: (deps: Deps, spender: ReturnType<typeof spenderOf>) => Promise<Result>,
) {
  return metered(c, INVOCATION, async (who) => {
    const deps = c.get("deps");
    const began = deps.clock();
    const result = await work(deps, spenderOf(who, given, label));
    showRateLimit(c, result.quota);
    return { ...result, duration_ms: deps.clock() - began, quota: visibleStatus(c, result.quota) };
  });
}
