/** Organisations: for the administrator. */
import { z } from "@hono/zod-openapi";
import { identifier, instant, name, searchText, time } from "../../http/fields.ts";
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
const operation = operations(organizationRoutes, "Organisations", admin);

export const organizationId = identifier.describe("Of an organisation").openapi({ example: "org_alexandria" });
const billingAnchor = instant.refine((text) => !(Date.parse(text) < 0), "must not be before 1970");

const monthlyApiCalls = z.int().min(0).max(MAX_CAP).nullable().describe("Calls of all its projects in one billing period; null: unlimited");

const organization = z
  .object({
    id: z.string(),
    name: z.string(),
    status: z.enum(["ACTIVE", "ARCHIVED"]),
    billing_anchor: time.describe("Billing periods begin whole months after it: anchored on the 31st, in February on its last day"),
    quotas: z.object({ api_calls: monthlyApiCalls }),
    period: z.object({
      index: z.int().describe("Counted from the anchor"),
      starts_at: time,
      ends_at: time.describe("Not part of the period any more"),
      api_calls: z.int().describe("Used so far"),
    }),
    created_at: time,
    updated_at: time,
  })
  .openapi("Organization");

const params = z.object({ id: organizationId });

operation("post", "/organizations", {
  summary: "Create an organisation",
  request: {
    body: jsonBody(
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
  summary: "Organisations, the newest first",
  request: {
    query: z.object({ status: z.enum(["ACTIVE", "ARCHIVED"]).optional().describe("Without it, all"), q: searchText, ...pageQuery }),
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
  adjustments: z.int().describe("Reported after the period was over: its total never changes"),
  closed_at: time.nullable(),
});

operation("get", "/organizations/{id}", {
  summary: "One organisation with its latest billing periods",
  request: { params },
  responses: { 200: answer("As it is now", organization.extend({ periods: z.array(period) })) },
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
  summary: "Change an organisation",
  description: "The billing anchor stays as it is: every period that was ever counted hangs on it.",
  request: {
    params,
    body: jsonBody(
      z
        .strictObject({
          name: name.optional(),
          quotas: z.strictObject({ api_calls: monthlyApiCalls }).optional(),
          status: z.enum(["ACTIVE", "ARCHIVED"]).optional().describe("ACTIVE brings an archived one back"),
        })
        .openapi({ example: { quotas: { api_calls: 250_000 } } }),
    ),
  },
  responses: { 200: answer("Changed; in force with the next request", organization) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id } = c.req.valid("param");
  const { name: newName, quotas, status } = c.req.valid("json");
  const deps = c.get("deps");
  const changed = await patchOrganization(deps, id, { name: newName, status, monthlyApiCalls: quotas?.api_calls }, BY_ADMIN);
  return c.json(organizationJson(changed, deps.clock()), 200);
});

operation("delete", "/organizations/{id}", {
  summary: "Archive an organisation",
  description: "Its projects must be archived or deleted first. Nothing is erased. Twice answers the same.",
  request: { params },
  responses: { 200: answer("Archived", organization) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id } = c.req.valid("param");
  const deps = c.get("deps");
  const archived = await patchOrganization(deps, id, { status: "ARCHIVED" }, BY_ADMIN);
  return c.json(organizationJson(archived, deps.clock()), 200);
});
