/** What happened to a project that its owner is told, and who changed what. */
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
  id: z.string().describe("Says what it is about: none is written twice"),
  type: z.enum(EVENT_TYPES),
  at: time,
  data: z.unknown(),
});

byProject("get", "/projects/{id}/events", {
  summary: "What happened to a project that its owner is told: warnings, suspensions, reactivations, disabled webhooks; the newest first",
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
    actor: z.string().describe("`admin`, `key:<id>`, or the job that did it"),
    action: z.string(),
    subject: z.string(),
    project_id: z.string().nullable(),
    operation: z.string().describe("One for all that a request changed"),
    before: z.unknown(),
    after: z.unknown(),
  })
  .openapi("AuditEntry");

byAdmin("get", "/audit", {
  summary: "What was changed, by whom, from what to what; the newest first",
  request: {
    query: z.object({
      project_id: projectId.optional().describe("Only what was changed of this project"),
      subject: z.string().max(100).optional().describe("Only what was changed of this").openapi({ example: "project:proj_reading_list" }),
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
