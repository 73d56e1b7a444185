/** API keys: made, shown once, replaced, revoked. Who holds one is told the truth about it; the database holds only keyed hashes. */
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

/** More is no rotation of people or machines any more, but a table that a tenant fills. */
const MAX_LIVE_KEYS = 20;

export interface KeyInput {
  readonly name: string;
  readonly mode: KeyMode;
  readonly scopes: readonly Scope[];
  /** Epoch milliseconds; null: never. */
  readonly expiresAt: number | null;
}

/** A key with what it opens, on its one appearance. */
export interface ShownKey extends ApiKeyView {
  readonly key: string;
}

interface MadeKey {
  readonly row: NewApiKey;
  /** What the audit log says of it: what it opens, and until when. */
  readonly noteFor: (projectId: string) => AuditNote;
  readonly shown: (projectId: string, now: number) => ShownKey;
}

/** A key that is not stored yet. Throws `unprocessable` where it could never be used. */
export async function newKey({ config, clock }: Pick<Deps, "config" | "clock">, input: KeyInput): Promise<MadeKey> {
  if (input.expiresAt !== null && input.expiresAt <= clock()) {
    throw invalidField("expires_at", "must be in the future, or null", isoSeconds(input.expiresAt), "unprocessable");
  }
  const { id, plaintext } = mintKey(input.mode);
  const row = { id, ...input, hash: await storedHash(await sha256Hex(plaintext), config.keyPepper) };
  return {
    row,
    noteFor: (projectId) => ({ action: "key.create", subject: keySubject(id), projectId, before: null, after: noted(input) }),
    shown: (projectId, now) => ({
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

const noted = ({ name, mode, scopes, expiresAt }: KeyInput) => ({
  name,
  mode,
  scopes,
  expires_at: isoOrNull(expiresAt),
});

/** Reads the project anew on every try: `changed_by` is what a change is decided on. */
export type ReadProject = () => Promise<ProjectView>;

/**
 * A project that is stopped for abuse gets no new secrets by its own key. One that used up its day, or that was stopped by hand, does: to
 * replace what leaked must wait for nobody's invoice, and what is made opens nothing while the project is stopped.
 */
export function needNoAbuse({ suspensions }: ProjectView, { tenant }: Actor): void {
  if (tenant && suspensions.some(({ reason }) => reason.startsWith("abuse:"))) throw admissionProblem({ why: "suspended", suspensions });
}

/** Exact, though it is a look of its own: a key that somebody else makes meanwhile changes the project, and then nothing is written. */
async function needRoom(db: D1Database, projectId: string, now: number): Promise<void> {
  const live = await countLiveKeys(db, projectId, now);
  if (live < MAX_LIVE_KEYS) return;
  const detail = `The project has ${live} keys that work; the limit is ${MAX_LIVE_KEYS}. Revoke those that nobody needs.`;
  throw new Problem("conflict", detail, { members: { limit: MAX_LIVE_KEYS } });
}

/** Throws `conflict` where the project has as many keys as it may have, `project_suspended` where it asks itself and abuses us. */
export async function createKey(deps: KeyDeps, readProject: ReadProject, input: KeyInput, actor: Actor): Promise<ShownKey> {
  const { db, clock } = deps;
  const made = await newKey(deps, input);
  return changing(async () => {
    const project = await readProject();
    const now = clock();
    needNoAbuse(project, actor);
    await needRoom(db, project.id, now);
    return (await addKey(db, project, made.row, newOperation(actor, now), made.noteFor(project.id))) ? made.shown(project.id, now) : null;
  });
}

/** Throws `not_found`; a key of another project is not found either. */
export async function getKey({ db }: Pick<Deps, "db">, projectId: string, keyId: string): Promise<ApiKeyView> {
  const key = await findKey(db, projectId, keyId);
  if (!key) throw new Problem("not_found", `The project has no key ${JSON.stringify(keyId)}.`);
  return key;
}

/** Takes effect with the next request. Twice answers the same. */
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

/** As it stands when it is made. */
export const newVersion = (version: number, now: number): KeyVersion => ({
  version,
  created_at: now,
  expires_at: null,
  last_used_at: null,
  grace_uses: 0,
});

/** As the API shows it: never with the key itself. */
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
      // Before there was a newer one, nobody counted.
      uses_in_grace: version.expires_at === null ? null : version.grace_uses,
    })),
  };
}
