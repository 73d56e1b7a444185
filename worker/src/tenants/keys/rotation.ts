/** Rotation of a key's secret: adds a version and ends the earlier ones, after a day or immediately. */
import { sha256Hex } from "../../lib/bytes.ts";
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import type { EnqueueOptions } from "../../jobs/enqueue.ts";
import { jobId } from "../../jobs/job-id.ts";
import { errorFields, log } from "../../lib/log.ts";
import { DAY_MS, isoSeconds } from "../../lib/time.ts";
import { addVersion, endEarlierVersions } from "../../store/keys/api-keys.ts";
import type { ApiKeyView, KeyVersion } from "../../store/keys/api-keys.ts";
import type { JobStatus } from "../../store/jobs/jobs.ts";
import { earlierRotations } from "../../store/keys/grace.ts";
import { mintVersion, storedHash } from "./api-key.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { getKey, keyJson, keySubject, assertNotAbusive, newVersion } from "./keys.ts";
import type { KeyDeps, ReadProject } from "./keys.ts";

/** How long the earlier version works after a rotation, unless it expires sooner. */
const GRACE_MS = DAY_MS;

/** Number of expired versions to keep. A caller that still uses one learns that it was replaced. */
const ENDED_VERSIONS_KEPT = 10;

export interface RotationInput {
  /** The secret leaked: earlier versions stop working now. */
  readonly immediate: boolean;
  /** SHA-256 in hex of a complete key created by the caller. null: the coordinator creates the key. */
  readonly digest: string | null;
  /** Idempotency key of the rotation. null: it will not be repeated. */
  readonly rotation: string | null;
}

export interface RotatedKey extends ApiKeyView {
  /** The key with its secret, returned once. null: the caller created it, or it was returned before. */
  readonly key: string | null;
  /** The version created by this rotation, now or by an earlier request. */
  readonly rotatedVersion: number;
}

/**
 * Adds a version. The earlier one keeps working during the grace period. At most two versions are active, and another rotation throws
 * `conflict`. A caller that lost the response learns from the conflict that the rotation happened. It can then send `immediate` to replace
 * both. Repeating a rotation with the same idempotency key or hash adds nothing. Throws `project_suspended` if the project calls itself and
 * is suspended for abuse.
 */
export async function rotate(
  deps: KeyDeps,
  readProject: ReadProject,
  keyId: string,
  input: RotationInput,
  actor: Actor,
): Promise<RotatedKey> {
  const { db, clock, config } = deps;
  const { immediate, digest, rotation } = input;
  const callerHash = digest === null ? null : await storedHash(digest, config.keyPepper);
  const request = JSON.stringify({ immediate, own: callerHash });
  return changing(async () => {
    const project = await readProject();
    assertNotAbusive(project, actor);
    const now = clock();
    const key = await getKey(deps, project.id, keyId);
    assertMayRotate(key, actor);
    const [newest] = key.versions;
    if (!newest) throw new Error(`Key ${keyId} has no version`);
    const earlierVersion =
      rotation === null && callerHash === null ? null : await findRotation(deps, key, { rotation, callerHash, request });
    if (earlierVersion !== null) return { ...key, key: null, rotatedVersion: earlierVersion };
    assertUsable(key, now);
    const inGrace = key.versions.find(({ version, expires_at }) => version < newest.version && expires_at !== null && expires_at > now);
    if (inGrace && !immediate) throw stillInGrace(key, newest.version, inGrace.expires_at ?? now);
    const next = newest.version + 1;
    const plaintext = callerHash === null ? mintVersion(key.mode, keyId).plaintext : null;
    const hash = callerHash ?? (await storedHash(await sha256Hex(plaintext ?? ""), config.keyPepper));
    const earlierEndAt = immediate ? now : Math.min(now + GRACE_MS, key.expires_at ?? Number.POSITIVE_INFINITY);
    const note = {
      action: "key.rotate",
      subject: keySubject(keyId),
      projectId: project.id,
      before: { version: newest.version },
      after: { version: next, earlier_end_at: isoSeconds(earlierEndAt), ...(callerHash === null ? {} : { made_by: "caller" }) },
    };
    const version = { keyId, version: next, hash, earlierEndAt, keepEnded: ENDED_VERSIONS_KEPT, rotation, request, immediate };
    if (!(await addVersion(db, project, version, newOperation(actor, now), note))) return null;
    const versions = [newVersion(next, now), ...withEarlierEnded(key.versions, earlierEndAt, now)];
    return { ...key, versions, key: plaintext, rotatedVersion: next };
  });
}

/** A rotation reveals a new secret. So a tenant's key may rotate itself, and keys that grant no more than it does. */
function assertMayRotate({ id, scopes, expires_at }: ApiKeyView, { key }: Actor): void {
  if (key === null || key.id === id) return;
  const isLater = key.expiresAt !== null && (expires_at === null || expires_at > key.expiresAt);
  if (!isLater && scopes.every((scope) => key.scopes.includes(scope))) return;
  const reason = isLater ? "expires later than your key" : "has scopes that your key lacks";
  throw new Problem("forbidden", `The key ${id} ${reason}. Use that key itself, or the admin token.`);
}

/**
 * The version that the same rotation created before. Null if there is none. Throws `conflict` if another rotation used this idempotency key
 * or this secret.
 */
async function findRotation(
  { db }: Pick<KeyDeps, "db">,
  key: ApiKeyView,
  { rotation, callerHash, request }: { readonly rotation: string | null; readonly callerHash: string | null; readonly request: string },
): Promise<number | null> {
  const known = await earlierRotations(db, key.id, rotation, callerHash);
  const named = rotation === null ? undefined : known.find((row) => row.rotation === rotation);
  if (named) {
    if (named.rotation_asked === request) return named.version;
    throw new Problem(
      "conflict",
      `This \`idempotency_key\` was already used with a different body for version ${named.version}. Use a new idempotency key.`,
    );
  }
  const [same] = known;
  if (!same) return null;
  if (rotation === null && same.rotation_asked === request && same.version === key.versions[0]?.version) return same.version;
  const detail = `\`new_key_sha256\` must be the hash of a new key. Version ${same.version} has this hash already.`;
  throw new Problem("conflict", detail, { members: { key: keyJson(key) } });
}

/** The versions after a rotation, calculated without reading again. A failed read would lose the secret, which is returned once. */
function withEarlierEnded(versions: readonly KeyVersion[], endAt: number, now: number): KeyVersion[] {
  const all = versions.map((version) => ({ ...version, expires_at: Math.min(version.expires_at ?? endAt, endAt) }));
  const active = all.filter(({ expires_at }) => expires_at > now).length;
  return all.slice(0, active + ENDED_VERSIONS_KEPT);
}

function assertUsable(key: ApiKeyView, now: number): void {
  if (key.revoked_at !== null) throw new Problem("conflict", `The key was revoked at ${isoSeconds(key.revoked_at)}. Create a new key.`);
  if (key.expires_at !== null && key.expires_at <= now) {
    throw new Problem("conflict", `The key expired at ${isoSeconds(key.expires_at)}. Create a new key.`);
  }
}

function stillInGrace(key: ApiKeyView, version: number, until: number): Problem {
  const detail = `Version ${version} already exists, and the previous one works until ${isoSeconds(until)}. End it with /end-grace, or send "immediate": true to replace both now.`;
  return new Problem("conflict", detail, { members: { key: keyJson(key) } });
}

/** Ends the grace period: only the newest version works from now on. Idempotent. */
export async function endGrace(deps: KeyDeps, readProject: ReadProject, keyId: string, actor: Actor): Promise<ApiKeyView> {
  const { db, clock } = deps;
  const projectId = await changing(async () => {
    const project = await readProject();
    const now = clock();
    const key = await getKey(deps, project.id, keyId);
    const [newest, ...earlier] = key.versions;
    const live = earlier.filter(({ expires_at }) => expires_at !== null && expires_at > now);
    if (!newest || live.length === 0) return project.id;
    const note = {
      action: "key.end_grace",
      subject: keySubject(keyId),
      projectId: project.id,
      before: { earlier_end_at: live.map(({ expires_at }) => isoSeconds(expires_at ?? now)) },
      after: { earlier_end_at: isoSeconds(now) },
    };
    const end = { keyId, newest: newest.version, endAt: now };
    return (await endEarlierVersions(db, project, end, newOperation(actor, now), note)) ? project.id : null;
  });
  return getKey(deps, projectId, keyId);
}

/**
 * Requests the job that ends the grace period. Idempotent. The rotation is valid even if this fails, because housekeeping requests the job
 * again.
 */
export async function requestGraceEnd(
  { jobs }: Pick<Deps, "jobs">,
  { projectId, keyId, version }: { readonly projectId: string; readonly keyId: string; readonly version: number },
  { actor }: Actor,
  context: Pick<EnqueueOptions, "requestId" | "traceparent">,
): Promise<{ readonly id: string; readonly status: JobStatus | null }> {
  const options = { ...context, requestedBy: actor, idempotencyKey: `${keyId}:${version}`, projectId };
  try {
    const { id, job } = await jobs.enqueueRotateKeyJob(keyId, { version, ...options });
    return { id, status: job.status };
  } catch (error) {
    log.error("Grace period job not requested", { key_id: keyId, version, ...errorFields(error) });
    return { id: await jobId(actor, "rotate_key", options.idempotencyKey), status: null };
  }
}
