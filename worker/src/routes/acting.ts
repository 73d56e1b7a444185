/** The actor of a change, and the project that it changes. */
import type { AppContext } from "../http/index.ts";
import type { ProjectView } from "../store/projects/projects.ts";
import { BY_ADMIN, byKey } from "../tenants/changing.ts";
import type { Actor } from "../tenants/changing.ts";
import { changeableProject, getProject } from "../tenants/projects/projects.ts";

export function actorOf(c: AppContext): Actor {
  const principal = c.get("principal");
  if (principal.kind !== "project") return BY_ADMIN;
  return byKey({ id: principal.keyId, scopes: principal.scopes, expiresAt: principal.keyExpiresAt });
}

/** The requester of a job. */
export const askingFor = (c: AppContext) => ({ requestId: c.get("requestId"), traceparent: c.get("deps").trace.traceparent });

export const projectReader = (c: AppContext, id: string) => async (): Promise<ProjectView> => changeableProject(c.get("deps"), id);

/** Input of lists that belong to a project. Throws `not_found` if the project does not exist. */
export async function existingProject(c: AppContext, { id }: { readonly id: string }) {
  const deps = c.get("deps");
  await getProject(deps, id);
  return { id, db: deps.db, now: deps.clock() };
}
