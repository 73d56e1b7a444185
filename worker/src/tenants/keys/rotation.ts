/** The secret of a key replaced: a new version, and the end of those before it, after a day or at once. */
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
import { getKey, keyJson, keySubject, needNoAbuse, newVersion } from "./keys.ts";
import type { KeyDeps, ReadProject } from "./keys.ts";

/** The old version goes on working so long after a rotation, or until its own end, if that comes first. */
const GRACE_MS = DAY_MS;

/** Versions that work no more and are remembered: whoever still holds one of them is told that it was replaced, and not that it is unknown. */
const ENDED_VERSIONS_KEPT = 10;

export interface RotationInput {
  /** The secret leaked: earlier versions stop working now. */
  readonly immediate: boolean;
  /** SHA-256 in hex of a whole key that the caller made; null: we make it. */
  readonly digest: string | null;
  /** Whoever asks again by this name gets the same version; null: nobody will. */
  readonly rotation: string | null;
}

export interface RotatedKey extends ApiKeyView {
  /** The key itself, on its one appearance; null: the caller made it, or it was shown before. */
  readonly key: string | null;
  /** The version that this rotation made, now or before. */
  readonly rotatedVersion: number;
}

/**
 * A new version; the earlier one goes on working for the grace. While two versions work there is no third: whoever lost the answer of a
 * rotation sees by the refusal that it happened, and asks with `immediate` for a version that replaces both. The same rotation again, by
 * its name or by the hash that the caller brought, makes nothing. Throws `conflict`, and `project_suspended` where the project asks itself
 * and abuses us.
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
  const own = digest === null ? null : await storedHash(digest, config.keyPepper);
  const asked = JSON.stringify({ immediate, own });
  return changing(async () => {
    const project = await readProject();
    needNoAbuse(project, actor);
    const now = clock();
    const key = await getKey(deps, project.id, keyId);
    const [newest] = key.versions;
    if (!newest) throw new Error(`Key ${keyId} has no version`);
    const done = rotation === null && own === null ? null : await madeBefore(deps, key, { rotation, own, asked });
    if (done !== null) return { ...key, key: null, rotatedVersion: done };
    needLive(key, now);
    const inGrace = key.versions.find(({ version, expires_at }) => version < newest.version && expires_at !== null && expires_at > now);
    if (inGrace && !immediate) throw stillInGrace(key, newest.version, inGrace.expires_at ?? now);
    const next = newest.version + 1;
    const plaintext = own === null ? mintVersion(key.mode, keyId).plaintext : null;
    const hash = own ?? (await storedHash(await sha256Hex(plaintext ?? ""), config.keyPepper));
    const earlierEndAt = immediate ? now : Math.min(now + GRACE_MS, key.expires_at ?? Number.POSITIVE_INFINITY);
    const note = {
      action: "key.rotate",
      subject: keySubject(keyId),
      projectId: project.id,
      before: { version: newest.version },
      after: { version: next, earlier_end_at: isoSeconds(earlierEndAt), ...(own === null ? {} : { made_by: "caller" }) },
    };
    const version = { keyId, version: next, hash, earlierEndAt, keepEnded: ENDED_VERSIONS_KEPT, rotation, asked, immediate };
    if (!(await addVersion(db, project, version, newOperation(actor, now), note))) return null;
    const versions = [newVersion(next, now), ...endedBy(key.versions, earlierEndAt, now)];
    return { ...key, versions, key: plaintext, rotatedVersion: next };
  });
}

/** The version that the same rotation made before; null: none. Throws `conflict` where another one did, under this name or with this key. */
async function madeBefore(
  { db }: Pick<KeyDeps, "db">,
  key: ApiKeyView,
  { rotation, own, asked }: { readonly rotation: string | null; readonly own: string | null; readonly asked: string },
): Promise<number | null> {
  const known = await earlierRotations(db, key.id, rotation, own);
  const named = rotation === null ? undefined : known.find((row) => row.rotation === rotation);
  if (named) {
    if (named.rotation_asked === asked) return named.version;
    throw new Problem("conflict", `idempotency_key: version ${named.version} was asked for by this key with another body.`);
  }
  const [same] = known;
  if (!same) return null;
  if (rotation === null && same.rotation_asked === asked && same.version === key.versions[0]?.version) return same.version;
  const detail = `\`new_key_sha256\` must be the hash of a new key. Version ${same.version} has this hash already.`;
  throw new Problem("conflict", detail, { members: { key: keyJson(key) } });
}

/** As they stand after a rotation, which reads nothing again: a look that failed would take away a key that is shown once. */
function endedBy(versions: readonly KeyVersion[], endAt: number, now: number): KeyVersion[] {
  const all = versions.map((version) => ({ ...version, expires_at: Math.min(version.expires_at ?? endAt, endAt) }));
  const working = all.filter(({ expires_at }) => expires_at > now).length;
  return all.slice(0, working + ENDED_VERSIONS_KEPT);
}

function needLive(key: ApiKeyView, now: number): void {
  if (key.revoked_at !== null) throw new Problem("conflict", `The key was revoked at ${isoSeconds(key.revoked_at)}. Make a new one.`);
  if (key.expires_at !== null && key.expires_at <= now) {
    throw new Problem("conflict", `The key expired at ${isoSeconds(key.expires_at)}. Make a new one.`);
  }
}

function stillInGrace(key: ApiKeyView, version: number, until: number): Problem {
  const detail = `Version ${version} exists already, and the one before works until ${isoSeconds(until)}. End it with /end-grace, or send "immediate": true for a version that replaces both now.`;
  return new Problem("conflict", detail, { members: { key: keyJson(key) } });
}

/** Ends the grace: only the newest version works from now on. Twice answers the same. */
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

/** The job that keeps the grace; asked for twice it is one. The rotation stands whatever becomes of it: housekeeping asks again. */
export async function askForEndOfGrace(
  { jobs }: Pick<Deps, "jobs">,
  { projectId, keyId, version }: { readonly projectId: string; readonly keyId: string; readonly version: number },
  { actor }: Actor,
  asking: Pick<EnqueueOptions, "requestId" | "traceparent">,
): Promise<{ readonly id: string; readonly status: JobStatus | null }> {
  const options = { ...asking, requestedBy: actor, idempotencyKey: `${keyId}:${version}`, projectId };
  try {
    const { id, job } = await jobs.enqueueRotateKeyJob(keyId, { version, ...options });
    return { id, status: job.status };
  } catch (error) {
    log.error("The end of a key's grace was not asked for; housekeeping will", { key_id: keyId, version, ...errorFields(error) });
    return { id: await jobId(actor, "rotate_key", options.idempotencyKey), status: null };
  }
}
