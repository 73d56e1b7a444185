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
  const held = { projectId: project_id, jobId: rootId(job.id) };
  job.log.info(`Starting: project ${project_id}`);
  const beginning = await job.step("begin", async (_attempt, { db }) => beginProvisioning(db, held));
  switch (beginning) {
    case "go":
      return provision(held, job);
    case "undo":
      return undo(held, null, job);
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

async function provision(held: ProvisioningOwner, job: JobContext): Promise<JobExecutionResult> {
  const steps: Record<string, unknown> = {};
  let step: ProvisioningStep = "database";
  try {
    const version = await job.step(step, async (_attempt, deps) => createDatabase(deps, held));
    steps["database"] = { schema_version: version };
    for (const service of SERVICES) {
      step = service;
      steps[service] = await job.step(service, async (_attempt, deps) => registerProject(deps, held, service));
    }
    step = "key";
    await job.step(step, async (_attempt, deps) => completeProvisioning(deps, held));
  } catch (thrown) {
    if (!(thrown instanceof StepFailed)) throw thrown;
    return undo(held, { step, error: thrown.message }, job);
  }
  job.log.info("Done: its keys work", { project_id: held.projectId });
  return { success: true, data: { project_id: held.projectId, outcome: "provisioned", steps } };
}

/** `failure` null: provisioning failed before, and only the rollback continues. */
async function undo(held: ProvisioningOwner, failure: Failure | null, job: JobContext): Promise<JobExecutionResult> {
  const { projectId: project_id } = held;
  const reason = failure === null ? "" : `${failure.step}: ${failure.error.replace(/\.?$/u, ".")} `;
  const failed = (outcome: string, left: readonly string[], error: string): JobExecutionResult => ({
    success: false,
    data: { project_id, outcome, failed_step: failure?.step ?? null, left },
    error: `${reason}${error}`,
  });
  if (failure !== null) {
    const noted = await orNull(
      job.step("undo: write down why", async (_attempt, { db, clock }) => failProvisioning(db, held, failure, clock())),
    );
    if (noted === null)
      return failed("rollback_incomplete", ["everything"], "Recording the failure failed. Housekeeping continues the rollback.");
    if (!noted) return notHeld(held, failed, job);
  }
  const left: string[] = [];
  const undone = async (name: string, work: Parameters<typeof job.step>[1]): Promise<void> => {
    if ((await orNull(job.step(`undo ${name}`, async (attempt, deps) => ({ done: await work(attempt, deps) })))) === null) left.push(name);
  };
  for (const service of SERVICES.toReversed()) await undone(service, async (_attempt, deps) => deregisterProject(deps, held, service));
  await undone("database", async (_attempt, deps) => destroyDatabase(deps, held));
  // The project's row records the remaining rollback.
  if (left.length === 0) await undone("project", async (_attempt, deps) => removeProject(deps, held));
  else left.push("project");
  job.log.warn("Rolled back", { project_id, left });
  if (left.length > 0) return failed("rollback_incomplete", left, `Not rolled back yet: ${left.join(", ")}. Housekeeping retries.`);
  if (failure === null) return { success: true, data: { project_id, outcome: "rolled_back", left } };
  return failed("rolled_back", [], "Everything was rolled back.");
}

/** The last step may have succeeded without a response. Otherwise another job is provisioning. */
async function notHeld(
  held: ProvisioningOwner,
  failed: (outcome: string, left: readonly string[], error: string) => JobExecutionResult,
  job: JobContext,
): Promise<JobExecutionResult> {
  const now = await job.step("look again", async (_attempt, { db }) => beginProvisioning(db, held));
  if (now === "done") return { success: true, data: { project_id: held.projectId, outcome: "provisioned", steps: {} } };
  return failed("taken_over", [], "Another job has taken over this project.");
}
