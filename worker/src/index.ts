/** The Worker's entry point, without logic. */
import { app } from "./app.ts";
import { runCron } from "./cron.ts";

export { JobWorkflow } from "./job-workflow.ts";
export { QuotaLedger } from "./quota/ledger.ts";
export { TenantDatabase } from "./tenant-database/tenant-database.ts";

export default { fetch: app.fetch, scheduled: runCron } satisfies ExportedHandler<Env>;
