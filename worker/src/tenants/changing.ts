/** Changes by administrators and by keys that may: read, decide, write if nothing changed meanwhile, otherwise begin again. */
import { Problem } from "../errors.ts";
import type { Operation } from "../store/changes.ts";

/** Who asks for a change. */
export interface Actor {
  /** `admin`, or `key:<id>`. */
  readonly actor: string;
  /** Whether it is the tenant itself, whose key was let in. */
  readonly tenant: boolean;
}

export const BY_ADMIN: Actor = { actor: "admin", tenant: false };

export const byKey = (keyId: string): Actor => ({ actor: `key:${keyId}`, tenant: true });

/** Several people at one project at one moment; more than this is no coincidence any more. */
const TRIES = 8;
const RETRY_AFTER_SECONDS = 1;

export const newOperation = ({ actor }: Actor, now: number): Operation => ({ id: crypto.randomUUID(), actor, now });

/** `attempt` reads, decides and writes; null where somebody else was faster, and it must decide anew. */
export async function changing<Result>(attempt: () => Promise<Result | null>): Promise<Result> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const result = await attempt();
    if (result !== null) return result;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * 2 ** tries));
  }
  throw new Problem("conflict", "Others are changing the same thing at this moment. Try again.", {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
