/** Flows that create projects. */
import { provisionFlow } from "./flows/provision.ts";
import { restoreFlow } from "./flows/restore.ts";
import { jobMatrix } from "./harness.ts";

jobMatrix(provisionFlow);
jobMatrix(restoreFlow);
