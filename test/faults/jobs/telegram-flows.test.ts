/** Flows that notify operators: a bot is configured. */
import { env } from "cloudflare:workers";
import { backupFlow } from "./flows/backup.ts";
import { housekeepingFlow } from "./flows/housekeeping.ts";
import { jobMatrix } from "./harness.ts";
import { TELEGRAM } from "./telegram.ts";

Object.assign(env, TELEGRAM);

jobMatrix(housekeepingFlow);
jobMatrix(backupFlow);
