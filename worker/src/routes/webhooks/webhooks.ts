/** A project's webhooks: for the administrator, and for a key of the project that may manage it. */
import { z } from "@hono/zod-openapi";
import { instant, ofProject, projectId, time, webhookId } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { pageByTime, pageOnly } from "../../http/paging.ts";
import { EVENT_TYPES } from "../../store/events.ts";
import { replayableOf } from "../../store/webhooks/deliveries.ts";
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
  .describe("https, at an address that everybody can reach, on any port; no user name or password in it. Redirects are not followed");

const description = z.string().trim().max(500).describe("For people");

const events = z.array(z.enum(EVENT_TYPES)).min(1).nullable().describe("Which types of event it is told of; null: all, also those to come");

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
        "true: one that is not enabled is sent a signed test first, and only a 2xx enables it; 422 otherwise. false: nothing is sent",
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
  })
  .openapi("Webhook");

const newWebhook = webhook
  .extend({ secret: z.string().describe("`whsec_` and base64, with which messages are verified: only in this answer, and never again") })
  .openapi("NewWebhook");

const webhookDetail = webhook
  .extend({
    replayable: z
      .object({
        deliveries: z.int().describe("At most 1,000 are counted"),
        since: time.nullable().describe("When the first of them was to be told"),
      })
      .describe("What it never got, and POST …/replay sends once more"),
  })
  .openapi("WebhookDetail");

const replayBody = z
  .strictObject({ since: instant.describe("Those that were to be told from then on") })
  .openapi({ example: { since: "2025-12-30T12:00:00Z" } });

const rotateBody = z
  .strictObject({ immediate: z.boolean().default(false).describe("The secret leaked: it signs no more from now on") })
  .default({ immediate: false })
  .openapi({ example: { immediate: false } });

/** Of what sends a test. */
const TESTING = ["conflict", "pace_exceeded", "project_suspended"] as const;

/** What is counted of what a webhook never got. */
const MAX_REPLAYABLE = 1_000;

operation("post", "/projects/{id}/webhooks", {
  summary: "Make a webhook",
  description:
    "From now on it is told of the project's events, as [Standard Webhooks](https://www.standardwebhooks.com) says: verify each message with the secret, which is in this answer and never again. A project has at most 20: 409. An address that not everybody can reach is refused: 422.",
  request: { params: ofProject, body: jsonBody(webhookBody) },
  responses: { 201: answer("Made", newWebhook, location()) },
  problems: ["conflict", "project_suspended", "unprocessable"],
}).handle(async (c) => {
  const { id } = c.req.valid("param");
  const made = await createWebhook(c.get("deps"), projectReader(c, id), c.req.valid("json"), ownHost(c), actorOf(c));
  c.header("Location", `/api/projects/${id}/webhooks/${made.id}`);
  return c.json({ ...webhookJson(made), secret: made.secret }, 201);
});

operation("get", "/projects/{id}/webhooks", {
  summary: "The project's webhooks, the newest first",
  request: { params: ofProject, query: pageOnly },
  responses: { 200: onePage({ webhooks: z.array(webhook) }) },
}).handle(async (c) => {
  const { id, db } = await existingProject(c, c.req.valid("param"));
  const { items, next_cursor } = await pageByTime(c.req.valid("query"), async (slice) => listWebhooks(db, id, slice), webhookJson);
  return c.json({ webhooks: items, next_cursor }, 200);
});

operation("get", "/projects/{id}/webhooks/{webhook_id}", {
  summary: "One webhook, and what it never got",
  request: { params: ofWebhook },
  responses: { 200: answer("As it is now", webhookDetail) },
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  return c.json(await detailed(c, await getWebhook(c.get("deps"), id, webhook_id)), 200);
});

operation("patch", "/projects/{id}/webhooks/{webhook_id}", {
  summary: "Change a webhook, or switch it off or on",
  description:
    "`enabled: true` sends a signed test first and waits for it, at most 15 s. Where it is not answered with 2xx the webhook stays disabled, and the rest of the change stays: 422 with `webhook` and `delivery_id`. Once enabled, `replayable` says what it missed.",
  request: { params: ofWebhook, body: jsonBody(webhookPatch) },
  responses: { 200: answer("As it is now", webhookDetail) },
  problems: ["conflict", ...TESTING, "unprocessable"],
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const changed = await patchWebhook(c.get("deps"), projectReader(c, id), webhook_id, c.req.valid("json"), ownHost(c), actorOf(c));
  return c.json(await detailed(c, changed), 200);
});

operation("delete", "/projects/{id}/webhooks/{webhook_id}", {
  summary: "Delete a webhook",
  description: "Nothing more is sent to it. What was sent stays to be read.",
  request: { params: ofWebhook },
  responses: { 200: answer("As it was", webhook) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  return c.json(webhookJson(await removeWebhook(c.get("deps"), projectReader(c, id), webhook_id, actorOf(c))), 200);
});

operation("post", "/projects/{id}/webhooks/{webhook_id}/test", {
  summary: "Send a test, and wait for what comes back",
  description:
    "One signed message of the type `webhook.test`, at once and only once, also to a webhook that is disabled. Takes at most 15 s. At most ten a minute. While the project is suspended for abuse, its own keys send none.",
  request: { params: ofWebhook },
  responses: { 200: answer("What came of it", deliveryDetail) },
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
    "The new secret is in this answer, and never again. For 24 hours messages carry two signatures, the new one first. Meanwhile there is no third: 409, unless `immediate`.",
  request: { params: ofWebhook, body: optionalBody(rotateBody) },
  responses: { 200: answer("Rotated", newWebhook) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const rotated = await rotateSecret(c.get("deps"), projectReader(c, id), webhook_id, c.req.valid("json"), actorOf(c));
  return c.json({ ...webhookJson(rotated), secret: rotated.secret }, 200);
});

operation("post", "/projects/{id}/webhooks/{webhook_id}/replay", {
  summary: "Send once more what a webhook never got",
  description:
    "All that failed or was skipped since then, the oldest first, under the same `webhook-id`; tests are left out. At most 1,000 a request.",
  request: { params: ofWebhook, body: jsonBody(replayBody) },
  responses: {
    202: answer("On their way", z.object({ replayed: z.int(), more: z.boolean().describe("Whether there may be more: ask again") })),
  },
  problems: ["conflict", "project_suspended"],
}).handle(async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const since = Date.parse(c.req.valid("json").since);
  return c.json(await replaySince(c.get("deps"), projectReader(c, id), webhook_id, since, actorOf(c)), 202);
});

/** The address that the request came to: nobody's webhook. */
const ownHost = (c: AppContext): string => new URL(c.req.url).host;

async function detailed(c: AppContext, row: WebhookRow) {
  return { ...webhookJson(row), replayable: replayJson(await replayableOf(c.get("deps").db, row.id, MAX_REPLAYABLE)) };
}
