/** Projects. Mostly for the administrator. */
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
  "The same request created this project before. Its first key was only in that response. If you lost it, create another key with POST /api/projects/{id}/keys.";

byAdmin("post", "/projects", {
  summary: "Create a project with its caps and first API key",
  description:
    "Only this response contains the key. It works when the job `provision_project` has created the database and registered the project with auth, realtime and storage. Until then, all routes except reading the project return 503 `project_not_ready` with `Retry-After`. `provisioning` shows the progress. If provisioning fails, the project, its key and its id are removed again. The job and the audit log hold the reason. The same request with the same `id` returns 200 with the project and job, without the key. Another request with this id gets 409. Missing caps get their defaults.",
  request: {
    body: jsonBody(
      z
        .strictObject({
          id: projectId.optional().describe("Chosen by you, otherwise generated"),
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
    200: answer("Already created by the same request", z.object({ project, api_key: shownApiKey, job: jobLink, note: z.string() })),
  },
  problems: ["conflict", "unprocessable"],
}).handle(async (c) => {
  const body = c.req.valid("json");
  const input = { id: body.id, organizationId: body.organization_id, name: body.name, ...newProjectInput(body) };
  const { project: row, key, job } = await createProject(c.get("deps"), input, BY_ADMIN, askingFor(c));
  const response = { project: projectJson(row), job: linkTo(job) };
  if (key.key === null) return c.json({ ...response, api_key: { ...keyJson(key), key: null }, note: CREATED_BEFORE }, 200);
  c.header("Location", `/api/projects/${row.id}`);
  return c.json({ ...response, api_key: { ...keyJson(key), key: key.key } }, 201);
});

byAdmin("get", "/projects", {
  summary: "List projects",
  request: {
    query: z.object({
      organization_id: organizationId.optional().describe("Only projects of this organization"),
      status: z.enum(PROJECT_STATUSES).optional().describe("Default: all except deleted projects"),
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
  summary: "Get a project",
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
            .describe("ACTIVE restores an archived project with its keys. A suspended project gets 409. Use /reactivate instead"),
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
  description: "An archived project can only be read, and can be restored. The keys of a deleted project never work again. Idempotent.",
  request: {
    params: ofProject,
    query: z.object({ permanent: z.enum(["true", "false"]).default("false").describe("true: delete irrevocably") }),
  },
  responses: asItIsNow,
  problems: ["conflict"],
}).handle(async (c) => {
  const lifecycle = c.req.valid("query").permanent === "true" ? "DELETED" : "ARCHIVED";
  return c.json(projectJson(await patchProject(c.get("deps"), c.req.valid("param").id, { lifecycle }, BY_ADMIN)), 200);
});

byAdmin("put", "/projects/{id}/caps", {
  summary: "Set caps",
  description: "Other caps stay unchanged. Raising a cap ends its suspension before the response.",
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
