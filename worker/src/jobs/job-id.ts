/** Job ids, derived from the idempotency key: the same request is the same job. No clock. */
import { sha256Hex } from "../lib/bytes.ts";

/** 160 bits rule out collisions. */
const HASH_HEX_DIGITS = 40;

/** Workflows accepts up to 100 letters, digits, `-` and `_`. */
export const JOB_ID = /^[a-z][a-z_]{0,39}-[0-9a-f]{40}(-r[1-9]\d{0,4})?$/u;

/** Id of the first run. Each part is prefixed with its length, so that different requests never have the same text. */
export async function jobId(who: string, type: string, key: string): Promise<string> {
  const text = JSON.stringify([who, type, key]);
  return `${type}-${(await sha256Hex(text)).slice(0, HASH_HEX_DIGITS)}`;
}

/** Id of the first run, from the id of any run. */
export const rootId = (id: string): string => id.replace(/-r[1-9]\d{0,4}$/u, "");

/** Id of a later run of the same job. 2: the first retry. */
export function retryId(rootId: string, run: number): string {
  return `${rootId}-r${run}`;
}
