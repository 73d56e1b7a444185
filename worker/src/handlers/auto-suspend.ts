/** `auto_suspend`: checks one project and suspends it if there is evidence of abuse. */
import { autoSuspend } from "../tenants/abuse/abuse.ts";
import type { JobHandler } from "./context.ts";

export const autoSuspendHandler: JobHandler<"auto_suspend"> = async (payload, job) =>
  job.step("decide", async (_attempt, deps) => {
    const { project_id: projectId, pattern_type: pattern, metrics: given, enforce_action: enforce, as_of } = payload;
    job.log.info("Decision started", { project_id: projectId, pattern_type: pattern, enforce_action: enforce });
    const asOf = as_of === undefined ? null : Date.parse(as_of);
    const data = await autoSuspend(deps, { run: job.id, projectId, pattern, given, enforce, asOf });
    if (data === null) return { success: false, error: `The project ${JSON.stringify(projectId)} does not exist.` };
    job.log.info("Decision made", { project_id: projectId, pattern_type: pattern, decision: data.decision, why: data.why });
    return { success: true, data };
  });
