/** Restores a backup into a new project. Only for the administrator. */
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
        "completed: the content hashes are equal. failed: the database is empty again, unless `error` says otherwise. Send the same request to retry",
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
      "Id of the new project, chosen by you. The same request returns the same restore. A different request gets 409",
    ),
    organization_id: organizationId.optional().describe("Owner of the new project. Default: the owner of the original project"),
    name: name.optional().describe("Default: the name of the original project"),
    ...newProject,
  })
  .openapi({ example: { project_id: "proj_reading_list_copy", name: "Reading list, as of yesterday" } });

const restoring = z
  .object({
    restore,
    project,
    api_key: newApiKey.optional().describe("Only in the response that created the project"),
  })
  .openapi("Restoring");

byAdmin("post", "/projects/{id}/backups/{backup_id}/restore", {
  summary: "Restore a backup into a new project",
  description:
    "Creates the project with its caps and first key. A job fills its database. Writes are refused until the content hashes were compared. Existing projects are refused, so nothing is overwritten. Send the same request again after a failure.",
  request: { params: ofBackup, body: jsonBody(restoreBody) },
  responses: { 202: answer("The project was created, its database follows", restoring, location(WHERE)) },
  problems: ["conflict", "unprocessable"],
}).handle(async (c) => {
  const { id, backup_id } = c.req.valid("param");
  const body = c.req.valid("json");
  if (body.project_id === id)
    throw new Problem("conflict", "`project_id` must be a new project. A backup cannot be restored into its own project.");
  const project = { organizationId: body.organization_id ?? null, name: body.name ?? null, ...newProjectInput(body) };
  const request = { id: body.project_id, project, requestId: c.get("requestId") };
  const started = await startRestore(c.get("deps"), id, backup_id, request, BY_ADMIN);
  c.header("Location", `/api/projects/${body.project_id}/restore`);
  const key = started.key === null ? {} : { api_key: { ...keyJson(started.key), key: started.key.key } };
  return c.json({ restore: restoreJson(started.restore), project: projectJson(started.project), ...key }, 202);
});

byProject("get", "/projects/{id}/restore", {
  summary: "Get the restore of a project",
  request: { params: ofProject },
  responses: { 200: answer("The restore", restore) },
}).handle(async (c) => c.json(restoreJson(await getRestore(c.get("deps"), c.req.valid("param").id)), 200));
