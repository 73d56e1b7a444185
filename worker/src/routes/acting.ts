/** Who it is that a project's own things are changed by, and the project as they are decided on. */
import type { AppContext } from "../http/index.ts";
import type { ProjectView } from "../store/projects/projects.ts";
import { BY_ADMIN, byKey } from "../tenants/changing.ts";
import type { Actor } from "../tenants/changing.ts";
import { changeableProject, getProject } from "../tenants/projects/projects.ts";

export function actorOf(c: AppContext): Actor {
  const principal = c.get("principal");
  return principal.kind === "project" ? byKey(principal.keyId) : BY_ADMIN;
}

/** The request that asks for a job. */
export const askingFor = (c: AppContext) => ({ requestId: c.get("requestId"), traceparent: c.get("deps").trace.traceparent });

export const projectReader = (c: AppContext, id: string) => async (): Promise<ProjectView> => changeableProject(c.get("deps"), id);

/** What a list of a project's own things is read with. Throws `not_found` where there is no such project. */
export async function existingProject(c: AppContext, { id }: { readonly id: string }) {
  const deps = c.get("deps");
  await getProject(deps, id);
  return { id, db: deps.db, now: deps.clock() };
}
