/** Who it is that a project's own things are changed by, and the project as they are decided on. */
import type { AppContext } from "../http/index.ts";
import type { ProjectView } from "../store/projects/projects.ts";
import { BY_ADMIN, byKey } from "../tenants/changing.ts";
import type { Actor } from "../tenants/changing.ts";
import { changeableProject } from "../tenants/projects/projects.ts";

export function actorOf(c: AppContext): Actor {
  const principal = c.get("principal");
  return principal.kind === "project" ? byKey(principal.keyId) : BY_ADMIN;
}

export const projectReader = (c: AppContext, id: string) => async (): Promise<ProjectView> => changeableProject(c.get("deps"), id);
