/** Organizations. Only for the administrator. */
import { z } from "@hono/zod-openapi";
import { identifier, wholeSecond, name, searchText, time } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { pageByTime, pageQuery } from "../../http/paging.ts";
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
import { MAX_CAP } from "../../tenants/limits/caps.ts";
import { admin, answer, jsonBody, location, onePage, operations } from "../operation.ts";

export const organizationRoutes = createRouter();
const operation = operations(organizationRoutes, "Organizations", admin);

export const organizationId = identifier.describe("Id of an organization").openapi({ example: "org_alexandria" });
const billingAnchor = wholeSecond.refine((text) => !(Date.parse(text) < 0), "must not be before 1970");

const monthlyApiCalls = z.int().min(0).max(MAX_CAP).nullable().describe("Calls of all its projects in one billing period. null: unlimited");

const organization = z
  .object({
    id: z.string(),
    name: z.string(),
    status: z.enum(["ACTIVE", "ARCHIVED"]),
    billing_anchor: time.describe(
      "Billing periods begin whole months after it. A period anchored on the 31st begins on the last day of shorter months",
    ),
    quotas: z.object({ api_calls: monthlyApiCalls }),
    period: z.object({
      index: z.int().describe("Counted from the anchor"),
      starts_at: time,
      ends_at: time.describe("Exclusive end of the period"),
      api_calls: z.int().describe("Usage so far"),
    }),
    created_at: time,
    updated_at: time,
  })
  .openapi("Organization");

const params = z.object({ id: organizationId });

operation("post", "/organizations", {
  summary: "Create an organization",
  request: {
    body: jsonBody(
      z
        .strictObject({
          id: organizationId.optional().describe("Chosen by you, otherwise generated"),
          name,
          billing_anchor: billingAnchor
            .optional()
            .describe("Default: now. Must not be in the future. Every billing period begins on this day of the month, or on the last day"),
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
  responses: { 201: answer("Created", organization, location()) },
  problems: ["conflict", "unprocessable"],
}).handle(async (c) => {
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

operation("get", "/organizations", {
  summary: "List organizations",
  request: {
    query: z.object({ status: z.enum(["ACTIVE", "ARCHIVED"]).optional().describe("Default: all"), q: searchText, ...pageQuery }),
  },
  responses: { 200: onePage({ organizations: z.array(organization) }) },
}).handle(async (c) => {
  const { status = null, q = null, ...query } = c.req.valid("query");
  const { db, clock } = c.get("deps");
  const { items, next_cursor } = await pageByTime(
    query,
    async (slice) => listOrganizations(db, { status, text: q, ...slice }, clock()),
    (row) => organizationJson(row, clock()),
  );
  return c.json({ organizations: items, next_cursor }, 200);
});

const period = z.object({
  index: z.int(),
  starts_at: time,
  ends_at: time,
  api_calls: z.int(),
  adjustments: z.int().describe("Usage reported after the end of the period, whose total never changes"),
  closed_at: time.nullable(),
});

operation("get", "/organizations/{id}", {
  summary: "Get an organization with its latest billing periods",
  request: { params },
  responses: { 200: answer("The organization", organization.extend({ periods: z.array(period) })) },
}).handle(async (c) => {
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

operation("patch", "/organizations/{id}", {
  summary: "Change an organization",
  description: "The billing anchor cannot change, because all billing periods depend on it.",
  request: {
    params,
    body: jsonBody(
      z
        .strictObject({
          name: name.optional(),
          quotas: z.strictObject({ api_calls: monthlyApiCalls }).optional(),
          status: z.enum(["ACTIVE", "ARCHIVED"]).optional().describe("ACTIVE restores an archived organization"),
        })
        .openapi({ example: { quotas: { api_calls: 250_000 } } }),
    ),
  },
  responses: { 200: answer("Changed, effective with the next request", organization) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id } = c.req.valid("param");
  const { name: newName, quotas, status } = c.req.valid("json");
  const deps = c.get("deps");
  const changed = await patchOrganization(deps, id, { name: newName, status, monthlyApiCalls: quotas?.api_calls }, BY_ADMIN);
  return c.json(organizationJson(changed, deps.clock()), 200);
});

operation("delete", "/organizations/{id}", {
  summary: "Archive an organization",
  description: "Archive or delete its projects first. Nothing is erased. Idempotent.",
  request: { params },
  responses: { 200: answer("Archived", organization) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id } = c.req.valid("param");
  const deps = c.get("deps");
  const archived = await patchOrganization(deps, id, { status: "ARCHIVED" }, BY_ADMIN);
  return c.json(organizationJson(archived, deps.clock()), 200);
});
