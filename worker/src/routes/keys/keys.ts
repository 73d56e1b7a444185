/** A project's API keys: for the administrator, and for a key of the project that may manage them. */
import { z } from "@hono/zod-openapi";
import { idempotencyKey, instant, name, ofProject, orNull, projectId, time } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { pageByTime, pageOnly } from "../../http/paging.ts";
import { SCOPES, listKeys } from "../../store/keys/api-keys.ts";
import { KEY_MODES } from "../../tenants/keys/api-key.ts";
import { askForEndOfGrace, endGrace, rotate } from "../../tenants/keys/rotation.ts";
import { createKey, getKey, keyJson, revoke } from "../../tenants/keys/keys.ts";
import { actorOf, askingFor, existingProject, projectReader } from "../acting.ts";
import { jobLink, linkTo } from "../jobs/schemas.ts";
import { answer, jsonBody, onePage, operations, optionalBody, projectItself } from "../operation.ts";

export const projectKeyRoutes = createRouter();
const operation = operations(projectKeyRoutes, "API keys", projectItself("admin"));

const keyId = z
  .string()
  .regex(/^[0-9A-Za-z]{10}$/u, "must be the 10 letters and digits in the middle of a key, qc_live_<these>_…")
  .describe("Of a key: stands in the key itself")
  .openapi({ example: "Q7hX2mPz4K" });

const ofKey = z.object({ id: projectId, key_id: keyId });

const scopes = z
  .array(z.enum(SCOPES))
  .min(1)
  .refine((given) => new Set(given).size === given.length, "must name each scope once")
  .describe(
    "`read`: the catalogue and its own usage. `enrich`: enrichment and reservations. `database`: its own database. `admin`: its own keys and webhooks",
  );

/** What every key may until somebody says otherwise. */
const DEFAULT_SCOPES = ["read", "enrich", "database"] as const;

const keyBody = z.strictObject({
  name: name.default("default").describe("For people"),
  mode: z.enum(KEY_MODES).default("live").describe("Stands in the key, so that those in tests and examples can be told apart"),
  scopes: scopes.default([...DEFAULT_SCOPES]),
  expires_at: instant.nullable().default(null).describe("null: never"),
});

/** The first key of a new project, where the request says nothing of it. */
export const firstKey = keyBody.default({ name: "default", mode: "live", scopes: [...DEFAULT_SCOPES], expires_at: null });

export const keyInput = ({ name, mode, scopes, expires_at }: z.infer<typeof keyBody>) => {
  return { name, mode, scopes, expiresAt: expires_at === null ? null : Date.parse(expires_at) };
};

const apiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    mode: z.enum(KEY_MODES),
    scopes: z.array(z.enum(SCOPES)).readonly(),
    expires_at: time.nullable(),
    revoked_at: time.nullable(),
    last_used_at: time.nullable().describe("To the minute"),
    created_at: time,
    versions: z.array(
      z.object({
        version: z.int(),
        created_at: time,
        expires_at: time.nullable().describe("When it stops working, because a newer one exists; null: with the key"),
        last_used_at: time.nullable(),
        uses_in_grace: z.int().nullable().describe("How often it was used since a newer one exists; null: there is none"),
      }),
    ),
  })
  .openapi("ApiKey");

export const newApiKey = apiKey
  .extend({ key: z.string().describe("The key itself: only in this answer, and never again") })
  .openapi("NewApiKey");

/** A key whose secret may be somebody else's to know. */
export const shownApiKey = apiKey
  .extend({
    key: z.string().nullable().describe("The key itself, on its one appearance; null: it was shown before, or you made it yourself"),
  })
  .openapi("ShownApiKey");

const asItIsNow = { 200: answer("As it is now", apiKey) };

operation("post", "/projects/{id}/keys", {
  summary: "Make an API key",
  description:
    "The key is in this answer, and never again: only a keyed hash of it is stored. A project has at most 20 keys that work: 409. While it is suspended for abuse, its own keys make no others.",
  request: { params: ofProject, body: jsonBody(keyBody.openapi({ example: { name: "Web shop", scopes: ["read", "enrich"] } })) },
  responses: { 201: answer("Made", newApiKey) },
  problems: ["conflict", "project_suspended", "unprocessable"],
}).handle(async (c) => {
  const input = keyInput(c.req.valid("json"));
  const made = await createKey(c.get("deps"), projectReader(c, c.req.valid("param").id), input, actorOf(c));
  return c.json({ ...keyJson(made), key: made.key }, 201);
});

operation("get", "/projects/{id}/keys", {
  summary: "The project's API keys, the newest first",
  request: { params: ofProject, query: pageOnly },
  responses: { 200: onePage({ keys: z.array(apiKey) }) },
}).handle(async (c) => {
  const { id, db } = await existingProject(c, c.req.valid("param"));
  const { items, next_cursor } = await pageByTime(c.req.valid("query"), async (slice) => listKeys(db, id, slice), keyJson);
  return c.json({ keys: items, next_cursor }, 200);
});

operation("get", "/projects/{id}/keys/{key_id}", {
  summary: "One API key",
  request: { params: ofKey },
  responses: asItIsNow,
}).handle(async (c) => {
  const { id, key_id } = c.req.valid("param");
  return c.json(keyJson(await getKey(c.get("deps"), id, key_id)), 200);
});

operation("delete", "/projects/{id}/keys/{key_id}", {
  summary: "Revoke an API key",
  description: "Takes effect with the next request. Twice answers the same.",
  request: { params: ofKey },
  responses: asItIsNow,
  problems: ["conflict"],
}).handle(async (c) => {
  const { id, key_id } = c.req.valid("param");
  return c.json(keyJson(await revoke(c.get("deps"), projectReader(c, id), key_id, actorOf(c))), 200);
});

operation("post", "/projects/{id}/keys/{key_id}/rotate", {
  summary: "Replace the secret of an API key",
  description:
    "The new version is in this answer, and never again. The one before works 24 hours more, never past the key's own expiry; its answers say until when in `x-api-key-expires`. While two versions work, there is no third: 409. The job in this answer sleeps until the grace is over, and tells how often the old version was used in it; so does `uses_in_grace` here. To keep a key from travelling at all, make one yourself (`qc_<live|test>_<this key's id>_<32 letters and digits>`, then the CRC-32 of all that in base 62, 6 digits of 0-9A-Za-z) and send its SHA-256: what is no such key, or has another id, opens nothing. The last 10 versions that work no more are kept. While the project is suspended for abuse, its own keys rotate nothing.",
  request: {
    params: ofKey,
    body: optionalBody(
      z
        .strictObject({
          immediate: z.boolean().default(false).describe("The secret leaked: all earlier versions stop working now"),
          new_key_sha256: z
            .string()
            .regex(/^[0-9a-f]{64}$/u, "must be a SHA-256 hash: 64 lower-case hex digits")
            .optional()
            .describe("Of the whole new key, where you made it yourself"),
          idempotency_key: idempotencyKey.describe("The same rotation again makes no other version, and answers without the key"),
        })
        .default({ immediate: false })
        .openapi({ example: { immediate: false } }),
    ),
  },
  responses: {
    200: answer(
      "Rotated",
      shownApiKey.extend({ job: orNull(jobLink).describe("null: there is no grace to keep") }).openapi("RotatedApiKey"),
    ),
  },
  problems: ["conflict", "project_suspended"],
}).handle(async (c) => {
  const { id, key_id } = c.req.valid("param");
  const { immediate, new_key_sha256: digest = null, idempotency_key: rotation = null } = c.req.valid("json");
  const [deps, actor] = [c.get("deps"), actorOf(c)];
  const made = await rotate(deps, projectReader(c, id), key_id, { immediate, digest, rotation }, actor);
  const rotated = { projectId: id, keyId: key_id, version: made.rotatedVersion };
  const job = immediate ? null : await askForEndOfGrace(deps, rotated, actor, askingFor(c));
  return c.json({ ...keyJson(made), key: made.key, job: job && linkTo(job) }, 200);
});

operation("post", "/projects/{id}/keys/{key_id}/end-grace", {
  summary: "Let only the newest version of an API key work from now on",
  request: { params: ofKey },
  responses: asItIsNow,
  problems: ["conflict"],
}).handle(async (c) => {
  const { id, key_id } = c.req.valid("param");
  return c.json(keyJson(await endGrace(c.get("deps"), projectReader(c, id), key_id, actorOf(c))), 200);
});
