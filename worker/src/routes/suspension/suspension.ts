/** Suspends and reactivates projects, and lists their suspensions. */
import { z } from "@hono/zod-openapi";
import { note, ofProject, time } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { pageBySeq, pageOnly } from "../../http/paging.ts";
import { isoOrNull, isoSeconds } from "../../lib/time.ts";
import { listSuspensions } from "../../store/suspension/suspensions.ts";
import type { SuspensionRow } from "../../store/suspension/suspensions.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { projectJson } from "../../tenants/projects/projects.ts";
import { reactivateProject, suspendProject } from "../../tenants/suspension/suspension.ts";
import { existingProject } from "../acting.ts";
import { admin, jsonBody, onePage, operations, projectItself } from "../operation.ts";
import { asItIsNow, reason } from "../projects/schemas.ts";

export const suspensionRoutes = createRouter();
const byAdmin = operations(suspensionRoutes, "Projects", admin);
const byProject = operations(suspensionRoutes, "Usage", projectItself("read"));

byAdmin("post", "/projects/{id}/suspend", {
  summary: "Suspend a project",
  description: "Effective with the project's next request, until an operator reactivates it. Idempotent.",
  request: {
    params: ofProject,
    body: jsonBody(
      z.strictObject({ reason: note.describe("Reason, shown to the project") }).openapi({ example: { reason: "Invoice 4711 is overdue" } }),
    ),
  },
  responses: asItIsNow,
  problems: ["conflict"],
}).handle(async (c) =>
  c.json(projectJson(await suspendProject(c.get("deps"), c.req.valid("param").id, c.req.valid("json").reason, BY_ADMIN)), 200),
);

const suspensionReason = z
  .string()
  .regex(/^(admin|abuse:[A-Z_]{1,64}|quota:[a-z_]{1,64})$/u, "must be admin, abuse:<PATTERN> or quota:<cap>")
  .openapi({ example: "admin" });

byAdmin("post", "/projects/{id}/reactivate", {
  summary: "Reactivate a project",
  description: "Effective with the project's next request. The next sweep suspends a project over its cap again. Raise the cap instead.",
  request: {
    params: ofProject,
    body: jsonBody(
      z
        .strictObject({
          reason: note.describe("Reason for the audit log, not shown to the project"),
          reasons: z.array(suspensionReason).min(1).max(20).optional().describe("Suspensions to end. Default: all"),
        })
        .openapi({ example: { reason: "Paid", reasons: ["admin"] } }),
    ),
  },
  responses: asItIsNow,
  problems: ["conflict"],
}).handle(async (c) => {
  const { reason: detail, reasons = null } = c.req.valid("json");
  return c.json(projectJson(await reactivateProject(c.get("deps"), c.req.valid("param").id, { detail, reasons }, BY_ADMIN)), 200);
});

const suspension = reason.extend({
  holds: z.boolean().describe("true: the suspension is active"),
  actor: z.string(),
  lifted_at: time.nullable().describe("null: active, or ended automatically"),
  lifted_by: z.string().nullable(),
});

byProject("get", "/projects/{id}/suspensions", {
  summary: "List suspensions of a project",
  request: { params: ofProject, query: pageOnly },
  responses: { 200: onePage({ suspensions: z.array(suspension) }) },
}).handle(async (c) => {
  const { id, db, now } = await existingProject(c, c.req.valid("param"));
  const shown = ({ reason, cap_type, detail, since, until, holds, actor, lifted_at, lifted_by }: SuspensionRow) => ({
    reason,
    ...(cap_type === null ? {} : { cap_type }),
    ...(detail === null ? {} : { detail }),
    since: isoSeconds(since),
    ...(until === null ? {} : { until: isoSeconds(until) }),
    holds: holds === 1,
    actor,
    lifted_at: isoOrNull(lifted_at),
    lifted_by,
  });
  const { items, next_cursor } = await pageBySeq(c.req.valid("query"), async (slice) => listSuspensions(db, id, slice, now), shown);
  return c.json({ suspensions: items, next_cursor }, 200);
});
