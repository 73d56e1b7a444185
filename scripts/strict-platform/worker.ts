/** The product within Cloudflare's limits, as `npm start -- --strict-platform` runs it. Exports the same as the product's own entry point. */
import worker, { JobWorkflow, QuotaLedger, TenantDatabase } from "product/index.ts";
import { env } from "cloudflare:workers";
import { PLANS, platform, strictBindings, strictEntryPoints, strictFetch } from "./index.ts";

platform.reset({ limits: Reflect.get(env, "STRICT_PLATFORM_PLAN") === "free" ? PLANS.free : PLANS.paid });
strictBindings(env);
strictFetch();
strictEntryPoints({ worker, workflows: [JobWorkflow], durableObjects: [QuotaLedger, TenantDatabase] });

export { JobWorkflow, QuotaLedger, TenantDatabase };
export default worker;
