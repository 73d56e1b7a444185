/** A project's webhooks: for the administrator, and for a key of the project that may manage it. */
import { createRoute, z } from "@hono/zod-openapi";
import { ownProject } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { nextCursor, page, pageQuery, timeCursor, timeKey } from "../../http/paging.ts";
import { findReplayable } from "../../store/webhooks/deliveries.ts";
import { listWebhooks } from "../../store/webhooks/webhooks.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";
import { getProject } from "../../tenants/projects/projects.ts";
import { deliveryDetailJson, replayJson, webhookJson } from "../../tenants/webhooks/views.ts";
import { deliveryWithAttempts, replaySince } from "../../tenants/webhooks/replay.ts";
import { createWebhook, getWebhook, patchWebhook, removeWebhook, rotateSecret, testWebhook } from "../../tenants/webhooks/webhooks.ts";
import { actorOf, projectReader } from "../acting.ts";
import { ADMIN_OR_KEY, COMMON_PROBLEMS, json, problems } from "../schemas.ts";
import {
  deliveryDetail,
  newWebhook,
  ofProject,
  ofWebhook,
  replayBody,
  rotateBody,
  webhook,
  webhookBody,
  webhookDetail,
  webhookPatch,
} from "./schemas.ts";

const PROBLEMS = [...COMMON_PROBLEMS, "invalid_request", "not_found", "storage_unavailable"] as const;
/** Of what sends a test. */
const TESTING = ["conflict", "pace_exceeded", "project_suspended"] as const;
const WITH_BODY = [...PROBLEMS, "conflict", "payload_too_large", "unsupported_media_type"] as const;

/** What is counted of what a webhook never got. */
const MAX_REPLAYABLE = 1_000;

const guarded = { tags: ["Webhooks"], security: ADMIN_OR_KEY, middleware: [ownProject("admin")] };

const postWebhook = createRoute({
  method: "post",
  path: "/projects/{id}/webhooks",
  ...guarded,
  summary: "Make a webhook",
  description:
    "From now on it is told of the project's events, as [Standard Webhooks](https://www.standardwebhooks.com) says: verify each message with the secret, which is in this answer and never again. A project has at most 20: 409. An address that not everybody can reach is refused: 422.",
  request: { params: ofProject, body: { required: true, content: json(webhookBody) } },
  responses: {
    201: { description: "Made", headers: { Location: { schema: { type: "string" } } }, content: json(newWebhook) },
    ...problems(...WITH_BODY, "project_suspended", "unprocessable"),
  },
});

const getWebhooks = createRoute({
  method: "get",
  path: "/projects/{id}/webhooks",
  ...guarded,
  summary: "The project's webhooks, the newest first",
  request: { params: ofProject, query: z.object(pageQuery) },
  responses: {
    200: { description: "One page", content: json(z.object({ webhooks: z.array(webhook), next_cursor: nextCursor })) },
    ...problems(...PROBLEMS),
  },
});

const getOne = createRoute({
  method: "get",
  path: "/projects/{id}/webhooks/{webhook_id}",
  ...guarded,
  summary: "One webhook, and what it never got",
  request: { params: ofWebhook },
  responses: { 200: { description: "As it is now", content: json(webhookDetail) }, ...problems(...PROBLEMS) },
});

const patchOne = createRoute({
  method: "patch",
  path: "/projects/{id}/webhooks/{webhook_id}",
  ...guarded,
  summary: "Change a webhook, or switch it off or on",
  description:
    "`enabled: true` sends a signed test first and waits for it, at most 15 s. Where it is not answered with 2xx the webhook stays disabled, and the rest of the change stays: 422 with `webhook` and `delivery_id`. Once enabled, `replayable` says what it missed.",
  request: { params: ofWebhook, body: { required: true, content: json(webhookPatch) } },
  responses: { 200: { description: "As it is now", content: json(webhookDetail) }, ...problems(...WITH_BODY, ...TESTING, "unprocessable") },
});

const deleteOne = createRoute({
  method: "delete",
  path: "/projects/{id}/webhooks/{webhook_id}",
  ...guarded,
  summary: "Delete a webhook",
  description: "Nothing more is sent to it. What was sent stays to be read.",
  request: { params: ofWebhook },
  responses: { 200: { description: "As it was", content: json(webhook) }, ...problems(...PROBLEMS, "conflict") },
});

const postTest = createRoute({
  method: "post",
  path: "/projects/{id}/webhooks/{webhook_id}/test",
  ...guarded,
  summary: "Send a test, and wait for what comes back",
  description:
    "One signed message of the type `webhook.test`, at once and only once, also to a webhook that is disabled. Takes at most 15 s. At most ten a minute. While the project is suspended for abuse, its own keys send none.",
  request: { params: ofWebhook },
  responses: { 200: { description: "What came of it", content: json(deliveryDetail) }, ...problems(...PROBLEMS, ...TESTING) },
});

const postRotate = createRoute({
  method: "post",
  path: "/projects/{id}/webhooks/{webhook_id}/rotate-secret",
  ...guarded,
  summary: "Replace the secret of a webhook",
  description:
    "The new secret is in this answer, and never again. For 24 hours messages carry two signatures, the new one first. Meanwhile there is no third: 409, unless `immediate`.",
  request: { params: ofWebhook, body: { content: json(rotateBody) } },
  responses: { 200: { description: "Rotated", content: json(newWebhook) }, ...problems(...WITH_BODY) },
});

const postReplay = createRoute({
  method: "post",
  path: "/projects/{id}/webhooks/{webhook_id}/replay",
  ...guarded,
  summary: "Send once more what a webhook never got",
  description:
    "All that failed or was skipped since then, the oldest first, under the same `webhook-id`; tests are left out. At most 1,000 a request.",
  request: { params: ofWebhook, body: { required: true, content: json(replayBody) } },
  responses: {
    202: {
      description: "On their way",
      content: json(z.object({ replayed: z.int(), more: z.boolean().describe("Whether there may be more: ask again") })),
    },
    ...problems(...WITH_BODY, "project_suspended"),
  },
});

/** The address that the request came to: nobody's webhook. */
const ownHost = (c: AppContext): string => new URL(c.req.url).host;

async function detailed(c: AppContext, row: WebhookRow) {
  return { ...webhookJson(row), replayable: replayJson(await findReplayable(c.get("deps").db, row.id, MAX_REPLAYABLE)) };
}

export const webhookRoutes = createRouter();

webhookRoutes.openapi(postWebhook, async (c) => {
  const { id } = c.req.valid("param");
  const made = await createWebhook(c.get("deps"), projectReader(c, id), c.req.valid("json"), ownHost(c), actorOf(c));
  c.header("Location", `/api/projects/${id}/webhooks/${made.id}`);
  return c.json({ ...webhookJson(made), secret: made.secret }, 201);
});

webhookRoutes.openapi(getWebhooks, async (c) => {
  const { id } = c.req.valid("param");
  const { limit, cursor } = c.req.valid("query");
  const deps = c.get("deps");
  await getProject(deps, id);
  const { rows, next } = page(await listWebhooks(deps.db, id, { after: timeCursor(cursor), limit: limit + 1 }), limit, timeKey);
  return c.json({ webhooks: rows.map(webhookJson), next_cursor: next }, 200);
});

webhookRoutes.openapi(getOne, async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  return c.json(await detailed(c, await getWebhook(c.get("deps"), id, webhook_id)), 200);
});

webhookRoutes.openapi(patchOne, async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const changed = await patchWebhook(c.get("deps"), projectReader(c, id), webhook_id, c.req.valid("json"), ownHost(c), actorOf(c));
  return c.json(await detailed(c, changed), 200);
});

webhookRoutes.openapi(deleteOne, async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  return c.json(webhookJson(await removeWebhook(c.get("deps"), projectReader(c, id), webhook_id, actorOf(c))), 200);
});

webhookRoutes.openapi(postTest, async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const deps = c.get("deps");
  const tested = await testWebhook(deps, projectReader(c, id), webhook_id, actorOf(c));
  const { row, attempts } = await deliveryWithAttempts(deps, id, tested.id);
  return c.json(deliveryDetailJson(row, attempts), 200);
});

webhookRoutes.openapi(postRotate, async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const rotated = await rotateSecret(c.get("deps"), projectReader(c, id), webhook_id, c.req.valid("json"), actorOf(c));
  return c.json({ ...webhookJson(rotated), secret: rotated.secret }, 200);
});

webhookRoutes.openapi(postReplay, async (c) => {
  const { id, webhook_id } = c.req.valid("param");
  const since = Date.parse(c.req.valid("json").since);
  return c.json(await replaySince(c.get("deps"), projectReader(c, id), webhook_id, since, actorOf(c)), 202);
});
