/** A project's API keys: for the administrator, and for a key of the project that may manage them. */
import { createRoute, z } from "@hono/zod-openapi";
import { ownProject } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import { nextCursor, page, pageQuery, timeCursor, timeKey } from "../../http/paging.ts";
import { listKeys } from "../../store/keys/api-keys.ts";
import { requestGraceEnd, endGrace, rotate } from "../../tenants/keys/rotation.ts";
import { createKey, getKey, keyJson, revoke } from "../../tenants/keys/keys.ts";
import { getProject } from "../../tenants/projects/projects.ts";
import { actorOf, projectReader } from "../acting.ts";
import { ADMIN_OR_KEY, COMMON_PROBLEMS, json, orNull, problems } from "../schemas.ts";
import { apiKey, jobLink, keyBody, keyId, linkTo, newApiKey, projectId, shownApiKey } from "../projects/schemas.ts";

const PROBLEMS = [...COMMON_PROBLEMS, "invalid_request", "not_found", "storage_unavailable"] as const;
const WITH_BODY = ["payload_too_large", "unsupported_media_type", "conflict"] as const;

const guarded = { tags: ["API keys"], security: ADMIN_OR_KEY, middleware: [ownProject("admin")] };
const ofProject = z.object({ id: projectId });
const ofKey = z.object({ id: projectId, key_id: keyId });
const asItIsNow = { 200: { description: "As it is now", content: json(apiKey) } };

const postKey = createRoute({
  method: "post",
  path: "/projects/{id}/keys",
  ...guarded,
  summary: "Make an API key",
  description:
    "The key is in this answer, and never again: only a keyed hash of it is stored. A project has at most 20 keys that work: 409. While it is suspended for abuse, its own keys make no others.",
  request: {
    params: ofProject,
    body: { required: true, content: json(keyBody.openapi({ example: { name: "Web shop", scopes: ["read", "enrich"] } })) },
  },
  responses: {
    201: { description: "Made", content: json(newApiKey) },
    ...problems(...PROBLEMS, ...WITH_BODY, "project_suspended", "unprocessable"),
  },
});

const getKeys = createRoute({
  method: "get",
  path: "/projects/{id}/keys",
  ...guarded,
  summary: "The project's API keys, the newest first",
  request: { params: ofProject, query: z.object(pageQuery) },
  responses: {
    200: { description: "One page", content: json(z.object({ keys: z.array(apiKey), next_cursor: nextCursor })) },
    ...problems(...PROBLEMS),
  },
});

const getOne = createRoute({
  method: "get",
  path: "/projects/{id}/keys/{key_id}",
  ...guarded,
  summary: "One API key",
  request: { params: ofKey },
  responses: { ...asItIsNow, ...problems(...PROBLEMS) },
});

const deleteOne = createRoute({
  method: "delete",
  path: "/projects/{id}/keys/{key_id}",
  ...guarded,
  summary: "Revoke an API key",
  description: "Takes effect with the next request. Twice answers the same.",
  request: { params: ofKey },
  responses: { ...asItIsNow, ...problems(...PROBLEMS, "conflict") },
});

const postRotate = createRoute({
  method: "post",
  path: "/projects/{id}/keys/{key_id}/rotate",
  ...guarded,
  summary: "Replace the secret of an API key",
  description:
    "The new version is in this answer, and never again. The one before works 24 hours more, never past the key's own expiry; its answers say until when in `x-api-key-expires`. While two versions work, there is no third: 409. The job in this answer sleeps until the grace is over, and tells how often the old version was used in it; so does `uses_in_grace` here. To keep a key from travelling at all, make one yourself (`qc_<live|test>_<this key's id>_<32 letters and digits>`, then the CRC-32 of all that in base 62, 6 digits of 0-9A-Za-z) and send its SHA-256: what is no such key, or has another id, opens nothing. The last 10 versions that work no more are kept. While the project is suspended for abuse, its own keys rotate nothing.",
  request: {
    params: ofKey,
    body: {
      content: json(
        z
          .strictObject({
            immediate: z.boolean().default(false).describe("The secret leaked: all earlier versions stop working now"),
            new_key_sha256: z
              .string()
              .regex(/^[0-9a-f]{64}$/u, "expected SHA-256 as 64 hex digits in lower case")
              .optional()
              .describe("Of the whole new key, where you made it yourself"),
            idempotency_key: z
              .string()
              .min(1)
              .max(200)
              .optional()
              .describe("The same rotation again makes no other version, and answers without the key"),
          })
          .default({ immediate: false })
          .openapi({ example: { immediate: false } }),
      ),
    },
  },
  responses: {
    200: {
      description: "Rotated",
      content: json(shownApiKey.extend({ job: orNull(jobLink).describe("null: there is no grace to keep") }).openapi("RotatedApiKey")),
    },
    ...problems(...PROBLEMS, ...WITH_BODY, "project_suspended"),
  },
});

const postEndGrace = createRoute({
  method: "post",
  path: "/projects/{id}/keys/{key_id}/end-grace",
  ...guarded,
  summary: "Let only the newest version of an API key work from now on",
  request: { params: ofKey },
  responses: { ...asItIsNow, ...problems(...PROBLEMS, "conflict") },
});

export const projectKeyRoutes = createRouter();

projectKeyRoutes.openapi(postKey, async (c) => {
  const { name, mode, scopes, expires_at } = c.req.valid("json");
  const input = { name, mode, scopes, expiresAt: expires_at === null ? null : Date.parse(expires_at) };
  const made = await createKey(c.get("deps"), projectReader(c, c.req.valid("param").id), input, actorOf(c));
  return c.json({ ...keyJson(made), key: made.key }, 201);
});

projectKeyRoutes.openapi(getKeys, async (c) => {
  const { id } = c.req.valid("param");
  const { limit, cursor } = c.req.valid("query");
  const deps = c.get("deps");
  await getProject(deps, id);
  const { rows, next } = page(await listKeys(deps.db, id, { after: timeCursor(cursor), limit: limit + 1 }), limit, timeKey);
  return c.json({ keys: rows.map(keyJson), next_cursor: next }, 200);
});

projectKeyRoutes.openapi(getOne, async (c) => {
  const { id, key_id } = c.req.valid("param");
  return c.json(keyJson(await getKey(c.get("deps"), id, key_id)), 200);
});

projectKeyRoutes.openapi(deleteOne, async (c) => {
  const { id, key_id } = c.req.valid("param");
  return c.json(keyJson(await revoke(c.get("deps"), projectReader(c, id), key_id, actorOf(c))), 200);
});

projectKeyRoutes.openapi(postRotate, async (c) => {
  const { id, key_id } = c.req.valid("param");
  const { immediate, new_key_sha256: digest = null, idempotency_key: rotation = null } = c.req.valid("json");
  const [deps, actor] = [c.get("deps"), actorOf(c)];
  const made = await rotate(deps, projectReader(c, id), key_id, { immediate, digest, rotation }, actor);
  const asking = { requestId: c.get("requestId"), traceparent: deps.trace.traceparent };
  const job = immediate ? null : await requestGraceEnd(deps, { projectId: id, keyId: key_id, version: made.rotatedVersion }, actor, asking);
  return c.json({ ...keyJson(made), key: made.key, job: job && linkTo(job) }, 200);
});

projectKeyRoutes.openapi(postEndGrace, async (c) => {
  const { id, key_id } = c.req.valid("param");
  return c.json(keyJson(await endGrace(c.get("deps"), projectReader(c, id), key_id, actorOf(c))), 200);
});
