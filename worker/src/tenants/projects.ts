/** Projects: the tenants, from their creation to their end. */
import { Problem } from "../errors.ts";
import type { Deps } from "../deps.ts";
import { randomBase62 } from "../lib/base62.ts";
import { isoSeconds } from "../quota/window.ts";
import { findOrganization } from "../store/organizations.ts";
import { addProject, changeProject, findProject } from "../store/projects.ts";
import type { Lifecycle, ProjectView } from "../store/projects.ts";
import { shownReason } from "./admission.ts";
import type { CapValues, SomeCaps } from "./caps.ts";
import { withDefaults } from "./caps.ts";
import { changing, newOperation } from "./changing.ts";
import type { Actor } from "./changing.ts";
import { newKey } from "./keys.ts";
import type { KeyInput, ShownKey } from "./keys.ts";

type Store = Pick<Deps, "db" | "clock">;

export interface ProjectInput {
  readonly id?: string | undefined;
  readonly organizationId: string;
  readonly name: string;
  readonly ownerId: string | null;
  readonly region: string | null;
  readonly caps: SomeCaps;
  /** Its part of the provider's day; null: unlimited. */
  readonly callsPerDay: number | null;
  readonly key: KeyInput;
}

export interface CreatedProject {
  readonly project: ProjectView;
  /** With the key itself: only here, and never again. */
  readonly key: ShownKey;
}

const ID_LENGTH = 12;

export const projectSubject = (id: string): string => `project:${id}`;

/** What the audit log says of a project. */
const facts = (row: Pick<ProjectView, "name" | "owner_id" | "region" | "lifecycle" | "calls_per_day">) => ({
  name: row.name,
  owner_id: row.owner_id,
  region: row.region,
  lifecycle: row.lifecycle,
  calls_per_day: row.calls_per_day,
});

/** Every project has a row for each cap. */
export const capValues = ({ caps }: Pick<ProjectView, "caps">): CapValues =>
  Object.fromEntries(caps.map(({ cap_type, value }) => [cap_type, value])) as unknown as CapValues;

/** With its caps and first key, in one transaction. Throws `conflict` where the id is taken, `unprocessable` where nobody can own it. */
export async function createProject(
  deps: Pick<Deps, "db" | "clock" | "config">,
  input: ProjectInput,
  actor: Actor,
): Promise<CreatedProject> {
  const { db, clock } = deps;
  const now = clock();
  const id = input.id ?? `proj_${randomBase62(ID_LENGTH)}`;
  const row = {
    id,
    organization_id: input.organizationId,
    name: input.name,
    owner_id: input.ownerId,
    region: input.region,
    calls_per_day: input.callsPerDay,
    caps: withDefaults(input.caps),
  };
  const key = await newKey(deps, input.key);
  const after = { ...facts({ ...row, lifecycle: "ACTIVE" }), organization_id: row.organization_id, caps: row.caps, key_id: key.row.id };
  const note = { action: "project.create", subject: projectSubject(id), projectId: id, before: null, after };
  const project = await addProject(db, row, key.row, newOperation(actor, now), [note, key.noteFor(id)]);
  if (!project) throw await notAdded(deps, id, input.organizationId);
  return { project, key: key.shown(id, now) };
}

async function notAdded({ db, clock }: Store, id: string, organizationId: string): Promise<Problem> {
  if (await findProject(db, id, clock())) return new Problem("conflict", `The project ${JSON.stringify(id)} exists already.`);
  return noOwner({ db, clock }, organizationId);
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

/** A project that is there to be changed. Throws `not_found`, and `conflict` where it was deleted. */
export async function changeableProject(store: Store, id: string): Promise<ProjectView> {
  const project = await getProject(store, id);
  if (project.lifecycle === "DELETED") throw new Problem("conflict", `The project ${JSON.stringify(id)} was deleted.`);
  return project;
}

export interface ProjectPatch {
  readonly name?: string | undefined;
  readonly ownerId?: string | null | undefined;
  readonly region?: string | null | undefined;
  readonly lifecycle?: Lifecycle | undefined;
  readonly callsPerDay?: number | null | undefined;
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
      calls_per_day: chosen(patch.callsPerDay, seen.calls_per_day),
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
    upstream_share: { calls_per_day: row.calls_per_day },
    created_at: isoSeconds(row.created_at),
    updated_at: isoSeconds(row.updated_at),
  };
}
