/** The handler of each job type. The compiler requires one for each type in the catalog. */
import type { JobType } from "../jobs/catalog.ts";
import type { JobHandler } from "./context.ts";
import { autoSuspendHandler } from "./auto-suspend.ts";
import { checkUsageLimitsHandler } from "./check-usage-limits.ts";
import { exportBackupHandler } from "./export-backup.ts";
import { deliverWebhookHandler } from "./deliver-webhook.ts";
import { harvestHandler } from "./harvest.ts";
import { housekeepingHandler } from "./housekeeping.ts";
import { provisionProjectHandler } from "./provision-project.ts";
import { resetQuotasHandler } from "./reset-quotas.ts";
import { restoreBackupHandler } from "./restore-backup.ts";
import { rotateKeyHandler } from "./rotate-key.ts";

export const HANDLERS = {
  auto_suspend: autoSuspendHandler,
  check_usage_limits: checkUsageLimitsHandler,
  export_backup: exportBackupHandler,
  deliver_webhook: deliverWebhookHandler,
  harvest: harvestHandler,
  housekeeping: housekeepingHandler,
  provision_project: provisionProjectHandler,
  reset_quotas: resetQuotasHandler,
  restore_backup: restoreBackupHandler,
  rotate_key: rotateKeyHandler,
} satisfies { [Type in JobType]: JobHandler<Type> };
