/** Grafana's signature: HMAC-SHA256 in hex over the body, or over `timestamp:body` if a timestamp is sent. No clock. */
import { bytesOf } from "../lib/bytes.ts";

/** Limits the replay of an intercepted body. */
const FRESH_SECONDS = 300;

interface Signed {
  readonly body: ArrayBuffer;
  /** Value of the header. */
  readonly signature: string;
  /** Value of its header: seconds since 1970, as digits. null: the header is missing. */
  readonly timestamp: string | null;
}

/** `stale`: correctly signed, but too old or in the future. */
export async function checkSignature(
  { body, signature, timestamp }: Signed,
  secret: string,
  now: number,
): Promise<"right" | "wrong" | "stale"> {
  if (!/^[0-9a-f]{64}$/iu.test(signature)) return "wrong";
  const signed = await new Blob([timestamp === null ? "" : `${timestamp}:`, body]).arrayBuffer();
  const key = await crypto.subtle.importKey("raw", bytesOf(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  // Compares in constant time.
  if (!(await crypto.subtle.verify("HMAC", key, Uint8Array.fromHex(signature), signed))) return "wrong";
  if (timestamp === null) return "right";
  const seconds = /^\d{1,12}$/u.test(timestamp) ? Number(timestamp) : Number.NaN;
  return Math.abs(now / 1_000 - seconds) <= FRESH_SECONDS ? "right" : "stale";
}
