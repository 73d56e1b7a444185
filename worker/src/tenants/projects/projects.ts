/** Projects: the tenants, from their creation to their end. */
import { Problem } from "../../errors.ts";
import type { Deps } from "../../deps.ts";
import type { EnqueueOptions } from "../../jobs/job-requests.ts";
import { jobId } from "../../jobs/job-id.ts";
import { randomBase62 } from "../../lib/base62.ts";
import { errorFields, log } from "../../lib/log.ts";
import { isoSeconds } from "../../lib/time.ts";
import { findKey } from "../../store/keys/api-keys.ts";
import type { ApiKeyView } from "../../store/keys/api-keys.ts";
import { findJob } from "../../store/jobs/jobs.ts";
import type { JobStatus } from "../../store/jobs/jobs.ts";
import { CAP_TYPES } from "../../store/limits/meters.ts";
import { findOrganization } from "../../store/billing/organizations.ts";
import { addProject, changeProject, findProject, shareModeOf } from "../../store/projects/projects.ts";
import type { Lifecycle, NewProject, ProjectRow, ProjectView } from "../../store/projects/projects.ts";
import { shownReason } from "../limits/admission.ts";
import type { CapValues, SomeCaps } from "../limits/caps.ts";
import { withDefaults } from "../limits/caps.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { newKey } from "../keys/keys.ts";
import type { KeyInput } from "../keys/keys.ts";
import { provisioningJson } from "../provisioning/status.ts";
import { notReady } from "../limits/refusals.ts";

type Store = Pick<Deps, "db" | "clock">;

/** A number where it is fixed, and only there. */
export type ProjectShare = Pick<ProjectRow, "calls_per_day" | "share_mode">;

export interface ProjectInput {
  readonly id?: string | undefined;
  readonly organizationId: string;
  readonly name: string;
  readonly ownerId: string | null;
  readonly region: string | null;
  readonly caps: SomeCaps;
  /** Its share of the provider's limit. */
  readonly share: ProjectShare;
  readonly key: KeyInput;
  /** Whose content its database is to have. */
  readonly restoredFrom?: string | undefined;
}

export interface CreatedProject {
  /** False: by the same request before. */
  readonly created: boolean;
  readonly project: ProjectView;
  /** With the key itself: only where it was created, and never again. */
  readonly key: ApiKeyView & { readonly key: string | null };
  /** Status null: the index of jobs does not know it (yet, or any more). */
  readonly job: { readonly id: string; readonly status: JobStatus | null };
}

/** Three tries of every service take so long. */
const UNDONE_AFTER_SECONDS = 60;

const ID_LENGTH = 12;

export const projectSubject = (id: string): string => `project:${id}`;

/** What the audit log says of a project. */
const facts = (row: Pick<ProjectView, "name" | "owner_id" | "region" | "lifecycle" | "calls_per_day" | "share_mode">) => ({
  name: row.name,
  owner_id: row.owner_id,
  region: row.region,
  lifecycle: row.lifecycle,
  calls_per_day: row.calls_per_day,
  share_mode: shareModeOf(row),
});

/** Every project has a row for each cap. */
export const capValues = ({ caps }: Pick<ProjectView, "caps">): CapValues =>
  Object.fromEntries(caps.map(({ cap_type, value }) => [cap_type, value])) as unknown as CapValues;

/** Who asks for a job, for its log lines and its trace. */
type Asking = Pick<EnqueueOptions, "requestId" | "traceparent">;

/**
 * With its caps and first key, in one transaction; a job makes the rest, and until it has, the key opens nothing. The same again under
 * the same id answers with what the first one made. Throws `conflict` where the id is taken, `unprocessable` where nobody can own it.
 */
export async function createProject(
  deps: Pick<Deps, "db" | "clock" | "config" | "jobs">,
  input: ProjectInput,
  actor: Actor,
  asking: Asking,
): Promise<CreatedProject> {
  const { db, clock } = deps;
  const now = clock();
  const id = input.id ?? `proj_${randomBase62(ID_LENGTH)}`;
  const operation = newOperation(actor, now);
  const job = { requestedBy: actor.actor, idempotencyKey: operation.id };
  const row = {
    id,
    organization_id: input.organizationId,
    name: input.name,
    owner_id: input.ownerId,
    region: input.region,
    ...input.share,
    caps: withDefaults(input.caps),
    restored: input.restoredFrom !== undefined,
    provisioning: { asked: askedFor(input), jobId: await jobId(job.requestedBy, "provision_project", job.idempotencyKey) },
  };
  const key = await newKey(deps, input.key);
  const after = { ...facts({ ...row, lifecycle: "ACTIVE" }), organization_id: row.organization_id, caps: row.caps, key_id: key.row.id };
  const note = { action: "project.create", subject: projectSubject(id), projectId: id, before: null, after };
  const project = await addProject(db, row, key.row, operation, [note, key.noteFor(id)]);
  if (!project) return createdBefore(deps, id, row);
  const asked = { projectId: id, projectName: row.name, ownerId: row.owner_id, region: row.region };
  // The project is there, and its key is shown only now: if the job is not asked for, housekeeping will.
  const enqueued = await deps.jobs.enqueueProvisionProjectJob(asked, { ...asking, ...job }).catch((error: unknown) => {
    log.error("A project's provisioning was not asked for; housekeeping will", { project_id: id, ...errorFields(error) });
    return null;
  });
  return { created: true, project, key: key.shown(id, now), job: { id: row.provisioning.jobId, status: enqueued?.job.status ?? null } };
}

/** What was asked for, so that the same again is known: no secret stands in it. */
function askedFor({ organizationId, name, ownerId, region, caps, share, key, restoredFrom }: ProjectInput): string {
  const { name: keyName, mode, scopes, expiresAt } = key;
  const sorted = CAP_TYPES.map((type) => withDefaults(caps)[type]);
  // As the releases before wrote it, where null was all that could be said without a number.
  const callsPerDay = share.share_mode === "unlimited" ? share.share_mode : share.calls_per_day;
  const asked = [organizationId, name, ownerId, region, sorted, callsPerDay, keyName, mode, [...scopes].toSorted(), expiresAt];
  return JSON.stringify(restoredFrom === undefined ? asked : [...asked, restoredFrom]);
}

/** Whether the project was made by this request, which may leave its owner and its name to what they were. Of an old one nobody knows. */
export function wasAskedFor(
  { provisioned }: Pick<ProjectView, "provisioned">,
  input: Omit<ProjectInput, "organizationId" | "name"> & { readonly organizationId: string | null; readonly name: string | null },
): boolean {
  if (provisioned === null) return true;
  const [organizationId, name] = JSON.parse(provisioned.asked) as [string, string];
  return askedFor({ ...input, organizationId: input.organizationId ?? organizationId, name: input.name ?? name }) === provisioned.asked;
}

/** The id is taken: by the same request, or by another one. */
async function createdBefore(deps: Store, id: string, row: NewProject): Promise<CreatedProject> {
  const project = await findProject(deps.db, id, deps.clock());
  if (!project) {
    await needOwner(deps, row.organization_id);
    throw new Problem("conflict", `The project ${JSON.stringify(id)} was undone at this moment. Try again.`, { retryAfterSeconds: 1 });
  }
  const { provisioned } = project;
  needNotUndone(project);
  const key = provisioned?.asked === row.provisioning.asked ? await findKey(deps.db, id, provisioned.key_id) : null;
  if (provisioned === null || key === null || project.lifecycle === "DELETED") {
    throw new Problem("conflict", `The project ${JSON.stringify(id)} exists already.`);
  }
  const job = await findJob(deps.db, provisioned.job_id);
  return { created: false, project, key: { ...key, key: null }, job: { id: provisioned.job_id, status: job?.status ?? null } };
}

/** Throws `conflict` for a project that is being undone: nothing can be made of it any more. */
export function needNotUndone({ id, provisioning, provisioned }: ProjectView): void {
  if (provisioning !== "failed") return;
  const detail = `The project ${JSON.stringify(id)} could not be provisioned, and is being undone. Its id is free as soon as that is done.`;
  throw new Problem("conflict", detail, { members: { job_id: provisioned?.job_id }, retryAfterSeconds: UNDONE_AFTER_SECONDS });
}

async function noOwner({ db, clock }: Store, organizationId: string): Promise<Problem> {
  const organization = await findOrganization(db, organizationId, clock());
  const why = organization ? "it is archived" : "there is none";
  return new Problem("unprocessable", `organization_id: ${JSON.stringify(organizationId)} cannot own a project: ${why}.`);
}

/** Throws `not_found`. */
export async function getProject({ db, clock }: Store, id: string): Promise<ProjectView> {
  const found = await findProject(db, id, clock());
  if (!found) throw new Problem("not_found", `There is no project ${JSON.stringify(id)}.`);
  return found;
}

/** Throws `not_found`, and `project_not_ready` until it is provisioned. */
export async function readyProject(store: Store, id: string): Promise<ProjectView> {
  const project = await getProject(store, id);
  if (project.provisioning !== "done") throw notReady(id, project.provisioning === "failed");
  return project;
}

/** A project that is there to be changed. Throws `not_found`, and `conflict` where it was deleted. */
export async function changeableProject(store: Store, id: string): Promise<ProjectView> {
  const project = await getProject(store, id);
  needNotDeleted(project);
  return project;
}

export function needNotDeleted({ id, lifecycle }: ProjectView): void {
  if (lifecycle === "DELETED") throw new Problem("conflict", `The project ${JSON.stringify(id)} was deleted.`);
}

export interface ProjectPatch {
  readonly name?: string | undefined;
  readonly ownerId?: string | null | undefined;
  readonly region?: string | null | undefined;
  readonly lifecycle?: Lifecycle | undefined;
  readonly share?: ProjectShare | undefined;
}

const ACTIONS: Readonly<Record<Lifecycle, string>> = { ACTIVE: "project.restore", ARCHIVED: "project.archive", DELETED: "project.delete" };

const chosen = <Value>(given: Value | undefined, otherwise: Value): Value => (given === undefined ? otherwise : given);

/** A change to what is already so is none, and leaves no trace. Throws `conflict` where it is to be active and is suspended. */
export async function patchProject(store: Store, id: string, patch: ProjectPatch, actor: Actor): Promise<ProjectView> {
  const { db, clock } = store;
  await changing(async () => {
    const seen = await getProject(store, id);
    if (seen.lifecycle === "DELETED") {
      // Deleting twice answers the same; everything else comes too late.
      if (patch.lifecycle === "DELETED") return true;
      throw new Problem("conflict", `The project ${JSON.stringify(id)} was deleted.`);
    }
    if (patch.lifecycle === "ACTIVE" && seen.status === "SUSPENDED") throw stillSuspended(seen);
    const change = {
      name: chosen(patch.name, seen.name),
      owner_id: chosen(patch.ownerId, seen.owner_id),
      region: chosen(patch.region, seen.region),
      lifecycle: chosen(patch.lifecycle, seen.lifecycle),
      ...(patch.share ?? { calls_per_day: seen.calls_per_day, share_mode: seen.share_mode }),
    };
    const [before, after] = [facts(seen), facts(change)];
    if (JSON.stringify(before) === JSON.stringify(after)) return true;
    const action = change.lifecycle === seen.lifecycle ? "project.change" : ACTIONS[change.lifecycle];
    const note = { action, subject: projectSubject(id), projectId: id, before, after };
    if (await changeProject(db, seen, change, newOperation(actor, clock()), note)) return true;
    if (change.lifecycle === "ACTIVE" && seen.lifecycle !== "ACTIVE") await needOwner(store, seen.organization_id);
    return null;
  });
  return getProject(store, id);
}

/** It is active already: what stops it are its reasons, which are lifted one by one. */
function stillSuspended({ id, suspensions }: ProjectView): Problem {
  const reasons = suspensions.map(shownReason);
  const told = reasons.map(({ reason }) => reason).join(", ");
  const detail = `The project ${JSON.stringify(id)} is suspended: ${told}. Lift that with POST /api/projects/${id}/reactivate.`;
  return new Problem("conflict", detail, { members: { reasons } });
}

async function needOwner(store: Store, organizationId: string): Promise<void> {
  const organization = await findOrganization(store.db, organizationId, store.clock());
  if (organization?.status !== "ACTIVE") throw await noOwner(store, organizationId);
}

/** As the API shows it. */
export function projectJson(row: ProjectView) {
  return {
    id: row.id,
    organization_id: row.organization_id,
    name: row.name,
    owner_id: row.owner_id,
    region: row.region,
    status: row.status,
    reasons: row.suspensions.map(shownReason),
    caps: capValues(row),
    upstream_share: { calls_per_day: row.calls_per_day, share_mode: shareModeOf(row) },
    provisioning: provisioningJson(row),
    created_at: isoSeconds(row.created_at),
    updated_at: isoSeconds(row.updated_at),
  };
}
