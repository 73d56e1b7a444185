/** Projects: for the administrator. What a project may see and do of its own stands in the other rooms. */
import { z } from "@hono/zod-openapi";
import { name, ofProject, projectId, searchText } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { pageByTime, pageQuery } from "../../http/paging.ts";
import { PROJECT_STATUSES, listProjects } from "../../store/projects/projects.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { keyJson } from "../../tenants/keys/keys.ts";
import { createProject, getProject, patchProject, projectJson } from "../../tenants/projects/projects.ts";
import { setCaps } from "../../tenants/suspension/suspension.ts";
import { askingFor } from "../acting.ts";
import { organizationId } from "../billing/organizations.ts";
import { jobLink, linkTo } from "../jobs/schemas.ts";
import { newApiKey, shownApiKey } from "../keys/keys.ts";
import { admin, answer, jsonBody, location, onePage, operations, projectItself } from "../operation.ts";
import { asItIsNow, callsPerDay, capsBody, newProject, newProjectInput, ownerId, project, region, shareIn, shareMode } from "./schemas.ts";

export const projectRoutes = createRouter();
const byAdmin = operations(projectRoutes, "Projects", admin);
const byProject = operations(projectRoutes, "Projects", projectItself("read"));

const CREATED_BEFORE =
  "This project was created by the same request before. Its first key was shown then, and never is again: where that answer was lost, make another with POST /api/projects/{id}/keys.";

byAdmin("post", "/projects", {
  summary: "Create a project with its caps and first API key",
  description:
    "The key is in this answer, and never again. It works as soon as the job `provision_project` has made the rest: the project's database, and its registration with auth, realtime and storage. Until then it opens nothing but a look at the project (503 `project_not_ready`, which has a `Retry-After`), where `provisioning` says how far it is. If that fails, everything is undone: the project, its key and its id are as if they had never been, and the job and the audit log tell why. The same request again, by its `id`, answers 200 with the same project and job, without the key; another one under this id 409. Caps that are not named have their defaults.",
  request: {
    body: jsonBody(
      z
        .strictObject({
          id: projectId.optional().describe("Yours to choose; otherwise one is made"),
          organization_id: organizationId,
          name,
          ...newProject,
        })
        .openapi({
          example: {
            id: "proj_reading_list",
            organization_id: "org_alexandria",
            name: "Reading list",
            caps: { function_invocations_per_day: 5_000 },
            calls_per_day: 500,
          },
        }),
    ),
  },
  responses: {
    201: answer("Created", z.object({ project, api_key: newApiKey, job: jobLink }), location()),
    200: answer("Created by the same request before", z.object({ project, api_key: shownApiKey, job: jobLink, note: z.string() })),
  },
  problems: ["conflict", "unprocessable"],
}).handle(async (c) => {
  const body = c.req.valid("json");
  const input = { id: body.id, organizationId: body.organization_id, name: body.name, ...newProjectInput(body) };
  const { project: row, key, job } = await createProject(c.get("deps"), input, BY_ADMIN, askingFor(c));
  const shown = { project: projectJson(row), job: linkTo(job) };
  if (key.key === null) return c.json({ ...shown, api_key: { ...keyJson(key), key: null }, note: CREATED_BEFORE }, 200);
  c.header("Location", `/api/projects/${row.id}`);
  return c.json({ ...shown, api_key: { ...keyJson(key), key: key.key } }, 201);
});

byAdmin("get", "/projects", {
  summary: "Projects, the newest first",
  request: {
    query: z.object({
      organization_id: organizationId.optional().describe("Only its projects"),
      status: z.enum(PROJECT_STATUSES).optional().describe("Without it, all but the deleted"),
      q: searchText,
      ...pageQuery,
    }),
  },
  responses: { 200: onePage({ projects: z.array(project) }) },
}).handle(async (c) => {
  const { organization_id = null, status = null, q = null, ...query } = c.req.valid("query");
  const { db, clock } = c.get("deps");
  const filter = { organizationId: organization_id, status, text: q };
  const { items, next_cursor } = await pageByTime(query, async (slice) => listProjects(db, { ...filter, ...slice }, clock()), projectJson);
  return c.json({ projects: items, next_cursor }, 200);
});

byProject("get", "/projects/{id}", {
  summary: "One project",
  request: { params: ofProject },
  responses: asItIsNow,
}).handle(async (c) => c.json(projectJson(await getProject(c.get("deps"), c.req.valid("param").id)), 200));

byAdmin("patch", "/projects/{id}", {
  summary: "Change a project",
  request: {
    params: ofProject,
    body: jsonBody(
      z
        .strictObject({
          name: name.optional(),
          owner_id: ownerId.optional(),
          region: region.optional(),
          status: z
            .enum(["ACTIVE", "ARCHIVED"])
            .optional()
            .describe("ACTIVE brings an archived project back, with its keys. A suspended one is brought back by /reactivate: 409 here"),
        })
        .openapi({ example: { name: "Reading list (beta)" } }),
    ),
  },
  responses: asItIsNow,
  problems: ["conflict", "unprocessable"],
}).handle(async (c) => {
  const { name: newName, owner_id, region: newRegion, status } = c.req.valid("json");
  const patch = { name: newName, ownerId: owner_id, region: newRegion, lifecycle: status };
  return c.json(projectJson(await patchProject(c.get("deps"), c.req.valid("param").id, patch, BY_ADMIN)), 200);
});

byAdmin("delete", "/projects/{id}", {
  summary: "Archive or delete a project",
  description:
    "Archived, it is refused everything but a look at itself, and can be brought back. Deleted, its keys never work again. Twice answers the same.",
  request: {
    params: ofProject,
    query: z.object({ permanent: z.enum(["true", "false"]).default("false").describe("true: delete, which nothing brings back") }),
  },
  responses: asItIsNow,
  problems: ["conflict"],
}).handle(async (c) => {
  const lifecycle = c.req.valid("query").permanent === "true" ? "DELETED" : "ARCHIVED";
  return c.json(projectJson(await patchProject(c.get("deps"), c.req.valid("param").id, { lifecycle }, BY_ADMIN)), 200);
});

byAdmin("put", "/projects/{id}/caps", {
  summary: "Set caps",
  description: "Caps that are not named stay. A raise lifts the suspension that it cures before the answer returns.",
  request: { params: ofProject, body: jsonBody(capsBody.openapi({ example: { db_queries_per_day: 20_000, realtime_connections: null } })) },
  responses: asItIsNow,
  problems: ["conflict"],
}).handle(async (c) => c.json(projectJson(await setCaps(c.get("deps"), c.req.valid("param").id, c.req.valid("json"), BY_ADMIN)), 200));

byAdmin("put", "/projects/{id}/upstream-share", {
  summary: "Set the project's share of the provider's limit",
  description: "`calls_per_day` alone makes it fixed. Without a number, it is a tenth of the limit, unless `share_mode` is unlimited.",
  request: {
    params: ofProject,
    body: jsonBody(
      z
        .strictObject({ calls_per_day: callsPerDay.optional(), share_mode: shareMode.optional() })
        .openapi({ example: { calls_per_day: 500 } }),
    ),
  },
  responses: asItIsNow,
  problems: ["conflict"],
}).handle(async (c) => {
  const patch = { share: shareIn(c.req.valid("json")) };
  return c.json(projectJson(await patchProject(c.get("deps"), c.req.valid("param").id, patch, BY_ADMIN)), 200);
});
