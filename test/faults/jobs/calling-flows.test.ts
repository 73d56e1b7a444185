/** Flows that call others. */
import { cronHarvestFlow } from "./flows/cron-harvest.ts";
import { deliverWebhookFlow } from "./flows/deliver-webhook.ts";
import { jobMatrix } from "./harness.ts";

jobMatrix(cronHarvestFlow);
jobMatrix(deliverWebhookFlow);
