/** Resumes work whose job is missing: unfinished creations and rollbacks, and grace periods whose end was not recorded. */
import { MINUTE_MS } from "../../lib/time.ts";
import type { Deps } from "../../deps.ts";
import { listOverdueGraces } from "../../store/keys/grace.ts";
import { failProvisioning, listStalledProvisionings } from "../../store/provisioning/provisionings.ts";

/** A creation requests its job immediately. After a service failed three times, it is left alone for this long. */
const PROVISIONING_QUIET_MS = 10 * MINUTE_MS;
/** A job wakes within seconds of the end of a grace period. */
const GRACE_QUIET_MS = 60 * MINUTE_MS;
/** Maximum jobs per pass. The next pass follows soon. */
const MAX_JOBS = 50;

/** Requests a job for each. `run`: id of the requesting job, so that repeating a pass adds no jobs. */
export async function resumeStalledWork(
  { db, jobs, clock }: Pick<Deps, "db" | "jobs" | "clock">,
  run: string,
): Promise<{ readonly provisionings: number; readonly graces: number }> {
  const now = clock();
  const requester = { requestedBy: `job:${run}` };
  const projects = await listStalledProvisionings(db, now - PROVISIONING_QUIET_MS, MAX_JOBS);
  for (const { project_id: projectId, name: projectName, owner_id: ownerId, region, job_id: jobId, job_status } of projects) {
    // A cancelled job must not create the project.
    if (job_status === "cancelled") {
      await failProvisioning(db, { projectId, jobId }, { step: "cancelled", error: "The job was cancelled." }, now);
    }
    await jobs.enqueueProvisionProjectJob({ projectId, projectName, ownerId, region }, { ...requester, idempotencyKey: projectId });
  }
  const graces = await listOverdueGraces(db, now - GRACE_QUIET_MS, MAX_JOBS);
  for (const { key_id, version, project_id: projectId } of graces) {
    await jobs.enqueueRotateKeyJob(key_id, { ...requester, idempotencyKey: key_id, version: version + 1, projectId });
  }
  return { provisionings: projects.length, graces: graces.length };
}
