/**
 * `provision_project`: creates the database, registers the project and activates the key, one step each. A failure is rolled back in reverse
 * order, also in steps. Parts that could not be rolled back stay recorded, and housekeeping retries them.
 */
import { StepFailed } from "../jobs/failure.ts";
import { rootId } from "../jobs/job-id.ts";
import type { JobExecutionResult } from "../jobs/job-run.ts";
import { SERVICES } from "../services/registration.ts";
import { beginProvisioning, failProvisioning } from "../store/provisioning/provisionings.ts";
import type { ProvisioningOwner } from "../store/provisioning/provisionings.ts";
import {
  deregisterProject,
  destroyDatabase,
  createDatabase,
  completeProvisioning,
  registerProject,
  removeProject,
} from "../tenants/provisioning/provisioning.ts";
import type { ProvisioningStep } from "../tenants/provisioning/status.ts";
import { orNull } from "./context.ts";
import type { JobContext, JobHandler } from "./context.ts";

export const provisionProjectHandler: JobHandler<"provision_project"> = async ({ project_id }, job) => {
  const owner = { projectId: project_id, jobId: rootId(job.id) };
  job.log.info("Provisioning started", { project_id });
  const beginning = await job.step("begin", async (_attempt, { db }) => beginProvisioning(db, owner));
  switch (beginning) {
    case "go":
      return provision(owner, job);
    case "undo":
      return undo(owner, null, job);
    case "done":
      return { success: true, data: { project_id, outcome: "provisioned", steps: {} } };
    case "held":
      return { success: false, error: `Another job is provisioning the project ${JSON.stringify(project_id)}.` };
    case "missing":
      return {
        success: false,
        error: `The project ${JSON.stringify(project_id)} does not exist or is already provisioned. POST /api/projects creates one.`,
      };
  }
};

interface Failure {
  readonly step: ProvisioningStep;
  readonly error: string;
}

async function provision(owner: ProvisioningOwner, job: JobContext): Promise<JobExecutionResult> {
  const steps: Record<string, unknown> = {};
  let step: ProvisioningStep = "database";
  try {
    const version = await job.step(step, async (_attempt, deps) => createDatabase(deps, owner));
    steps["database"] = { schema_version: version };
    for (const service of SERVICES) {
      step = service;
      steps[service] = await job.step(service, async (_attempt, deps) => registerProject(deps, owner, service));
    }
    step = "key";
    await job.step(step, async (_attempt, deps) => completeProvisioning(deps, owner));
  } catch (thrown) {
    if (!(thrown instanceof StepFailed)) throw thrown;
    return undo(owner, { step, error: thrown.message }, job);
  }
  job.log.info("Provisioning completed", { project_id: owner.projectId });
  return { success: true, data: { project_id: owner.projectId, outcome: "provisioned", steps } };
}

/** `failure` null: provisioning failed before, and only the rollback continues. */
async function undo(owner: ProvisioningOwner, failure: Failure | null, job: JobContext): Promise<JobExecutionResult> {
  const { projectId: project_id } = owner;
  const reason = failure === null ? "" : `${failure.step}: ${failure.error.replace(/\.?$/u, ".")} `;
  const failed = (outcome: string, left: readonly string[], error: string): JobExecutionResult => ({
    success: false,
    data: { project_id, outcome, failed_step: failure?.step ?? null, left },
    error: `${reason}${error}`,
  });
  if (failure !== null) {
    const isRecorded = await orNull(
      job.step("undo: write down why", async (_attempt, { db, clock }) => failProvisioning(db, owner, failure, clock())),
    );
    if (isRecorded === null)
      return failed("rollback_incomplete", ["everything"], "The failure could not be recorded. Housekeeping continues the rollback.");
    if (!isRecorded) return lostOwnership(owner, failed, job);
  }
  const left: string[] = [];
  const undone = async (name: string, work: Parameters<typeof job.step>[1]): Promise<void> => {
    if ((await orNull(job.step(`undo ${name}`, async (attempt, deps) => ({ done: await work(attempt, deps) })))) === null) left.push(name);
  };
  for (const service of SERVICES.toReversed()) await undone(service, async (_attempt, deps) => deregisterProject(deps, owner, service));
  await undone("database", async (_attempt, deps) => destroyDatabase(deps, owner));
  // The row is deleted last, because housekeeping needs it to continue the rollback.
  if (left.length === 0) await undone("project", async (_attempt, deps) => removeProject(deps, owner));
  else left.push("project");
  job.log.warn("Rolled back", { project_id, left });
  if (left.length > 0) return failed("rollback_incomplete", left, `Not rolled back yet: ${left.join(", ")}. Housekeeping retries.`);
  if (failure === null) return { success: true, data: { project_id, outcome: "rolled_back", left } };
  return failed("rolled_back", [], "Everything was rolled back.");
}

/** The last step may have succeeded without a response. Otherwise another job is provisioning. */
async function lostOwnership(
  owner: ProvisioningOwner,
  failed: (outcome: string, left: readonly string[], error: string) => JobExecutionResult,
  job: JobContext,
): Promise<JobExecutionResult> {
  const now = await job.step("look again", async (_attempt, { db }) => beginProvisioning(db, owner));
  if (now === "done") return { success: true, data: { project_id: owner.projectId, outcome: "provisioned", steps: {} } };
  return failed("taken_over", [], "Another job has taken over this project.");
}
