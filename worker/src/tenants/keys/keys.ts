/** API keys: created, returned once, revoked. The database stores only keyed hashes. */
import { sha256Hex } from "../../lib/bytes.ts";
import { Problem, invalidField } from "../../errors.ts";
import type { Deps } from "../../deps.ts";
import { isoOrNull, isoSeconds } from "../../lib/time.ts";
import { addKey, countLiveKeys, findKey, revokeKey } from "../../store/keys/api-keys.ts";
import type { ApiKeyView, KeyVersion, NewApiKey, Scope } from "../../store/keys/api-keys.ts";
import type { AuditNote } from "../../store/changes.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import { mintKey, storedHash } from "./api-key.ts";
import type { KeyMode } from "./api-key.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { admissionProblem } from "../limits/refusals.ts";

export type KeyDeps = Pick<Deps, "db" | "clock" | "config">;

/** More than any rotation needs. It bounds the rows of a tenant. */
const MAX_LIVE_KEYS = 20;

export interface KeyInput {
  readonly name: string;
  readonly mode: KeyMode;
  readonly scopes: readonly Scope[];
  /** Epoch milliseconds. null: never. */
  readonly expiresAt: number | null;
}

/** A key with its secret, as returned once on creation. */
export interface KeyWithSecret extends ApiKeyView {
  readonly key: string;
}

interface NewKeyDraft {
  readonly row: NewApiKey;
  /** Audit entry, with scopes and expiry. */
  readonly auditNote: (projectId: string) => AuditNote;
  readonly withSecret: (projectId: string, now: number) => KeyWithSecret;
}

/** A key that is not stored yet. Throws `unprocessable` if it has expired already. */
export async function newKey({ config, clock }: Pick<Deps, "config" | "clock">, input: KeyInput): Promise<NewKeyDraft> {
  if (input.expiresAt !== null && input.expiresAt <= clock()) {
    throw invalidField("expires_at", "must be in the future, or null", isoSeconds(input.expiresAt), "unprocessable");
  }
  const { id, plaintext } = mintKey(input.mode);
  const row = { id, ...input, hash: await storedHash(await sha256Hex(plaintext), config.keyPepper) };
  return {
    row,
    auditNote: (projectId) => ({ action: "key.create", subject: keySubject(id), projectId, before: null, after: auditFacts(input) }),
    withSecret: (projectId, now) => ({
      id,
      project_id: projectId,
      name: input.name,
      mode: input.mode,
      scopes: input.scopes,
      expires_at: input.expiresAt,
      revoked_at: null,
      last_used_at: null,
      created_at: now,
      versions: [newVersion(1, now)],
      key: plaintext,
    }),
  };
}

export const keySubject = (id: string): string => `key:${id}`;

const auditFacts = ({ name, mode, scopes, expiresAt }: KeyInput) => ({
  name,
  mode,
  scopes,
  expires_at: isoOrNull(expiresAt),
});

/** Reads the project again on every attempt, because a change is based on its `changed_by`. */
export type ReadProject = () => Promise<ProjectView>;

/**
 * Refuses new secrets to a project that is suspended for abuse and uses its own key. A project suspended by a cap or manually may replace a
 * leaked key. The new key grants nothing while the project is suspended.
 */
export function assertNotAbusive({ suspensions }: ProjectView, { key }: Actor): void {
  if (key !== null && suspensions.some(({ reason }) => reason.startsWith("abuse:")))
    throw admissionProblem({ why: "suspended", suspensions });
}

/** Throws `forbidden` if a tenant's key would create a key with a scope that it lacks, or with a later expiry. */
function assertWithinOwn({ scopes, expiresAt }: KeyInput, { key }: Actor): void {
  if (key === null) return;
  const lacking = scopes.filter((scope) => !key.scopes.includes(scope));
  if (lacking.length > 0) {
    throw invalidField("scopes", `must only contain scopes of your key: ${key.scopes.join(", ")}`, scopes, "forbidden");
  }
  if (key.expiresAt !== null && (expiresAt === null || expiresAt > key.expiresAt)) {
    const message = `must be at most ${isoSeconds(key.expiresAt)}, when your key expires`;
    throw invalidField("expires_at", message, isoOrNull(expiresAt), "forbidden");
  }
}

/** A separate query is safe: a key created meanwhile changes the project, and then nothing is written. */
async function assertKeyLimit(db: D1Database, projectId: string, now: number): Promise<void> {
  const live = await countLiveKeys(db, projectId, now);
  if (live < MAX_LIVE_KEYS) return;
  const detail = `The project has ${live} active keys, and the limit is ${MAX_LIVE_KEYS}. Revoke unused keys first.`;
  throw new Problem("conflict", detail, { members: { limit: MAX_LIVE_KEYS } });
}

/**
 * Throws `conflict` if the project has reached its number of keys, and `project_suspended` if it calls itself and is suspended for abuse.
 * Throws `forbidden` if the key would exceed the tenant's own key.
 */
export async function createKey(deps: KeyDeps, readProject: ReadProject, input: KeyInput, actor: Actor): Promise<KeyWithSecret> {
  const { db, clock } = deps;
  assertWithinOwn(input, actor);
  const draft = await newKey(deps, input);
  return changing(async () => {
    const project = await readProject();
    const now = clock();
    assertNotAbusive(project, actor);
    await assertKeyLimit(db, project.id, now);
    return (await addKey(db, project, draft.row, newOperation(actor, now), draft.auditNote(project.id)))
      ? draft.withSecret(project.id, now)
      : null;
  });
}

/** Throws `not_found`, also for a key of another project. */
export async function getKey({ db }: Pick<Deps, "db">, projectId: string, keyId: string): Promise<ApiKeyView> {
  const key = await findKey(db, projectId, keyId);
  if (!key) throw new Problem("not_found", `The project has no key ${JSON.stringify(keyId)}.`);
  return key;
}

/** Takes effect with the next request. Idempotent. */
export async function revoke(deps: KeyDeps, readProject: ReadProject, keyId: string, actor: Actor): Promise<ApiKeyView> {
  const { db, clock } = deps;
  const projectId = await changing(async () => {
    const project = await readProject();
    const key = await getKey(deps, project.id, keyId);
    if (key.revoked_at !== null) return project.id;
    const operation = newOperation(actor, clock());
    const note = {
      action: "key.revoke",
      subject: keySubject(keyId),
      projectId: project.id,
      before: { revoked_at: null },
      after: { revoked_at: isoSeconds(operation.now) },
    };
    return (await revokeKey(db, project, keyId, operation, note)) ? project.id : null;
  });
  return getKey(deps, projectId, keyId);
}

/** A version as it is on creation. */
export const newVersion = (version: number, now: number): KeyVersion => ({
  version,
  created_at: now,
  expires_at: null,
  last_used_at: null,
  grace_uses: 0,
});

/** A key as the API returns it, without the secret. */
export function keyJson(key: ApiKeyView) {
  return {
    id: key.id,
    name: key.name,
    mode: key.mode,
    scopes: key.scopes,
    expires_at: isoOrNull(key.expires_at),
    revoked_at: isoOrNull(key.revoked_at),
    last_used_at: isoOrNull(key.last_used_at),
    created_at: isoSeconds(key.created_at),
    versions: key.versions.map((version) => ({
      version: version.version,
      created_at: isoSeconds(version.created_at),
      expires_at: isoOrNull(version.expires_at),
      last_used_at: isoOrNull(version.last_used_at),
      // Uses are counted only after a newer version exists.
      uses_in_grace: version.expires_at === null ? null : version.grace_uses,
    })),
  };
}
