/** Organisations: for the administrator. */
import { createRoute, z } from "@hono/zod-openapi";
import { adminOnly } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import { nextCursor, page, pageQuery, timeCursor, timeKey } from "../../http/paging.ts";
import { isoOrNull, isoSeconds } from "../../lib/time.ts";
import { listOrganizations } from "../../store/billing/organizations.ts";
import {
  createOrganization,
  getOrganization,
  organizationJson,
  organizationPeriods,
  patchOrganization,
} from "../../tenants/billing/organizations.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { ADMIN, COMMON_PROBLEMS, json, problems } from "../schemas.ts";
import { billingAnchor, monthlyApiCalls, name, organization, organizationId, searchText, time } from "../projects/schemas.ts";

const PROBLEMS = [...COMMON_PROBLEMS, "storage_unavailable"] as const;
const WITH_BODY = ["invalid_request", "payload_too_large", "unsupported_media_type", "conflict"] as const;

const guarded = { tags: ["Organisations"], security: ADMIN, middleware: [adminOnly] };
const params = z.object({ id: organizationId });

const postOrganization = createRoute({
  method: "post",
  path: "/organizations",
  ...guarded,
  summary: "Create an organisation",
  request: {
    body: {
      required: true,
      content: json(
        z
          .strictObject({
            id: organizationId.optional().describe("Yours to choose; otherwise one is made"),
            name,
            billing_anchor: billingAnchor
              .optional()
              .describe("Default: now, and no later. Its day, or the month's last, begins every billing period"),
            quotas: z.strictObject({ api_calls: monthlyApiCalls.default(null) }).default({ api_calls: null }),
          })
          .openapi({
            example: {
              id: "org_alexandria",
              name: "Alexandria Readers",
              billing_anchor: "2025-01-31T00:00:00Z",
              quotas: { api_calls: 100_000 },
            },
          }),
      ),
    },
  },
  responses: {
    201: { description: "Created", headers: { Location: { schema: { type: "string" } } }, content: json(organization) },
    ...problems(...PROBLEMS, ...WITH_BODY, "unprocessable"),
  },
});

const getOrganizations = createRoute({
  method: "get",
  path: "/organizations",
  ...guarded,
  summary: "Organisations, the newest first",
  request: {
    query: z.object({
      status: z.enum(["ACTIVE", "ARCHIVED"]).optional().describe("Without it, all"),
      q: searchText,
      ...pageQuery,
    }),
  },
  responses: {
    200: { description: "One page", content: json(z.object({ organizations: z.array(organization), next_cursor: nextCursor })) },
    ...problems(...PROBLEMS, "invalid_request"),
  },
});

const period = z.object({
  index: z.int(),
  starts_at: time,
  ends_at: time,
  api_calls: z.int(),
  adjustments: z.int().describe("Reported after the period was over: its total never changes"),
  closed_at: time.nullable(),
});

const getOne = createRoute({
  method: "get",
  path: "/organizations/{id}",
  ...guarded,
  summary: "One organisation with its latest billing periods",
  request: { params },
  responses: {
    200: { description: "As it is now", content: json(organization.extend({ periods: z.array(period) })) },
    ...problems(...PROBLEMS, "invalid_request", "not_found"),
  },
});

const patchOne = createRoute({
  method: "patch",
  path: "/organizations/{id}",
  ...guarded,
  summary: "Change an organisation",
  description: "The billing anchor stays as it is: every period that was ever counted hangs on it.",
  request: {
    params,
    body: {
      required: true,
      content: json(
        z
          .strictObject({
            name: name.optional(),
            quotas: z.strictObject({ api_calls: monthlyApiCalls }).optional(),
            status: z.enum(["ACTIVE", "ARCHIVED"]).optional().describe("ACTIVE brings an archived one back"),
          })
          .openapi({ example: { quotas: { api_calls: 250_000 } } }),
      ),
    },
  },
  responses: {
    200: { description: "Changed; in force with the next request", content: json(organization) },
    ...problems(...PROBLEMS, ...WITH_BODY, "not_found"),
  },
});

const deleteOne = createRoute({
  method: "delete",
  path: "/organizations/{id}",
  ...guarded,
  summary: "Archive an organisation",
  description: "Its projects must be archived or deleted first. Nothing is erased. Twice answers the same.",
  request: { params },
  responses: {
    200: { description: "Archived", content: json(organization) },
    ...problems(...PROBLEMS, "invalid_request", "not_found", "conflict"),
  },
});

export const organizationRoutes = createRouter();

organizationRoutes.openapi(postOrganization, async (c) => {
  const body = c.req.valid("json");
  const deps = c.get("deps");
  const input = {
    id: body.id,
    name: body.name,
    billingAnchor: body.billing_anchor === undefined ? undefined : Date.parse(body.billing_anchor),
    monthlyApiCalls: body.quotas.api_calls,
  };
  const created = await createOrganization(deps, input, BY_ADMIN);
  c.header("Location", `/api/organizations/${created.id}`);
  return c.json(organizationJson(created, deps.clock()), 201);
});

organizationRoutes.openapi(getOrganizations, async (c) => {
  const { status = null, q = null, limit, cursor } = c.req.valid("query");
  const { db, clock } = c.get("deps");
  const filter = { status, text: q, after: timeCursor(cursor), limit: limit + 1 };
  const { rows, next } = page(await listOrganizations(db, filter, clock()), limit, timeKey);
  return c.json({ organizations: rows.map((row) => organizationJson(row, clock())), next_cursor: next }, 200);
});

organizationRoutes.openapi(getOne, async (c) => {
  const { id } = c.req.valid("param");
  const deps = c.get("deps");
  const found = await getOrganization(deps, id);
  const periods = (await organizationPeriods(deps, id)).map((row) => ({
    index: row.period_index,
    starts_at: isoSeconds(row.starts_at),
    ends_at: isoSeconds(row.ends_at),
    api_calls: row.api_calls,
    adjustments: row.adjustments,
    closed_at: isoOrNull(row.closed_at),
  }));
  return c.json({ ...organizationJson(found, deps.clock()), periods }, 200);
});

organizationRoutes.openapi(patchOne, async (c) => {
  const { id } = c.req.valid("param");
  const { name: newName, quotas, status } = c.req.valid("json");
  const deps = c.get("deps");
  const changed = await patchOrganization(deps, id, { name: newName, status, monthlyApiCalls: quotas?.api_calls }, BY_ADMIN);
  return c.json(organizationJson(changed, deps.clock()), 200);
});

organizationRoutes.openapi(deleteOne, async (c) => {
  const { id } = c.req.valid("param");
  const deps = c.get("deps");
  const archived = await patchOrganization(deps, id, { status: "ARCHIVED" }, BY_ADMIN);
  return c.json(organizationJson(archived, deps.clock()), 200);
});
