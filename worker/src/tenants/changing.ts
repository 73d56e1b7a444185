/** Changes by administrators and by authorized keys: read, decide, and write if nothing changed meanwhile. Otherwise start again. */
import { Problem } from "../errors.ts";
import type { Operation } from "../store/changes.ts";
import type { Scope } from "../store/keys/api-keys.ts";

/** The actor of a change. */
export interface Actor {
  /** `admin`, or `key:<id>`. */
  readonly actor: string;
  /** The key that the tenant uses. null: the actor is not the tenant. */
  readonly key: ActingKey | null;
}

/** A tenant's key. It cannot grant more than it has. */
export interface ActingKey {
  readonly id: string;
  readonly scopes: readonly Scope[];
  /** Epoch milliseconds. null: never. */
  readonly expiresAt: number | null;
}

export const BY_ADMIN: Actor = { actor: "admin", key: null };

export const byKey = (key: ActingKey): Actor => ({ actor: `key:${key.id}`, key });

/** More than enough for several people who change one project concurrently. */
const MAX_ATTEMPTS = 8;
const RETRY_AFTER_SECONDS = 1;

export const newOperation = ({ actor }: Actor, now: number): Operation => ({ id: crypto.randomUUID(), actor, now });

/** `attempt` reads, decides and writes. It returns null to be repeated, if another change came first. */
export async function changing<Result>(attempt: () => Promise<Result | null>): Promise<Result> {
  for (let attempts = 0; attempts < MAX_ATTEMPTS; attempts += 1) {
    const result = await attempt();
    if (result !== null) return result;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * 2 ** attempts));
  }
  throw new Problem("conflict", "Another request is changing the same resource. Try again.", {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
