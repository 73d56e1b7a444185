/** Projects, from creation to deletion. */
import { Problem } from "../../errors.ts";
import type { Deps } from "../../deps.ts";
import type { EnqueueOptions } from "../../jobs/enqueue.ts";
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
import { reasonJson } from "../limits/admission.ts";
import type { CapValues, SomeCaps } from "../limits/caps.ts";
import { withDefaults } from "../limits/caps.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { newKey } from "../keys/keys.ts";
import type { KeyInput } from "../keys/keys.ts";
import { provisioningJson } from "../provisioning/status.ts";
import { notReady } from "../limits/refusals.ts";

type Store = Pick<Deps, "db" | "clock">;

/** `calls_per_day` is a number if the mode is `fixed`, otherwise null. */
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
  /** Id of the restore that fills its database. */
  readonly restoredFrom?: string | undefined;
}

export interface CreatedProject {
  /** false: an earlier equal request created it. */
  readonly created: boolean;
  readonly project: ProjectView;
  /** Includes the secret only in the response that created it. */
  readonly key: ApiKeyView & { readonly key: string | null };
  /** Status null: the index of jobs does not contain it. */
  readonly job: { readonly id: string; readonly status: JobStatus | null };
}

/** Duration of three attempts for every service. */
const ROLLBACK_RETRY_SECONDS = 60;

const ID_LENGTH = 12;

export const projectSubject = (id: string): string => `project:${id}`;

/** Fields for the audit log. */
const facts = (row: Pick<ProjectView, "name" | "owner_id" | "region" | "lifecycle" | "calls_per_day" | "share_mode">) => ({
  name: row.name,
  owner_id: row.owner_id,
  region: row.region,
  lifecycle: row.lifecycle,
  calls_per_day: row.calls_per_day,
  share_mode: shareModeOf(row),
});

/** Every project has one row per cap. */
export const capValues = ({ caps }: Pick<ProjectView, "caps">): CapValues =>
  Object.fromEntries(caps.map(({ cap_type, value }) => [cap_type, value])) as unknown as CapValues;

/** The request that causes a job, for its log lines and its trace. */
type RequestContext = Pick<EnqueueOptions, "requestId" | "traceparent">;

/**
 * Creates a project with its caps and first key in one transaction. A job provisions it, and the key works only afterwards. Repeating the
 * request with the same id returns the existing project. Throws `conflict` if the id is taken, and `unprocessable` if the organization
 * cannot own it.
 */
export async function createProject(
  deps: Pick<Deps, "db" | "clock" | "config" | "jobs">,
  input: ProjectInput,
  actor: Actor,
  context: RequestContext,
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
    provisioning: { request: requestFingerprint(input), jobId: await jobId(job.requestedBy, "provision_project", job.idempotencyKey) },
  };
  const key = await newKey(deps, input.key);
  const after = { ...facts({ ...row, lifecycle: "ACTIVE" }), organization_id: row.organization_id, caps: row.caps, key_id: key.row.id };
  const note = { action: "project.create", subject: projectSubject(id), projectId: id, before: null, after };
  const project = await addProject(db, row, key.row, operation, [note, key.auditNote(id)]);
  if (!project) return findExisting(deps, id, row);
  const payload = { projectId: id, projectName: row.name, ownerId: row.owner_id, region: row.region };
  // The project exists, and its key is returned only now. If requesting the job fails, housekeeping requests it.
  const enqueued = await deps.jobs.enqueueProvisionProjectJob(payload, { ...context, ...job }).catch((error: unknown) => {
    log.error("Provisioning job not requested", { project_id: id, ...errorFields(error) });
    return null;
  });
  return {
    created: true,
    project,
    key: key.withSecret(id, now),
    job: { id: row.provisioning.jobId, status: enqueued?.job.status ?? null },
  };
}

/** Identifies the request, to recognize its repetition. It contains no secret. */
function requestFingerprint({ organizationId, name, ownerId, region, caps, share, key, restoredFrom }: ProjectInput): string {
  const { name: keyName, mode, scopes, expiresAt } = key;
  const sorted = CAP_TYPES.map((type) => withDefaults(caps)[type]);
  // As earlier releases wrote it: they had only null for a share without a number.
  const callsPerDay = share.share_mode === "unlimited" ? share.share_mode : share.calls_per_day;
  const fields = [organizationId, name, ownerId, region, sorted, callsPerDay, keyName, mode, [...scopes].toSorted(), expiresAt];
  return JSON.stringify(restoredFrom === undefined ? fields : [...fields, restoredFrom]);
}

/**
 * Whether this request created the project. An organization or name of null matches any. For projects older than provisioning it is
 * unknown.
 */
export function isRepetition(
  { provisioned }: Pick<ProjectView, "provisioned">,
  input: Omit<ProjectInput, "organizationId" | "name"> & { readonly organizationId: string | null; readonly name: string | null },
): boolean {
  if (provisioned === null) return true;
  const [organizationId, name] = JSON.parse(provisioned.asked) as [string, string];
  return (
    requestFingerprint({ ...input, organizationId: input.organizationId ?? organizationId, name: input.name ?? name }) === provisioned.asked
  );
}

/** The id is taken, by the same request or by another one. */
async function findExisting(deps: Store, id: string, row: NewProject): Promise<CreatedProject> {
  const project = await findProject(deps.db, id, deps.clock());
  if (!project) {
    await assertOrganizationActive(deps, row.organization_id);
    throw new Problem("conflict", `The project ${JSON.stringify(id)} was just rolled back. Try again.`, { retryAfterSeconds: 1 });
  }
  const { provisioned } = project;
  assertNotRollingBack(project);
  const key = provisioned?.asked === row.provisioning.request ? await findKey(deps.db, id, provisioned.key_id) : null;
  if (provisioned === null || key === null || project.lifecycle === "DELETED") {
    throw new Problem("conflict", `The project ${JSON.stringify(id)} already exists.`);
  }
  const job = await findJob(deps.db, provisioned.job_id);
  return { created: false, project, key: { ...key, key: null }, job: { id: provisioned.job_id, status: job?.status ?? null } };
}

/** Throws `conflict` for a project that is being rolled back, because it will be removed. */
export function assertNotRollingBack({ id, provisioning, provisioned }: ProjectView): void {
  if (provisioning !== "failed") return;
  const detail = `The project ${JSON.stringify(id)} could not be provisioned and is being rolled back. You can use its id again when the rollback is complete.`;
  throw new Problem("conflict", detail, { members: { job_id: provisioned?.job_id }, retryAfterSeconds: ROLLBACK_RETRY_SECONDS });
}

async function invalidOrganization({ db, clock }: Store, organizationId: string): Promise<Problem> {
  const organization = await findOrganization(db, organizationId, clock());
  const why = organization ? "it is archived" : "it does not exist";
  return new Problem("unprocessable", `The organization ${JSON.stringify(organizationId)} cannot own a project, because ${why}.`);
}

/** Throws `not_found`. */
export async function getProject({ db, clock }: Store, id: string): Promise<ProjectView> {
  const found = await findProject(db, id, clock());
  if (!found) throw new Problem("not_found", `Project ${JSON.stringify(id)} not found.`);
  return found;
}

/** Throws `not_found`, and `project_not_ready` until it is provisioned. */
export async function readyProject(store: Store, id: string): Promise<ProjectView> {
  const project = await getProject(store, id);
  if (project.provisioning !== "done") throw notReady(id, project.provisioning === "failed");
  return project;
}

/** A project that may be changed. Throws `not_found`, and `conflict` if it was deleted. */
export async function changeableProject(store: Store, id: string): Promise<ProjectView> {
  const project = await getProject(store, id);
  assertNotDeleted(project);
  return project;
}

export function assertNotDeleted({ id, lifecycle }: ProjectView): void {
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

/** A change that changes nothing leaves no audit entry. Throws `conflict` if a suspended project should become active. */
export async function patchProject(store: Store, id: string, patch: ProjectPatch, actor: Actor): Promise<ProjectView> {
  const { db, clock } = store;
  await changing(async () => {
    const seen = await getProject(store, id);
    if (seen.lifecycle === "DELETED") {
      // Deleting is idempotent. No other change is possible after it.
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
    if (change.lifecycle === "ACTIVE" && seen.lifecycle !== "ACTIVE") await assertOrganizationActive(store, seen.organization_id);
    return null;
  });
  return getProject(store, id);
}

/** It is active already. Its suspensions are lifted separately. */
function stillSuspended({ id, suspensions }: ProjectView): Problem {
  const reasons = suspensions.map(reasonJson);
  const list = reasons.map(({ reason }) => reason).join(", ");
  const detail = `The project ${JSON.stringify(id)} is suspended: ${list}. Reactivate it with POST /api/projects/${id}/reactivate.`;
  return new Problem("conflict", detail, { members: { reasons } });
}

async function assertOrganizationActive(store: Store, organizationId: string): Promise<void> {
  const organization = await findOrganization(store.db, organizationId, store.clock());
  if (organization?.status !== "ACTIVE") throw await invalidOrganization(store, organizationId);
}

/** A project as the API returns it. */
export function projectJson(row: ProjectView) {
  return {
    id: row.id,
    organization_id: row.organization_id,
    name: row.name,
    owner_id: row.owner_id,
    region: row.region,
    status: row.status,
    reasons: row.suspensions.map(reasonJson),
    caps: capValues(row),
    upstream_share: { calls_per_day: row.calls_per_day, share_mode: shareModeOf(row) },
    provisioning: provisioningJson(row),
    created_at: isoSeconds(row.created_at),
    updated_at: isoSeconds(row.updated_at),
  };
}
