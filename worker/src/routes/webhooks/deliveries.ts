/** Deliveries to a project's webhooks. */
import { z } from "@hono/zod-openapi";
import { ofProject, projectId, time, webhookId } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { pageBySeq, pageQuery } from "../../http/paging.ts";
import { DELIVERY_REASONS, DELIVERY_STATUSES, listDeliveries } from "../../store/webhooks/deliveries.ts";
import { deliveryWithAttempts, replayDelivery } from "../../tenants/webhooks/replay.ts";
import { deliveryDetailJson, deliveryJson } from "../../tenants/webhooks/views.ts";
import { actorOf, existingProject, projectReader } from "../acting.ts";
import { answer, onePage, operations, projectItself } from "../operation.ts";

export const webhookDeliveryRoutes = createRouter();
const operation = operations(webhookDeliveryRoutes, "Webhooks", projectItself("admin"));

const deliveryId = z
  .string()
  .regex(/^dlv_[0-9a-f]{32}$/u, "must be dlv_ and 32 hexadecimal digits")
  .describe("Id of a delivery")
  .openapi({ example: "dlv_5f0c0b1a7d1e4a6b8c9d0e1f2a3b4c5d" });

const ofDelivery = z.object({ id: projectId, delivery_id: deliveryId });

const delivery = z
  .object({
    id: z.string(),
    webhook_id: z.string(),
    message_id: z.string().describe("The header `webhook-id`, the same for all attempts and for all webhooks of an event"),
    event_id: z.string().nullable().describe("null: a test or a manual job"),
    type: z.string(),
    is_test: z.boolean(),
    status: z.enum(DELIVERY_STATUSES).describe("failed: all attempts failed, or a retry cannot help. skipped: no request was sent"),
    reason: z.enum(DELIVERY_REASONS).nullable().describe("Reason for failed and skipped deliveries"),
    run: z.int().describe("1 for the first delivery, one more for each replay"),
    tries: z.int().describe("Attempts of this run"),
    next_try_at: time.nullable(),
    job_id: z.string().nullable().describe("Latest job of the delivery"),
    created_at: time,
    ended_at: time.nullable(),
  })
  .openapi("WebhookDelivery");

export const deliveryDetail = delivery
  .extend({
    payload: z.unknown().describe("Body of the message"),
    attempts: z
      .array(
        z.object({
          run: z.int(),
          attempt: z.int(),
          at: time,
          duration_ms: z.int(),
          status_code: z.int().nullable().describe("null: no response"),
          error: z.string().nullable(),
          response: z.string().nullable().describe("The first 20 KB of the response"),
        }),
      )
      .describe("The last 50 attempts, oldest first"),
  })
  .openapi("WebhookDeliveryDetail");

operation("get", "/projects/{id}/webhooks/deliveries", {
  summary: "List deliveries to a project's webhooks",
  description: "Kept for 30 days.",
  request: {
    params: ofProject,
    query: z.object({
      status: z.enum(DELIVERY_STATUSES).optional().describe("Only deliveries with this status"),
      webhook_id: webhookId.optional().describe("Only deliveries to this webhook"),
      ...pageQuery,
    }),
  },
  responses: { 200: onePage({ deliveries: z.array(delivery) }) },
}).handle(async (c) => {
  const { status = null, webhook_id = null, ...query } = c.req.valid("query");
  const { id, db } = await existingProject(c, c.req.valid("param"));
  const filter = { projectId: id, webhookId: webhook_id, status };
  const { items, next_cursor } = await pageBySeq(query, async (slice) => listDeliveries(db, { ...filter, ...slice }), deliveryJson);
  return c.json({ deliveries: items, next_cursor }, 200);
});

operation("get", "/projects/{id}/webhooks/deliveries/{delivery_id}", {
  summary: "Get a delivery with its last 50 attempts",
  request: { params: ofDelivery },
  responses: { 200: answer("The delivery", deliveryDetail) },
}).handle(async (c) => {
  const { id, delivery_id } = c.req.valid("param");
  const { row, attempts } = await deliveryWithAttempts(c.get("deps"), id, delivery_id);
  return c.json(deliveryDetailJson(row, attempts), 200);
});

operation("post", "/projects/{id}/webhooks/deliveries/{delivery_id}/replay", {
  summary: "Replay a delivery",
  description: "Sends the message again with the same `webhook-id`. A delivery in progress is not sent twice.",
  request: { params: ofDelivery },
  responses: { 202: answer("The delivery", delivery) },
  problems: ["conflict", "project_suspended"],
}).handle(async (c) => {
  const { id, delivery_id } = c.req.valid("param");
  return c.json(deliveryJson(await replayDelivery(c.get("deps"), projectReader(c, id), delivery_id, actorOf(c))), 202);
});
