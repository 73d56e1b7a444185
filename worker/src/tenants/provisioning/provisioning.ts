/**
 * The steps that provision a new project and roll it back. Each is idempotent, and does nothing if the job no longer owns the project's
 * creation.
 */
import type { Deps } from "../../deps.ts";
import { StepFailed } from "../../jobs/failure.ts";
import type { Service } from "../../env.ts";
import { findProject } from "../../store/projects/projects.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import {
  beginRegistration,
  finishProvisioning,
  recordDatabaseDestroyed,
  deleteRegistration,
  recordDatabase,
  recordRegistration,
  listRegistrations,
  removeFailedProject,
} from "../../store/provisioning/provisionings.ts";
import type { ProvisioningOwner } from "../../store/provisioning/provisionings.ts";
import { findRestore } from "../../store/backups/restores.ts";
import { regionOf } from "../../tenant-database/index.ts";
import { importOf } from "../backups/load.ts";
import { releaseFailedRestore } from "../backups/restore.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";

/** Our part of every project's database, by schema version. The tables belong to the project, so the first version is empty. */
const SCHEMA: readonly (readonly string[])[] = [[]];

/** Another job took over the creation, because the index shows this job as ended. This one must stop. */
function assertOwner(isOwner: boolean): void {
  if (!isOwner) throw new StepFailed("Another job has taken this project over.");
}

const byJob = ({ jobId }: ProvisioningOwner): Actor => ({ actor: `job:${jobId}`, key: null });

async function readProject({ db, clock }: Pick<Deps, "db" | "clock">, { projectId }: ProvisioningOwner): Promise<ProjectView> {
  const project = await findProject(db, projectId, clock());
  if (!project) throw new StepFailed(`Project ${JSON.stringify(projectId)} no longer exists.`);
  return project;
}

/** Creates the project's database with our schema. Returns the schema version. */
export async function createDatabase(deps: Pick<Deps, "db" | "clock" | "tenantDatabases">, owner: ProvisioningOwner): Promise<number> {
  const { db, clock, tenantDatabases } = deps;
  const project = await readProject(deps, owner);
  assertOwner(project.provisioning === "running" && project.provisioned?.job_id === owner.jobId);
  await tenantDatabases.create(project.id, regionOf(project.region));
  // No caller may write to a database that a backup will fill.
  const restore = await findRestore(db, project.id);
  if (restore?.status === "running") await reserveForImport(deps, project.id, importOf(restore.backup_id));
  else await applySchema(deps, project.id);
  assertOwner(await recordDatabase(db, owner, clock()));
  return SCHEMA.length;
}

async function reserveForImport({ tenantDatabases }: Pick<Deps, "tenantDatabases">, projectId: string, id: string): Promise<void> {
  const answer = await tenantDatabases.call(projectId, async (database) => database.beginImport(id));
  if (answer.result !== "ready") throw new Error("detail" in answer ? answer.detail : answer.result);
}

async function applySchema({ tenantDatabases }: Pick<Deps, "tenantDatabases">, projectId: string): Promise<void> {
  for (const [index, statements] of SCHEMA.entries()) {
    const answer = await tenantDatabases.call(projectId, async (database) => database.migrate(index + 1, statements));
    if (answer.result === "migrated" || answer.result === "already") continue;
    throw new Error(
      `Schema version ${index + 1} was not applied to the project's database: ${"message" in answer ? answer.message : answer.result}`,
    );
  }
}

/** Adds a row, and sends a POST if the service is configured. The row comes first, so that a rollback covers the request in any case. */
export async function registerProject(
  deps: Pick<Deps, "db" | "clock" | "services">,
  owner: ProvisioningOwner,
  service: Service,
): Promise<"registered" | "local"> {
  const { db, clock, services } = deps;
  const { id: projectId, name, region, owner_id: ownerId } = await readProject(deps, owner);
  assertOwner(await beginRegistration(db, owner, service));
  const idempotencyKey = `${owner.jobId}-${service}`;
  const { status, reference } = await services.register(service, { projectId, name, region, ownerId, idempotencyKey });
  assertOwner(await recordRegistration(db, owner, { service, status, reference }, clock()));
  return status;
}

/** Completes the provisioning. From now on the project's keys work. */
export async function completeProvisioning(deps: Deps, owner: ProvisioningOwner): Promise<void> {
  await changing(async () => {
    const project = await readProject(deps, owner);
    if (project.provisioning === "done") return true;
    assertOwner(project.provisioning === "running" && project.provisioned?.job_id === owner.jobId);
    const [before, after] = [{ provisioning: project.provisioning }, { provisioning: "done" }];
    const note = { action: "project.provision", subject: `project:${project.id}`, projectId: project.id, before, after };
    return (await finishProvisioning(deps.db, project, owner.jobId, newOperation(byJob(owner), deps.clock()), note)) || null;
  });
  await releaseFailedRestore(deps, owner.projectId);
}

/** Deletes the project from a service that may know it. */
export async function deregisterProject(
  { db, services }: Pick<Deps, "db" | "services">,
  owner: ProvisioningOwner,
  service: Service,
): Promise<void> {
  const known = (await listRegistrations(db, owner)).find((row) => row.service === service);
  if (!known) return;
  if (known.status !== "local") await services.deregister(service, owner.projectId);
  assertOwner(await deleteRegistration(db, owner, service));
}

export async function destroyDatabase(
  { db, tenantDatabases }: Pick<Deps, "db" | "tenantDatabases">,
  owner: ProvisioningOwner,
): Promise<void> {
  // The record comes first, because the project may have been rolled back and created again.
  assertOwner(await recordDatabaseDestroyed(db, owner));
  await tenantDatabases.call(owner.projectId, async (database) => database.destroy());
}

/** Removes the project and its keys. The audit log keeps its fields and the reason. */
export async function removeProject(deps: Pick<Deps, "db" | "clock">, owner: ProvisioningOwner): Promise<void> {
  const { db, clock } = deps;
  await changing(async () => {
    const project = await findProject(db, owner.projectId, clock());
    // Removed by an earlier attempt, or created again by another job.
    if (!project || project.provisioned?.job_id !== owner.jobId) return true;
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
    return (await removeFailedProject(db, project, owner.jobId, newOperation(byJob(owner), clock()), note)) || null;
  });
}
