/** Projects: for the administrator. What a project may see and do of its own stands in project-keys.ts and project-usage.ts. */
import { createRoute, z } from "@hono/zod-openapi";
import { adminOnly, ownProject } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import { nextCursor, page, pageQuery, timeCursor, timeKey } from "../../http/paging.ts";
import { PROJECT_STATUSES, listProjects } from "../../store/projects/projects.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { keyJson } from "../../tenants/keys/keys.ts";
import { createProject, getProject, patchProject, projectJson } from "../../tenants/projects/projects.ts";
import { reactivateProject, setCaps, suspendProject } from "../../tenants/suspension/suspension.ts";
import { ADMIN, ADMIN_OR_KEY, COMMON_PROBLEMS, json, problems } from "../schemas.ts";
import {
  DEFAULT_SCOPES,
  callsPerDay,
  shareIn,
  shareMode,
  capsBody,
  jobLink,
  keyBody,
  linkTo,
  name,
  newApiKey,
  note,
  organizationId,
  ownerId,
  project,
  projectId,
  region,
  searchText,
  shownApiKey,
  suspensionReason,
} from "./schemas.ts";

const PROBLEMS = [...COMMON_PROBLEMS, "storage_unavailable"] as const;
const WITH_BODY = ["invalid_request", "payload_too_large", "unsupported_media_type", "conflict"] as const;

const guarded = { tags: ["Projects"], security: ADMIN, middleware: [adminOnly] };
const params = z.object({ id: projectId });
const asItIsNow = { 200: { description: "As it is now", content: json(project) } };
const changed = { ...asItIsNow, ...problems(...PROBLEMS, ...WITH_BODY, "not_found") };

const postProject = createRoute({
  method: "post",
  path: "/projects",
  ...guarded,
  summary: "Create a project with its caps and first API key",
  description:
    "The key is in this answer, and never again. It works as soon as the job `provision_project` has made the rest: the project's database, and its registration with auth, realtime and storage. Until then it opens nothing but a look at the project (503 `project_not_ready`, which has a `Retry-After`), where `provisioning` says how far it is. If that fails, everything is undone: the project, its key and its id are as if they had never been, and the job and the audit log tell why. The same request again, by its `id`, answers 200 with the same project and job, without the key; another one under this id 409. Caps that are not named have their defaults.",
  request: {
    body: {
      required: true,
      content: json(
        z
          .strictObject({
            id: projectId.optional().describe("Yours to choose; otherwise one is made"),
            organization_id: organizationId,
            name,
            owner_id: ownerId.default(null),
            region: region.default(null),
            caps: capsBody.default({}),
            calls_per_day: callsPerDay.default(null),
            share_mode: shareMode.optional(),
            key: keyBody.default({ name: "default", mode: "live", scopes: [...DEFAULT_SCOPES], expires_at: null }),
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
  },
  responses: {
    201: {
      description: "Created",
      headers: { Location: { schema: { type: "string" } } },
      content: json(z.object({ project, api_key: newApiKey, job: jobLink })),
    },
    200: {
      description: "Created by the same request before",
      content: json(z.object({ project, api_key: shownApiKey, job: jobLink, note: z.string() })),
    },
    ...problems(...PROBLEMS, ...WITH_BODY, "unprocessable"),
  },
});

const getProjects = createRoute({
  method: "get",
  path: "/projects",
  ...guarded,
  summary: "Projects, the newest first",
  request: {
    query: z.object({
      organization_id: organizationId.optional().describe("Only its projects"),
      status: z.enum(PROJECT_STATUSES).optional().describe("Without it, all but the deleted"),
      q: searchText,
      ...pageQuery,
    }),
  },
  responses: {
    200: { description: "One page", content: json(z.object({ projects: z.array(project), next_cursor: nextCursor })) },
    ...problems(...PROBLEMS, "invalid_request"),
  },
});

const getOne = createRoute({
  method: "get",
  path: "/projects/{id}",
  tags: ["Projects"],
  security: ADMIN_OR_KEY,
  middleware: [ownProject("read")] as const,
  summary: "One project",
  request: { params },
  responses: { ...asItIsNow, ...problems(...PROBLEMS, "invalid_request", "not_found") },
});

const patchOne = createRoute({
  method: "patch",
  path: "/projects/{id}",
  ...guarded,
  summary: "Change a project",
  request: {
    params,
    body: {
      required: true,
      content: json(
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
  },
  responses: { ...changed, ...problems(...PROBLEMS, ...WITH_BODY, "not_found", "unprocessable") },
});

const deleteOne = createRoute({
  method: "delete",
  path: "/projects/{id}",
  ...guarded,
  summary: "Archive or delete a project",
  description:
    "Archived, it is refused everything but a look at itself, and can be brought back. Deleted, its keys never work again. Twice answers the same.",
  request: {
    params,
    query: z.object({ permanent: z.enum(["true", "false"]).default("false").describe("true: delete, which nothing brings back") }),
  },
  responses: { ...asItIsNow, ...problems(...PROBLEMS, "invalid_request", "not_found", "conflict") },
});

const putCaps = createRoute({
  method: "put",
  path: "/projects/{id}/caps",
  ...guarded,
  summary: "Set caps",
  description: "Caps that are not named stay. A raise lifts the suspension that it cures before the answer returns.",
  request: {
    params,
    body: { required: true, content: json(capsBody.openapi({ example: { db_queries_per_day: 20_000, realtime_connections: null } })) },
  },
  responses: changed,
});

const putShare = createRoute({
  method: "put",
  path: "/projects/{id}/upstream-share",
  ...guarded,
  summary: "Set the project's share of the provider's limit",
  description: "`calls_per_day` alone makes it fixed. Without a number, it is a tenth of the limit, unless `share_mode` is unlimited.",
  request: {
    params,
    body: {
      required: true,
      content: json(
        z
          .strictObject({ calls_per_day: callsPerDay.optional(), share_mode: shareMode.optional() })
          .openapi({ example: { calls_per_day: 500 } }),
      ),
    },
  },
  responses: changed,
});

const postSuspend = createRoute({
  method: "post",
  path: "/projects/{id}/suspend",
  ...guarded,
  summary: "Suspend a project by hand",
  description: "Takes effect with its next request, and stays until somebody reactivates it. Twice answers the same.",
  request: {
    params,
    body: {
      required: true,
      content: json(
        z.strictObject({ reason: note.describe("Why: shown to the project") }).openapi({ example: { reason: "Invoice 4711 is overdue" } }),
      ),
    },
  },
  responses: changed,
});

const postReactivate = createRoute({
  method: "post",
  path: "/projects/{id}/reactivate",
  ...guarded,
  summary: "Reactivate a project by hand",
  description: "Takes effect with its next request. A project still over a cap is stopped again by the next sweep: raise the cap instead.",
  request: {
    params,
    body: {
      required: true,
      content: json(
        z
          .strictObject({
            reason: note.describe("Why: for the audit log, not shown to the project"),
            reasons: z.array(suspensionReason).min(1).max(20).optional().describe("Those to lift; default: all"),
          })
          .openapi({ example: { reason: "Paid", reasons: ["admin"] } }),
      ),
    },
  },
  responses: changed,
});

const CREATED_BEFORE =
  "This project was created by the same request before. Its first key was shown then, and never is again: where that answer was lost, make another with POST /api/projects/{id}/keys.";

export const projectRoutes = createRouter();

projectRoutes.openapi(postProject, async (c) => {
  const body = c.req.valid("json");
  const { name: keyName, mode, scopes, expires_at } = body.key;
  const input = {
    id: body.id,
    organizationId: body.organization_id,
    name: body.name,
    ownerId: body.owner_id,
    region: body.region,
    caps: body.caps,
    share: shareIn(body),
    key: { name: keyName, mode, scopes, expiresAt: expires_at === null ? null : Date.parse(expires_at) },
  };
  const deps = c.get("deps");
  const asking = { requestId: c.get("requestId"), traceparent: deps.trace.traceparent };
  const { project: row, key, job } = await createProject(deps, input, BY_ADMIN, asking);
  const shown = { project: projectJson(row), job: linkTo(job) };
  if (key.key === null) return c.json({ ...shown, api_key: { ...keyJson(key), key: null }, note: CREATED_BEFORE }, 200);
  c.header("Location", `/api/projects/${row.id}`);
  return c.json({ ...shown, api_key: { ...keyJson(key), key: key.key } }, 201);
});

projectRoutes.openapi(getProjects, async (c) => {
  const { organization_id = null, status = null, q = null, limit, cursor } = c.req.valid("query");
  const { db, clock } = c.get("deps");
  const filter = { organizationId: organization_id, status, text: q, after: timeCursor(cursor), limit: limit + 1 };
  const { rows, next } = page(await listProjects(db, filter, clock()), limit, timeKey);
  return c.json({ projects: rows.map(projectJson), next_cursor: next }, 200);
});

projectRoutes.openapi(getOne, async (c) => c.json(projectJson(await getProject(c.get("deps"), c.req.valid("param").id)), 200));

projectRoutes.openapi(patchOne, async (c) => {
  const { name: newName, owner_id, region: newRegion, status } = c.req.valid("json");
  const patch = { name: newName, ownerId: owner_id, region: newRegion, lifecycle: status };
  return c.json(projectJson(await patchProject(c.get("deps"), c.req.valid("param").id, patch, BY_ADMIN)), 200);
});

projectRoutes.openapi(deleteOne, async (c) => {
  const lifecycle = c.req.valid("query").permanent === "true" ? "DELETED" : "ARCHIVED";
  return c.json(projectJson(await patchProject(c.get("deps"), c.req.valid("param").id, { lifecycle }, BY_ADMIN)), 200);
});

projectRoutes.openapi(putCaps, async (c) =>
  c.json(projectJson(await setCaps(c.get("deps"), c.req.valid("param").id, c.req.valid("json"), BY_ADMIN)), 200),
);

projectRoutes.openapi(putShare, async (c) => {
  const patch = { share: shareIn(c.req.valid("json")) };
  return c.json(projectJson(await patchProject(c.get("deps"), c.req.valid("param").id, patch, BY_ADMIN)), 200);
});

projectRoutes.openapi(postSuspend, async (c) =>
  c.json(projectJson(await suspendProject(c.get("deps"), c.req.valid("param").id, c.req.valid("json").reason, BY_ADMIN)), 200),
);

projectRoutes.openapi(postReactivate, async (c) => {
  const { reason: detail, reasons = null } = c.req.valid("json");
  return c.json(projectJson(await reactivateProject(c.get("deps"), c.req.valid("param").id, { detail, reasons }, BY_ADMIN)), 200);
});
