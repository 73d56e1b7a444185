/** Restoring a backup makes a project, and is the administrator's. */
import { z } from "@hono/zod-openapi";
import { Problem } from "../../errors.ts";
import { name, ofProject, projectId, time } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { RESTORE_STATUSES } from "../../store/backups/restores.ts";
import { getRestore, restoreJson, startRestore } from "../../tenants/backups/restore.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { keyJson } from "../../tenants/keys/keys.ts";
import { projectJson } from "../../tenants/projects/projects.ts";
import { organizationId } from "../billing/organizations.ts";
import { newApiKey } from "../keys/keys.ts";
import { admin, answer, jsonBody, location, operations, projectItself } from "../operation.ts";
import { newProject, newProjectInput, project } from "../projects/schemas.ts";
import { WHERE, ofBackup } from "./backups.ts";

export const restoreRoutes = createRouter();
const byProject = operations(restoreRoutes, "Backups", projectItself("admin"));
const byAdmin = operations(restoreRoutes, "Backups", admin);

const restore = z
  .object({
    project_id: z.string().describe("The new project"),
    backup_id: z.string(),
    source_project_id: z.string(),
    status: z
      .enum(RESTORE_STATUSES)
      .describe(
        "completed: the content hashes agreed. failed: the database is empty again unless `error` says otherwise, and the same request tries again",
      ),
    attempt: z.int(),
    job_id: z.string(),
    requested_by: z.string(),
    error: z.string().nullable(),
    created_at: time,
    ended_at: time.nullable(),
  })
  .openapi("Restore");

const restoreBody = z
  .strictObject({
    project_id: projectId.describe(
      "Of the new project: yours to choose. The same request again answers with the same restore; another one is 409",
    ),
    organization_id: organizationId.optional().describe("Who owns it; without it, who owns the project that was backed up"),
    name: name.optional().describe("Without it, the name of the project that was backed up"),
    ...newProject,
  })
  .openapi({ example: { project_id: "proj_reading_list_copy", name: "Reading list, as of yesterday" } });

const restoring = z
  .object({
    restore,
    project,
    api_key: newApiKey.optional().describe("Only in the answer of the request that made the project, and never again"),
  })
  .openapi("Restoring");

byAdmin("post", "/projects/{id}/backups/{backup_id}/restore", {
  summary: "Restore a backup into a new project",
  description:
    "Makes the project with its caps and first key, and fills its database by a job; until the content hashes were compared, nobody can write to it. Nothing is ever overwritten: a project that exists already is refused. The same request after a failure tries again.",
  request: { params: ofBackup, body: jsonBody(restoreBody) },
  responses: { 202: answer("The project is there; its database follows", restoring, location(WHERE)) },
  problems: ["conflict", "unprocessable"],
}).handle(async (c) => {
  const { id, backup_id } = c.req.valid("param");
  const body = c.req.valid("json");
  if (body.project_id === id) throw new Problem("conflict", "A backup is restored into another project than its own.");
  const project = { organizationId: body.organization_id ?? null, name: body.name ?? null, ...newProjectInput(body) };
  const asked = { id: body.project_id, project, requestId: c.get("requestId") };
  const made = await startRestore(c.get("deps"), id, backup_id, asked, BY_ADMIN);
  c.header("Location", `/api/projects/${body.project_id}/restore`);
  const key = made.key === null ? {} : { api_key: { ...keyJson(made.key), key: made.key.key } };
  return c.json({ restore: restoreJson(made.restore), project: projectJson(made.project), ...key }, 202);
});

byProject("get", "/projects/{id}/restore", {
  summary: "What the project was restored from, and how that goes",
  request: { params: ofProject },
  responses: { 200: answer("As it is now", restore) },
}).handle(async (c) => c.json(restoreJson(await getRestore(c.get("deps"), c.req.valid("param").id)), 200));
