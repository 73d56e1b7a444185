/** What was decided about the abuse of a project, and from what. */
import { createRoute, z } from "@hono/zod-openapi";
import { ownProject } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import { nextCursor, page, pageQuery, seqCursor, seqKey } from "../../http/paging.ts";
import { isoSeconds } from "../../lib/time.ts";
import { ABUSE_DECISIONS, ABUSE_PATTERNS, listDetections } from "../../store/abuse/abuse.ts";
import { getProject } from "../../tenants/projects/projects.ts";
import { ADMIN_OR_KEY, COMMON_PROBLEMS, json, problems } from "../schemas.ts";
import { projectId, time } from "../projects/schemas.ts";

const detection = z
  .object({
    at: time,
    job_id: z.string(),
    pattern_type: z.enum(ABUSE_PATTERNS),
    decision: z
      .enum(ABUSE_DECISIONS)
      .describe(
        "reported: it was only to be reported. already_suspended, not_active: there was nothing to stop. normal: it is not so. insufficient: there was too little to tell",
      ),
    why: z.string(),
    evidence: z.enum(["measured", "given"]).describe("measured: by us. given: by whoever asked, for a project that we measured nothing of"),
    enforce_action: z.boolean(),
    as_of: time.describe("The end of the two windows of five minutes that were looked at"),
    metrics: z.record(z.string(), z.unknown()).describe("What it was decided from, and what was given with the question"),
  })
  .openapi("Detection");

const getDetections = createRoute({
  method: "get",
  path: "/projects/{id}/detections",
  tags: ["Usage"],
  security: ADMIN_OR_KEY,
  middleware: [ownProject("read")] as const,
  summary: "What was decided about the abuse of a project, and from what; the newest first",
  request: { params: z.object({ id: projectId }), query: z.object(pageQuery) },
  responses: {
    200: { description: "One page", content: json(z.object({ detections: z.array(detection), next_cursor: nextCursor })) },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "not_found", "storage_unavailable"),
  },
});

export const projectDetectionRoutes = createRouter();

projectDetectionRoutes.openapi(getDetections, async (c) => {
  const { id } = c.req.valid("param");
  const { limit, cursor } = c.req.valid("query");
  const deps = c.get("deps");
  await getProject(deps, id);
  const { rows, next } = page(await listDetections(deps.db, id, { before: seqCursor(cursor), limit: limit + 1 }), limit, seqKey);
  const detections = rows.map(({ at, run, pattern, decision, why, evidence, enforce, as_of, inputs }) => ({
    at: isoSeconds(at),
    job_id: run,
    pattern_type: pattern,
    decision,
    why,
    evidence,
    enforce_action: enforce === 1,
    as_of: isoSeconds(as_of),
    metrics: JSON.parse(inputs) as Record<string, unknown>,
  }));
  return c.json({ detections, next_cursor: next }, 200);
});
