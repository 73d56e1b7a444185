/** Events of a project, and the audit log. */
import { z } from "@hono/zod-openapi";
import { ofProject, projectId, time } from "../http/fields.ts";
import { createRouter } from "../http/index.ts";
import { pageBySeq, pageOnly, pageQuery } from "../http/paging.ts";
import { isoSeconds } from "../lib/time.ts";
import { listAudit } from "../store/changes.ts";
import { EVENT_TYPES, listEvents } from "../store/events.ts";
import { existingProject } from "./acting.ts";
import { admin, onePage, operations, projectItself } from "./operation.ts";

export const changeRoutes = createRouter();
const byProject = operations(changeRoutes, "Usage", projectItself("read"));
const byAdmin = operations(changeRoutes, "Audit", admin);

const event = z.object({
  id: z.string().describe("Derived from the content, so that no event exists twice"),
  type: z.enum(EVENT_TYPES),
  at: time,
  data: z.unknown(),
});

byProject("get", "/projects/{id}/events", {
  summary: "List events of a project: warnings, suspensions, reactivations, disabled webhooks",
  request: { params: ofProject, query: pageOnly },
  responses: { 200: onePage({ events: z.array(event) }) },
}).handle(async (c) => {
  const { id, db } = await existingProject(c, c.req.valid("param"));
  const { items, next_cursor } = await pageBySeq(
    c.req.valid("query"),
    async (slice) => listEvents(db, id, slice),
    ({ id, type, created_at, data }) => ({ id, type, at: isoSeconds(created_at), data: JSON.parse(data) as unknown }),
  );
  return c.json({ events: items, next_cursor }, 200);
});

const auditEntry = z
  .object({
    at: time,
    actor: z.string().describe("`admin`, `key:<id>` or the job"),
    action: z.string(),
    subject: z.string(),
    project_id: z.string().nullable(),
    operation: z.string().describe("The same for all changes of one request"),
    before: z.unknown(),
    after: z.unknown(),
  })
  .openapi("AuditEntry");

byAdmin("get", "/audit", {
  summary: "List changes with their actor and the values before and after",
  request: {
    query: z.object({
      project_id: projectId.optional().describe("Only changes of this project"),
      subject: z.string().max(100).optional().describe("Only changes of this subject").openapi({ example: "project:proj_reading_list" }),
      ...pageQuery,
    }),
  },
  responses: { 200: onePage({ entries: z.array(auditEntry) }) },
}).handle(async (c) => {
  const { project_id = null, subject = null, ...query } = c.req.valid("query");
  const { db } = c.get("deps");
  const { items, next_cursor } = await pageBySeq(
    query,
    async (slice) => listAudit(db, { projectId: project_id, subject, ...slice }),
    ({ at, actor, action, subject, project_id, operation, before, after }) => {
      const [was, is] = [JSON.parse(before) as unknown, JSON.parse(after) as unknown];
      return { at: isoSeconds(at), actor, action, subject, project_id, operation, before: was, after: is };
    },
  );
  return c.json({ entries: items, next_cursor }, 200);
});
