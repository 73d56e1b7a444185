/** API keys of a project, for the administrator and for keys with the right scope. */
import { z } from "@hono/zod-openapi";
import { idempotencyKey, wholeSecond, name, ofProject, orNull, projectId, time } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { pageByTime, pageOnly } from "../../http/paging.ts";
import { SCOPES, listKeys } from "../../store/keys/api-keys.ts";
import type { Scope } from "../../store/keys/api-keys.ts";
import { KEY_MODES } from "../../tenants/keys/api-key.ts";
import { requestGraceEnd, endGrace, rotate } from "../../tenants/keys/rotation.ts";
import type { ActingKey } from "../../tenants/changing.ts";
import { createKey, getKey, keyJson, revoke } from "../../tenants/keys/keys.ts";
import type { KeyInput } from "../../tenants/keys/keys.ts";
import { actorOf, askingFor, existingProject, projectReader } from "../acting.ts";
import { jobLink, linkTo } from "../jobs/schemas.ts";
import { answer, jsonBody, onePage, operations, optionalBody, projectItself } from "../operation.ts";

export const projectKeyRoutes = createRouter();
const operation = operations(projectKeyRoutes, "API keys", projectItself("admin"));

const keyId = z
  .string()
  .regex(/^[0-9A-Za-z]{10}$/u, "must be the 10 letters and digits in the middle of a key, qc_live_<these>_…")
  .describe("Id of a key, which is part of the key")
  .openapi({ example: "Q7hX2mPz4K" });

const ofKey = z.object({ id: projectId, key_id: keyId });

const scopes = z
  .array(z.enum(SCOPES))
  .min(1)
  .refine((given) => new Set(given).size === given.length, "must name each scope once")
  .describe(
    "`read`: the catalog and its own usage. `enrich`: enrichment and reservations. `database`: its own database. `admin`: its own keys, webhooks and backups",
  );

/** Scopes of a key by default. */
const DEFAULT_SCOPES = ["read", "enrich", "database"] as const;

const keyBody = z.strictObject({
  name: name.default("default").describe("Shown to people"),
  mode: z.enum(KEY_MODES).default("live").describe("Part of the key. `test` marks keys in tests and examples"),
  scopes: scopes
    .optional()
    .describe("Default: `read`, `enrich` and `database`. For a project's key, those of them that it has, or else its own"),
  expires_at: wholeSecond.nullable().optional().describe("null: never. Default: null. For a project's key, its own expiry"),
});

/** Default of a new project's first key. */
export const firstKey = keyBody.default({ name: "default", mode: "live", scopes: [...DEFAULT_SCOPES], expires_at: null });

function defaultScopes(own: ActingKey | null): readonly Scope[] {
  const common = DEFAULT_SCOPES.filter((scope) => own === null || own.scopes.includes(scope));
  return own !== null && common.length === 0 ? own.scopes : common;
}

/** `own`: the key that creates it. null: the administrator creates it. */
export function keyInput(body: z.infer<typeof keyBody>, own: ActingKey | null): KeyInput {
  const { name, mode, scopes = defaultScopes(own), expires_at } = body;
  const expiresAt = typeof expires_at === "string" ? Date.parse(expires_at) : (expires_at ?? null);
  return { name, mode, scopes, expiresAt: expires_at === undefined ? (own?.expiresAt ?? null) : expiresAt };
}

const apiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    mode: z.enum(KEY_MODES),
    scopes: z.array(z.enum(SCOPES)).readonly(),
    expires_at: time.nullable(),
    revoked_at: time.nullable(),
    last_used_at: time.nullable().describe("Rounded down to the minute"),
    created_at: time,
    versions: z.array(
      z.object({
        version: z.int(),
        created_at: time,
        expires_at: time.nullable().describe("End of the grace period after a rotation. null: expires with the key"),
        last_used_at: time.nullable(),
        uses_in_grace: z.int().nullable().describe("Uses since a newer version exists. null: this is the newest"),
      }),
    ),
  })
  .openapi("ApiKey");

export const newApiKey = apiKey.extend({ key: z.string().describe("The key itself, only in this response") }).openapi("NewApiKey");

/** A key whose secret may be unknown to the caller. */
export const shownApiKey = apiKey
  .extend({
    key: z.string().nullable().describe("The key itself, shown once. null: it was already shown, or you generated it"),
  })
  .openapi("ShownApiKey");

const asItIsNow = { 200: answer("The key", apiKey) };

operation("post", "/projects/{id}/keys", {
  summary: "Create an API key",
  description:
    "Only this response contains the key. A project's key creates no key with more scopes or a later expiry than its own. The coordinator stores a keyed hash. A project has at most 20 active keys, otherwise 409. While the project is suspended for abuse, its own keys cannot create keys.",
  request: { params: ofProject, body: jsonBody(keyBody.openapi({ example: { name: "Web shop", scopes: ["read", "enrich"] } })) },
  responses: { 201: answer("Created", newApiKey) },
  problems: ["conflict", "project_suspended", "unprocessable"],
}).handle(async (c) => {
  const actor = actorOf(c);
  const input = keyInput(c.req.valid("json"), actor.key);
  const made = await createKey(c.get("deps"), projectReader(c, c.req.valid("param").id), input, actor);
  return c.json({ ...keyJson(made), key: made.key }, 201);
});

operation("get", "/projects/{id}/keys", {
  summary: "List API keys of a project",
  request: { params: ofProject, query: pageOnly },
  responses: { 200: onePage({ keys: z.array(apiKey) }) },
}).handle(async (c) => {
  const { id, db } = await existingProject(c, c.req.valid("param"));
  const { items, next_cursor } = await pageByTime(c.req.valid("query"), async (slice) => listKeys(db, id, slice), keyJson);
  return c.json({ keys: items, next_cursor }, 200);
});

operation("get", "/projects/{id}/keys/{key_id}", {
  summary: "Get an API key",
  request: { params: ofKey },
  responses: asItIsNow,
}).handle(async (c) => {
  const { id, key_id } = c.req.valid("param");
  return c.json(keyJson(await getKey(c.get("deps"), id, key_id)), 200);
});

operation("delete", "/projects/{id}/keys/{key_id}", {
  summary: "Revoke an API key",
  description: "Effective with the next request. Idempotent.",
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
    "Only this response contains the new version. The earlier version works for 24 more hours, but not past the key's expiry. Responses to it carry the end in `x-api-key-expires`. At most two versions are active. Another rotation returns 409. The job sleeps until the grace period ends and reports the uses of the old version, like `uses_in_grace`. To keep the key on your side, generate it yourself and send its SHA-256. Its format is `qc_<live|test>_<this key's id>_<32 letters and digits>`, then the CRC-32 of that text. The CRC has 6 digits in base 62 (0-9A-Za-z). The last 10 inactive versions are kept. While the project is suspended for abuse, its own keys cannot rotate keys.",
  request: {
    params: ofKey,
    body: optionalBody(
      z
        .strictObject({
          immediate: z.boolean().default(false).describe("true: the secret leaked, so all earlier versions stop working immediately"),
          new_key_sha256: z
            .string()
            .regex(/^[0-9a-f]{64}$/u, "must be a SHA-256 hash: 64 lower-case hex digits")
            .optional()
            .describe("Hash of a new key that you generated"),
          idempotency_key: idempotencyKey.describe("Repeating the rotation creates no other version and returns no key"),
        })
        .default({ immediate: false })
        .openapi({ example: { immediate: false } }),
    ),
  },
  responses: {
    200: answer("Rotated", shownApiKey.extend({ job: orNull(jobLink).describe("null: no grace period") }).openapi("RotatedApiKey")),
  },
  problems: ["conflict", "project_suspended"],
}).handle(async (c) => {
  const { id, key_id } = c.req.valid("param");
  const { immediate, new_key_sha256: digest = null, idempotency_key: rotation = null } = c.req.valid("json");
  const [deps, actor] = [c.get("deps"), actorOf(c)];
  const made = await rotate(deps, projectReader(c, id), key_id, { immediate, digest, rotation }, actor);
  const rotated = { projectId: id, keyId: key_id, version: made.rotatedVersion };
  const job = immediate ? null : await requestGraceEnd(deps, rotated, actor, askingFor(c));
  return c.json({ ...keyJson(made), key: made.key, job: job && linkTo(job) }, 200);
});

operation("post", "/projects/{id}/keys/{key_id}/end-grace", {
  summary: "End the grace period of an API key",
  request: { params: ofKey },
  responses: asItIsNow,
  problems: ["conflict"],
}).handle(async (c) => {
  const { id, key_id } = c.req.valid("param");
  return c.json(keyJson(await endGrace(c.get("deps"), projectReader(c, id), key_id, actorOf(c))), 200);
});
