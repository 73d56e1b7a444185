/** Changes by administrators and by authorized keys: read, decide, and write if nothing changed meanwhile. Otherwise start again. */
import { Problem } from "../errors.ts";
import type { Operation } from "../store/changes.ts";

/** The actor of a change. */
export interface Actor {
  /** `admin`, or `key:<id>`. */
  readonly actor: string;
  /** Whether the actor is the tenant itself, using its key. */
  readonly tenant: boolean;
}

export const BY_ADMIN: Actor = { actor: "admin", tenant: false };

export const byKey = (keyId: string): Actor => ({ actor: `key:${keyId}`, tenant: true });

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
