/** Webhooks of a project, for the administrator and for keys with the right scope. */
import { z } from "@hono/zod-openapi";
import { wholeSecond, ofProject, projectId, time, webhookId } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { pageByTime, pageOnly } from "../../http/paging.ts";
import { EVENT_TYPES } from "../../store/events.ts";
import { findReplayable } from "../../store/webhooks/deliveries.ts";
import { STATUS_REASONS, WEBHOOK_STATUSES, listWebhooks } from "../../store/webhooks/webhooks.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";
import { deliveryDetailJson, replayJson, webhookJson } from "../../tenants/webhooks/views.ts";
import { deliveryWithAttempts, replaySince } from "../../tenants/webhooks/replay.ts";
import { createWebhook, getWebhook, patchWebhook, removeWebhook, rotateSecret, testWebhook } from "../../tenants/webhooks/webhooks.ts";
import { MAX_URL_CHARACTERS } from "../../webhooks/address.ts";
import { actorOf, existingProject, projectReader } from "../acting.ts";
import { answer, jsonBody, location, onePage, operations, optionalBody, projectItself } from "../operation.ts";
import { deliveryDetail } from "./deliveries.ts";

export const webhookRoutes = createRouter();
const operation = operations(webhookRoutes, "Webhooks", projectItself("admin"));

const ofWebhook = z.object({ id: projectId, webhook_id: webhookId });

const url = z
  .string()
  .min(1)
  .max(MAX_URL_CHARACTERS)
  .describe("An https URL with a public host, any port, no user name and no password. Redirects are not followed");

const description = z.string().trim().max(500).describe("Shown to people");

const events = z.array(z.enum(EVENT_TYPES)).min(1).nullable().describe("Types of events to send. null: all, including future types");

const webhookBody = z.strictObject({ url, description: description.default(""), events: events.default(null) }).openapi({
  example: {
    url: "https://example.com/hooks/quota",
    description: "The shop's own alarms",
    events: ["quota.warning", "project.suspended", "project.reactivated"],
  },
});

const webhookPatch = z
  .strictObject({
    url: url.optional(),
    description: description.optional(),
    events: events.optional(),
    enabled: z
      .boolean()
      .optional()
      .describe(
        "true: sends a signed test to a disabled webhook. A 2xx response enables it, any other is 422. false: disables the webhook",
      ),
  })
  .openapi({ example: { description: "The shop's own alarms, day and night" } });

const webhook = z
  .object({
    id: z.string(),
    project_id: z.string(),
    url: z.string(),
    description: z.string(),
    events: z.array(z.string()).nullable().describe("null: all"),
    status: z.enum(WEBHOOK_STATUSES).describe("probation: its test is in progress. Only enabled webhooks receive events"),
    status_reason: z
      .enum(STATUS_REASONS)
      .nullable()
      .describe("failures: five consecutive deliveries failed. gone: it returned 410. null: enabled"),
    status_since: time,
    failures: z.int().describe("Consecutive failed deliveries. At 5 the webhook is disabled"),
    previous_secret_until: time.nullable().describe("End of the earlier secret's signatures"),
    created_at: time,
    updated_at: time,
  })
  .openapi("Webhook");

const newWebhook = webhook
  .extend({ secret: z.string().describe("`whsec_` and base64. Verifies messages. Only in this response") })
  .openapi("NewWebhook");

const webhookDetail = webhook
  .extend({
    replayable: z
      .object({
        deliveries: z.int().describe("Counted up to 1,000"),
        since: time.nullable().describe("Due time of the first one"),
      })
      .describe("Missed deliveries. POST …/replay sends them again"),
  })
  .openapi("WebhookDetail");

const replayBody = z
  .strictObject({ since: wholeSecond.describe("Replays deliveries that were due at this time or later") })
  .openapi({ example: { since: "2025-12-30T12:00:00Z" } });

const rotateBody = z
  .strictObject({ immediate: z.boolean().default(false).describe("true: the secret leaked, so its signatures end immediately") })
  .default({ immediate: false })
  .openapi({ example: { immediate: false } });

/** Problems of routes that send a test. */
const TESTING = ["conflict", "pace_exceeded", "project_suspended"] as const;

/** Maximum count of missed deliveries. */
const MAX_REPLAYABLE = 1_000;

operation("post", "/projects/{id}/webhooks", {
  summary: "Create a webhook",
  description:
    "Events of the project follow [Standard Webhooks](https://www.standardwebhooks.com). Verify each message with the secret, which only this response contains. A project has at most 20 webhooks, otherwise 409. The URL must be public, otherwise 422.",
  request: { params: ofProject, body: jsonBody(webhookBody) },
  responses: { 201: answer("Created", newWebhook, location()) },
  problems: ["conflict", "project_suspended", "unprocessable"],
}).handle(async (c) => {
  const { id } = c.req.valid("param");
  const created = await createWebhook(c.get("deps"), projectReader(c, id), c.req.valid("json"), ownHost(c), actorOf(c));
  c.header("Location", `/api/projects/${id}/webhooks/${created.id}`);
  return c.json({ ...webhookJson(created), secret: created.secret }, 201);
});

operation("get", "/projects/{id}/webhooks", {
  summary: "List webhooks of a project",
  request: { params: ofProject, query: pageOnly },
  responses: { 200: onePage({ webhooks: z.array(webhook) }) },
}).handle(async (c) => {
  const { id, db } = await existingProject(c, c.req.valid("param"));
  const { items, next_cursor } = await pageByTime(c.req.valid("query"), async (slice) => listWebhooks(db, id, slice), webhookJson);
  return c.json({ webhooks: items, next_cursor }, 200);
});

operation("get", "/projects/{id}/webhooks/{webhook_id}", {
  summary: "Get a webhook with its missed deliveries",
  request: { params: ofWebhook },
  responses: { 200: answer("The webhook", webhookDetail) },
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  return c.json(await detailed(c, await getWebhook(c.get("deps"), id, webhook_id)), 200);
});

operation("patch", "/projects/{id}/webhooks/{webhook_id}", {
  summary: "Change, enable or disable a webhook",
  description:
    "`enabled: true` first sends a signed test and waits up to 15 s. Without a 2xx response the webhook stays disabled, and you get 422 with `webhook` and `delivery_id`. Other changes are kept. When the webhook is enabled, `replayable` counts the missed deliveries.",
  request: { params: ofWebhook, body: jsonBody(webhookPatch) },
  responses: { 200: answer("The webhook", webhookDetail) },
  problems: ["conflict", ...TESTING, "unprocessable"],
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const changed = await patchWebhook(c.get("deps"), projectReader(c, id), webhook_id, c.req.valid("json"), ownHost(c), actorOf(c));
  return c.json(await detailed(c, changed), 200);
});

operation("delete", "/projects/{id}/webhooks/{webhook_id}", {
  summary: "Delete a webhook",
  description: "Sends stop. Past deliveries remain readable.",
  request: { params: ofWebhook },
  responses: { 200: answer("The deleted webhook", webhook) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  return c.json(webhookJson(await removeWebhook(c.get("deps"), projectReader(c, id), webhook_id, actorOf(c))), 200);
});

operation("post", "/projects/{id}/webhooks/{webhook_id}/test", {
  summary: "Send a test and wait for the response",
  description:
    "Sends one signed message of the type `webhook.test` immediately, even to a disabled webhook, without retries. Takes at most 15 s. At most ten per minute. While the project is suspended for abuse, its own keys cannot send tests.",
  request: { params: ofWebhook },
  responses: { 200: answer("Result of the test", deliveryDetail) },
  problems: TESTING,
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const deps = c.get("deps");
  const tested = await testWebhook(deps, projectReader(c, id), webhook_id, actorOf(c));
  const { row, attempts } = await deliveryWithAttempts(deps, id, tested.id);
  return c.json(deliveryDetailJson(row, attempts), 200);
});

operation("post", "/projects/{id}/webhooks/{webhook_id}/rotate-secret", {
  summary: "Replace the secret of a webhook",
  description:
    "Only this response contains the new secret. For 24 hours messages carry two signatures, the new one first. Another rotation in that time gets 409, unless `immediate` is true.",
  request: { params: ofWebhook, body: optionalBody(rotateBody) },
  responses: { 200: answer("Rotated", newWebhook) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const rotated = await rotateSecret(c.get("deps"), projectReader(c, id), webhook_id, c.req.valid("json"), actorOf(c));
  return c.json({ ...webhookJson(rotated), secret: rotated.secret }, 200);
});

operation("post", "/projects/{id}/webhooks/{webhook_id}/replay", {
  summary: "Replay missed deliveries of a webhook",
  description:
    "Sends failed and skipped deliveries again, oldest first, with the same `webhook-id`. Tests are excluded. At most 1,000 per request.",
  request: { params: ofWebhook, body: jsonBody(replayBody) },
  responses: {
    202: answer("Started", z.object({ replayed: z.int(), more: z.boolean().describe("true: more may exist. Send the request again") })),
  },
  problems: ["conflict", "project_suspended"],
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const since = Date.parse(c.req.valid("json").since);
  return c.json(await replaySince(c.get("deps"), projectReader(c, id), webhook_id, since, actorOf(c)), 202);
});

/** Host of this Worker. It must not be a webhook. */
const ownHost = (c: AppContext): string => new URL(c.req.url).host;

async function detailed(c: AppContext, row: WebhookRow) {
  return { ...webhookJson(row), replayable: replayJson(await findReplayable(c.get("deps").db, row.id, MAX_REPLAYABLE)) };
}
