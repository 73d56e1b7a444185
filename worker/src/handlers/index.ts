/** The code of each job type. The compiler asks for one as soon as a type stands in the catalogue. */
import type { JobType } from "../jobs/catalog.ts";
import type { JobHandler } from "./context.ts";
import { autoSuspendHandler } from "./auto-suspend.ts";
import { checkUsageLimitsHandler } from "./check-usage-limits.ts";
import { harvestHandler } from "./harvest.ts";
import { housekeepingHandler } from "./housekeeping.ts";
import { resetQuotasHandler } from "./reset-quotas.ts";

export const HANDLERS = {
  auto_suspend: autoSuspendHandler,
  check_usage_limits: checkUsageLimitsHandler,
  harvest: harvestHandler,
  housekeeping: housekeepingHandler,
  reset_quotas: resetQuotasHandler,
} satisfies { [Type in JobType]: JobHandler<Type> };
