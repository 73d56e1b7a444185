/** What a job was to end and none does: projects half made or half undone, and graces whose end nobody wrote down. */
import { MINUTE_MS } from "../../lib/time.ts";
import type { Deps } from "../../deps.ts";
import { gracesLeftBehind } from "../../store/keys/grace.ts";
import { failProvisioning, provisioningsLeftBehind } from "../../store/provisioning/provisionings.ts";

/** Whoever creates a project asks for its job at once; a service that failed three times is left alone so long. */
const PROVISIONING_QUIET_MS = 10 * MINUTE_MS;
/** A job wakes within seconds of the end of a grace. */
const GRACE_QUIET_MS = 60 * MINUTE_MS;
/** Jobs of one pass: the next one comes soon. */
const MOST = 50;

/** Asks for a job for each. `run`: the job that asks, by whose id the same pass asks once. */
export async function resumeLeftBehind(
  { db, jobs, clock }: Pick<Deps, "db" | "jobs" | "clock">,
  run: string,
): Promise<{ readonly provisionings: number; readonly graces: number }> {
  const now = clock();
  const asked = { requestedBy: `job:${run}` };
  const projects = await provisioningsLeftBehind(db, now - PROVISIONING_QUIET_MS, MOST);
  for (const { project_id: projectId, name: projectName, owner_id: ownerId, region, job_id: jobId, job_status } of projects) {
    // Whoever cancelled it wanted no project.
    if (job_status === "cancelled") {
      await failProvisioning(db, { projectId, jobId }, { step: "cancelled", error: "The job was cancelled." }, now);
    }
    await jobs.enqueueProvisionProjectJob({ projectId, projectName, ownerId, region }, { ...asked, idempotencyKey: projectId });
  }
  const graces = await gracesLeftBehind(db, now - GRACE_QUIET_MS, MOST);
  for (const { key_id, version, project_id: projectId } of graces) {
    await jobs.enqueueRotateKeyJob(key_id, { ...asked, idempotencyKey: key_id, version: version + 1, projectId });
  }
  return { provisionings: projects.length, graces: graces.length };
}
