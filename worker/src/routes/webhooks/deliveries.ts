/** What was sent to a project's webhooks, and what came back. */
import { createRoute, z } from "@hono/zod-openapi";
import { ownProject } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import { nextCursor, page, pageQuery, seqCursor, seqKey } from "../../http/paging.ts";
import { listDeliveries } from "../../store/webhooks/deliveries.ts";
import { getProject } from "../../tenants/projects/projects.ts";
import { deliveryWithAttempts, replayDelivery } from "../../tenants/webhooks/replay.ts";
import { deliveryDetailJson, deliveryJson } from "../../tenants/webhooks/views.ts";
import { actorOf, projectReader } from "../acting.ts";
import { ADMIN_OR_KEY, COMMON_PROBLEMS, json, problems } from "../schemas.ts";
import { delivery, deliveryDetail, deliveryQuery, ofDelivery, ofProject } from "./schemas.ts";

const PROBLEMS = [...COMMON_PROBLEMS, "invalid_request", "not_found", "storage_unavailable"] as const;

const guarded = { tags: ["Webhooks"], security: ADMIN_OR_KEY, middleware: [ownProject("admin")] };

const getDeliveries = createRoute({
  method: "get",
  path: "/projects/{id}/webhooks/deliveries",
  ...guarded,
  summary: "Messages to the project's webhooks, the newest first",
  description: "Kept for 30 days.",
  request: { params: ofProject, query: z.object({ ...deliveryQuery, ...pageQuery }) },
  responses: {
    200: { description: "One page", content: json(z.object({ deliveries: z.array(delivery), next_cursor: nextCursor })) },
    ...problems(...PROBLEMS),
  },
});

const getOne = createRoute({
  method: "get",
  path: "/projects/{id}/webhooks/deliveries/{delivery_id}",
  ...guarded,
  summary: "One message with its last 50 tries",
  request: { params: ofDelivery },
  responses: { 200: { description: "As it is now", content: json(deliveryDetail) }, ...problems(...PROBLEMS) },
});

const postReplay = createRoute({
  method: "post",
  path: "/projects/{id}/webhooks/deliveries/{delivery_id}/replay",
  ...guarded,
  summary: "Send a message once more",
  description: "Under the same `webhook-id`, whatever became of it before. One that is under way stays so: twice answers the same.",
  request: { params: ofDelivery },
  responses: { 202: { description: "On its way", content: json(delivery) }, ...problems(...PROBLEMS, "conflict", "project_suspended") },
});

export const webhookDeliveryRoutes = createRouter();

webhookDeliveryRoutes.openapi(getDeliveries, async (c) => {
  const { id } = c.req.valid("param");
  const { status = null, webhook_id = null, limit, cursor } = c.req.valid("query");
  const deps = c.get("deps");
  await getProject(deps, id);
  const filter = { projectId: id, webhookId: webhook_id, status, before: seqCursor(cursor), limit: limit + 1 };
  const { rows, next } = page(await listDeliveries(deps.db, filter), limit, seqKey);
  return c.json({ deliveries: rows.map(deliveryJson), next_cursor: next }, 200);
});

webhookDeliveryRoutes.openapi(getOne, async (c) => {
  const { id, delivery_id } = c.req.valid("param");
  const { row, attempts } = await deliveryWithAttempts(c.get("deps"), id, delivery_id);
  return c.json(deliveryDetailJson(row, attempts), 200);
});

webhookDeliveryRoutes.openapi(postReplay, async (c) => {
  const { id, delivery_id } = c.req.valid("param");
  return c.json(deliveryJson(await replayDelivery(c.get("deps"), projectReader(c, id), delivery_id, actorOf(c))), 202);
});
