/**
 * What makes a new project ready, and what undoes it, step by step. Each may run twice, and does nothing for a job that does not hold the
 * project's creation any more.
 */
import type { Deps } from "../../deps.ts";
import { StepFailed } from "../../jobs/failure.ts";
import type { Service } from "../../env.ts";
import { findProject } from "../../store/projects/projects.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import {
  beginRegistration,
  finishProvisioning,
  forgetDatabase,
  forgetRegistration,
  noteDatabase,
  noteRegistration,
  registrationsOf,
  removeFailedProject,
} from "../../store/provisioning/provisionings.ts";
import type { Held } from "../../store/provisioning/provisionings.ts";
import { findRestore } from "../../store/backups/restores.ts";
import { regionOf } from "../../tenant-database/index.ts";
import { importOf } from "../backups/load.ts";
import { openIfNotRestored } from "../backups/restore.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";

/** What we put into every project's database, version by version. Its tables are the project's, so the first one is empty. */
const SCHEMA: readonly (readonly string[])[] = [[]];

/** Another job took the creation over, because this one had ended by the index: nothing more is to be done here. */
function needHeld(held: boolean): void {
  if (!held) throw new StepFailed("Another job has taken this project over.");
}

const byJob = ({ jobId }: Held): Actor => ({ actor: `job:${jobId}`, tenant: false });

async function projectOf({ db, clock }: Pick<Deps, "db" | "clock">, { projectId }: Held): Promise<ProjectView> {
  const project = await findProject(db, projectId, clock());
  if (!project) throw new StepFailed(`There is no project ${JSON.stringify(projectId)} any more.`);
  return project;
}

/** Its database with our schema. Returns the schema's version. */
export async function makeDatabase(deps: Pick<Deps, "db" | "clock" | "tenantDatabases">, held: Held): Promise<number> {
  const { db, clock, tenantDatabases } = deps;
  const project = await projectOf(deps, held);
  needHeld(project.provisioning === "running" && project.provisioned?.job_id === held.jobId);
  await tenantDatabases.create(project.id, regionOf(project.region));
  // What is to be filled from a backup is nobody's to write to before that is done.
  const restore = await findRestore(db, project.id);
  if (restore?.status === "running") await reserveForImport(deps, project.id, importOf(restore.backup_id));
  else await takeSchema(deps, project.id);
  needHeld(await noteDatabase(db, held, clock()));
  return SCHEMA.length;
}

async function reserveForImport({ tenantDatabases }: Pick<Deps, "tenantDatabases">, projectId: string, id: string): Promise<void> {
  const answer = await tenantDatabases.call(projectId, async (database) => database.beginImport(id));
  if (answer.result !== "ready") throw new Error("detail" in answer ? answer.detail : answer.result);
}

async function takeSchema({ tenantDatabases }: Pick<Deps, "tenantDatabases">, projectId: string): Promise<void> {
  for (const [index, statements] of SCHEMA.entries()) {
    const answer = await tenantDatabases.call(projectId, async (database) => database.migrate(index + 1, statements));
    if (answer.result === "migrated" || answer.result === "already") continue;
    throw new Error(
      `The project's database did not take schema version ${index + 1}: ${"message" in answer ? answer.message : answer.result}`,
    );
  }
}

/** A row, and a POST where the service is configured. The row comes first: whatever happens then is known to be undone. */
export async function registerProject(
  deps: Pick<Deps, "db" | "clock" | "services">,
  held: Held,
  service: Service,
): Promise<"registered" | "local"> {
  const { db, clock, services } = deps;
  const { id: projectId, name, region, owner_id: ownerId } = await projectOf(deps, held);
  needHeld(await beginRegistration(db, held, service));
  const idempotencyKey = `${held.jobId}-${service}`;
  const { status, reference } = await services.register(service, { projectId, name, region, ownerId, idempotencyKey });
  needHeld(await noteRegistration(db, held, { service, status, reference }, clock()));
  return status;
}

/** From now on its keys work. */
export async function makeReady(deps: Deps, held: Held): Promise<void> {
  await changing(async () => {
    const project = await projectOf(deps, held);
    if (project.provisioning === "done") return true;
    needHeld(project.provisioning === "running" && project.provisioned?.job_id === held.jobId);
    const [before, after] = [{ provisioning: project.provisioning }, { provisioning: "done" }];
    const note = { action: "project.provision", subject: `project:${project.id}`, projectId: project.id, before, after };
    return (await finishProvisioning(deps.db, project, held.jobId, newOperation(byJob(held), deps.clock()), note)) || null;
  });
  await openIfNotRestored(deps, held.projectId);
}

/** Makes a service forget it that may know it. */
export async function deregisterProject({ db, services }: Pick<Deps, "db" | "services">, held: Held, service: Service): Promise<void> {
  const known = (await registrationsOf(db, held)).find((row) => row.service === service);
  if (!known) return;
  if (known.status !== "local") await services.deregister(service, held.projectId);
  needHeld(await forgetRegistration(db, held, service));
}

export async function destroyDatabase({ db, tenantDatabases }: Pick<Deps, "db" | "tenantDatabases">, held: Held): Promise<void> {
  // Asked first: the project may have been undone and created again since.
  needHeld(await forgetDatabase(db, held));
  await tenantDatabases.call(held.projectId, async (database) => database.destroy());
}

/** The project itself, with its keys. What it was, and why it is gone, stands in the audit log. */
export async function removeProject(deps: Pick<Deps, "db" | "clock">, held: Held): Promise<void> {
  const { db, clock } = deps;
  await changing(async () => {
    const project = await findProject(db, held.projectId, clock());
    // Gone by an earlier try; or created again since, which is no affair of this job.
    if (!project || project.provisioned?.job_id !== held.jobId) return true;
    const { name, owner_id, region, organization_id, provisioned } = project;
    const before = { name, owner_id, region, organization_id, key_id: provisioned.key_id };
    const after = { failed_step: provisioned.failed_step, error: provisioned.error };
    const note = {
      action: "project.provisioning_failed",
      subject: `project:${project.id}`,
      projectId: project.id,
      before,
      after: { removed: true, ...after },
    };
    return (await removeFailedProject(db, project, held.jobId, newOperation(byJob(held), clock()), note)) || null;
  });
}
