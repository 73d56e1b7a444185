/** Webhooks and their deliveries, as the OpenAPI document shows them. */
import { z } from "@hono/zod-openapi";
import { EVENT_TYPES } from "../../store/events.ts";
import { DELIVERY_REASONS, DELIVERY_STATUSES } from "../../store/webhooks/deliveries.ts";
import { STATUS_REASONS, WEBHOOK_STATUSES } from "../../store/webhooks/webhooks.ts";
import { MAX_URL_CHARACTERS } from "../../webhooks/address.ts";
import { instant, projectId, time } from "../projects/schemas.ts";

export const webhookId = z
  .string()
  .regex(/^wh_[0-9A-Za-z]{20}$/u, "expected wh_ and 20 letters and digits")
  .describe("Of a webhook")
  .openapi({ example: "wh_3kTMd9Qw8ZbXv5RnLcY2" });

const deliveryId = z
  .string()
  .regex(/^dlv_[0-9a-f]{32}$/u, "expected dlv_ and 32 hexadecimal digits")
  .describe("Of a delivery")
  .openapi({ example: "dlv_5f0c0b1a7d1e4a6b8c9d0e1f2a3b4c5d" });

export const ofProject = z.object({ id: projectId });
export const ofWebhook = z.object({ id: projectId, webhook_id: webhookId });
export const ofDelivery = z.object({ id: projectId, delivery_id: deliveryId });

const url = z
  .string()
  .min(1)
  .max(MAX_URL_CHARACTERS)
  .describe("https, at an address that everybody can reach, on any port; no user name or password in it. Redirects are not followed");

const description = z.string().trim().max(500).describe("For people");

const events = z.array(z.enum(EVENT_TYPES)).min(1).nullable().describe("Which types of event it is told of; null: all, also those to come");

export const webhookBody = z.strictObject({ url, description: description.default(""), events: events.default(null) }).openapi({
  example: {
    url: "https://example.com/hooks/quota",
    description: "The shop's own alarms",
    events: ["quota.warning", "project.suspended", "project.reactivated"],
  },
});

export const webhookPatch = z
  .strictObject({
    url: url.optional(),
    description: description.optional(),
    events: events.optional(),
    enabled: z
      .boolean()
      .optional()
      .describe(
        "true: one that is not enabled is sent a signed test first, and only a 2xx enables it; 422 otherwise. false: nothing is sent",
      ),
  })
  .openapi({ example: { description: "The shop's own alarms, day and night" } });

const webhookFields = {
  id: z.string(),
  project_id: z.string(),
  url: z.string(),
  description: z.string(),
  events: z.array(z.string()).nullable().describe("null: all"),
  status: z.enum(WEBHOOK_STATUSES).describe("probation: its test is on its way. Only one that is enabled is sent events"),
  status_reason: z
    .enum(STATUS_REASONS)
    .nullable()
    .describe("failures: five deliveries in a row were given up. gone: it answered 410. null while it is enabled"),
  status_since: time,
  failures: z.int().describe("Deliveries given up since the last one that arrived; at 5 it is disabled"),
  previous_secret_until: time.nullable().describe("Until when the secret before signs too; a time gone by: it does not any more"),
  created_at: time,
  updated_at: time,
};

export const webhook = z.object(webhookFields).openapi("Webhook");

export const newWebhook = webhook
  .extend({ secret: z.string().describe("`whsec_` and base64, with which messages are verified: only in this answer, and never again") })
  .openapi("NewWebhook");

export const webhookDetail = webhook
  .extend({
    replayable: z
      .object({
        deliveries: z.int().describe("At most 1,000 are counted"),
        since: time.nullable().describe("When the first of them was to be told"),
      })
      .describe("What it never got, and POST …/replay sends once more"),
  })
  .openapi("WebhookDetail");

const deliveryFields = {
  id: z.string(),
  webhook_id: z.string(),
  message_id: z.string().describe("The header `webhook-id`: the same on every try, and for every webhook that is told of an event"),
  event_id: z.string().nullable().describe("null: a test, or a job that was asked for by hand"),
  type: z.string(),
  is_test: z.boolean(),
  status: z.enum(DELIVERY_STATUSES).describe("failed: its tries are used up, or none would help. skipped: nobody was asked"),
  reason: z.enum(DELIVERY_REASONS).nullable().describe("Why it failed or was skipped"),
  run: z.int().describe("1, and one more for each replay"),
  tries: z.int().describe("Of this run"),
  next_try_at: time.nullable(),
  job_id: z.string().nullable().describe("The job that is at it, or was"),
  created_at: time,
  ended_at: time.nullable(),
};

export const delivery = z.object(deliveryFields).openapi("WebhookDelivery");

export const deliveryDetail = delivery
  .extend({
    payload: z.unknown().describe("What is sent"),
    attempts: z
      .array(
        z.object({
          run: z.int(),
          attempt: z.int(),
          at: time,
          duration_ms: z.int(),
          status_code: z.int().nullable().describe("null: no answer came"),
          error: z.string().nullable(),
          response: z.string().nullable().describe("The first 20 KB of the answer"),
        }),
      )
      .describe("The last 50 tries, the oldest of them first"),
  })
  .openapi("WebhookDeliveryDetail");

export const deliveryQuery = {
  status: z.enum(DELIVERY_STATUSES).optional().describe("Only those that are so now"),
  webhook_id: webhookId.optional().describe("Only those of this webhook"),
};

export const replayBody = z
  .strictObject({ since: instant.describe("Those that were to be told from then on") })
  .openapi({ example: { since: "2025-12-30T12:00:00Z" } });

export const rotateBody = z
  .strictObject({ immediate: z.boolean().default(false).describe("The secret leaked: it signs no more from now on") })
  .default({ immediate: false })
  .openapi({ example: { immediate: false } });
