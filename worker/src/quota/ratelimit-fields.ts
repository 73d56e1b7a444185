/** The IETF fields of draft-ietf-httpapi-ratelimit-headers-11, for every quota-related answer. No I/O. No clock. */
import { serializeList } from "structured-headers";
import type { QuotaStatus } from "./types.ts";
import { DAY_MS, SECOND_MS } from "../lib/time.ts";

const POLICY = "daily";

/** `RateLimit-Policy: "daily";q=13000;w=86400` and `RateLimit: "daily";r=4544;t=36000`. */
export function rateLimitFields(status: QuotaStatus): Record<string, string> {
  const atPublication = Math.ceil((Date.parse(status.reset_at) - Date.parse(status.as_of)) / SECOND_MS);
  const secondsLeft = Math.max(0, atPublication - (status.age_seconds ?? 0));
  return {
    "RateLimit-Policy": list({ q: Math.max(0, status.safety_limit), w: DAY_MS / SECOND_MS }),
    RateLimit: list({ r: status.remaining, t: secondsLeft }),
  };
}

function list(parameters: Record<string, number>): string {
  return serializeList([[POLICY, new Map(Object.entries(parameters))]]);
}
