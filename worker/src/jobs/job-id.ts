/** A job's id, which is its idempotency key in another form: the same request is the same job. No clock. */
import { sha256Hex } from "../lib/bytes.ts";

/** 160 bits: nobody meets another's job by chance. */
const HASH_HEX_DIGITS = 40;

/** Workflows takes up to 100 letters, digits, `-` and `_`. */
export const JOB_ID = /^[a-z][a-z_]{0,39}-[0-9a-f]{40}(-r[1-9]\d{0,4})?$/u;

/** The first run's id. Each part is framed by its length, so that no two requests read alike. */
export async function jobId(who: string, type: string, key: string): Promise<string> {
  const text = JSON.stringify([who, type, key]);
  return `${type}-${(await sha256Hex(text)).slice(0, HASH_HEX_DIGITS)}`;
}

/** The first run's id, of any run's. */
export const rootId = (id: string): string => id.replace(/-r[1-9]\d{0,4}$/u, "");

/** The id of a later run of the same job: 2 for the first retry. */
export function retryId(rootId: string, run: number): string {
  return `${rootId}-r${run}`;
}
