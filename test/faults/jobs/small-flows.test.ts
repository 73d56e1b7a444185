/** Short flows, with traces. */
import { env } from "cloudflare:workers";
import { COLLECTOR_URL } from "../harness/outbound.ts";
import { autoSuspendFlow } from "./flows/auto-suspend.ts";
import { jobFlow } from "./flows/job.ts";
import { resetFlow } from "./flows/reset.ts";
import { rotateKeyFlow } from "./flows/rotate-key.ts";
import { sweepFlow } from "./flows/sweep.ts";
import { jobMatrix } from "./harness.ts";

Object.assign(env, { OTEL_ENABLED: "true", OTEL_ENDPOINT: COLLECTOR_URL });

jobMatrix(jobFlow);
jobMatrix(sweepFlow);
jobMatrix(resetFlow);
jobMatrix(rotateKeyFlow);
jobMatrix(autoSuspendFlow);
