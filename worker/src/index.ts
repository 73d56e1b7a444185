/** The Worker's front door. No logic lives here. */
import { app } from "./app.ts";

export { QuotaLedger } from "./quota/ledger.ts";

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;
