/** Decisions about the abuse of a project, with their evidence. */
import { z } from "@hono/zod-openapi";
import { ofProject, time } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { pageBySeq, pageOnly } from "../../http/paging.ts";
import { isoSeconds } from "../../lib/time.ts";
import { ABUSE_DECISIONS, ABUSE_PATTERNS, listDetections } from "../../store/abuse/abuse.ts";
import { existingProject } from "../acting.ts";
import { onePage, operations, projectItself } from "../operation.ts";

export const projectDetectionRoutes = createRouter();
const operation = operations(projectDetectionRoutes, "Usage", projectItself("read"));

const detection = z
  .object({
    at: time,
    job_id: z.string(),
    pattern_type: z.enum(ABUSE_PATTERNS),
    decision: z
      .enum(ABUSE_DECISIONS)
      .describe(
        "reported: report only. already_suspended, not_active: nothing to suspend. normal: no abuse. insufficient: too few requests for a decision",
      ),
    why: z.string(),
    evidence: z
      .enum(["measured", "given"])
      .describe("measured: by the coordinator. given: by the requester, if the coordinator has no measurements"),
    enforce_action: z.boolean(),
    as_of: time.describe("End of the two checked windows of five minutes"),
    metrics: z.record(z.string(), z.unknown()).describe("Evidence of the decision, and numbers from the request"),
  })
  .openapi("Detection");

operation("get", "/projects/{id}/detections", {
  summary: "List decisions about the abuse of a project",
  request: { params: ofProject, query: pageOnly },
  responses: { 200: onePage({ detections: z.array(detection) }) },
}).handle(async (c) => {
  const { id, db } = await existingProject(c, c.req.valid("param"));
  const { items, next_cursor } = await pageBySeq(
    c.req.valid("query"),
    async (slice) => listDetections(db, id, slice),
    ({ at, run, pattern, decision, why, evidence, enforce, as_of, inputs }) => {
      const decided = { job_id: run, pattern_type: pattern, decision, why, evidence, enforce_action: enforce === 1 };
      return { at: isoSeconds(at), ...decided, as_of: isoSeconds(as_of), metrics: JSON.parse(inputs) as Record<string, unknown> };
    },
  );
  return c.json({ detections: items, next_cursor }, 200);
});
