/** Flows that call the provider or a webhook receiver. */
import { cronHarvestFlow } from "./flows/cron-harvest.ts";
import { deliverWebhookFlow } from "./flows/deliver-webhook.ts";
import { jobMatrix } from "./harness.ts";

jobMatrix(cronHarvestFlow);
jobMatrix(deliverWebhookFlow);
