/** All job flows of the matrix, in the order of the page. */
import type { FlowTable } from "../../matrix.ts";
import { autoSuspend } from "./auto-suspend.ts";
import { backup } from "./backup.ts";
import { cronHarvest } from "./cron-harvest.ts";
import { deliverWebhook } from "./deliver-webhook.ts";
import { housekeeping } from "./housekeeping.ts";
import { job } from "./job.ts";
import { provision } from "./provision.ts";
import { reset } from "./reset.ts";
import { restore } from "./restore.ts";
import { rotateKey } from "./rotate-key.ts";
import { sweep } from "./sweep.ts";

export const JOB_FLOWS: readonly FlowTable[] = [
  job,
  sweep,
  reset,
  cronHarvest,
  housekeeping,
  deliverWebhook,
  backup,
  restore,
  provision,
  rotateKey,
  autoSuspend,
];
