/** Grafana's signature: HMAC-SHA256 in hex over the body, or over `timestamp:body` where a timestamp is sent. No clock. */

/** A signed body that was overheard is of use no longer than this. */
const FRESH_SECONDS = 300;

interface Signed {
  readonly body: ArrayBuffer;
  /** Of the header. */
  readonly signature: string;
  /** Of its header: seconds since 1970, as digits; null where none was sent. */
  readonly timestamp: string | null;
}

/** `stale`: rightly signed, and too long ago or in the future. */
export async function checkSignature(
  { body, signature, timestamp }: Signed,
  secret: string,
  now: number,
): Promise<"right" | "wrong" | "stale"> {
  const encoder = new TextEncoder();
  const bytes = /^(?:[0-9a-f]{2}){32}$/iu.test(signature)
    ? Uint8Array.from(signature.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16))
    : null;
  if (bytes === null) return "wrong";
  const prefix = encoder.encode(timestamp === null ? "" : `${timestamp}:`);
  const signed = new Uint8Array(prefix.length + body.byteLength);
  signed.set(prefix);
  signed.set(new Uint8Array(body), prefix.length);
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  // Compares in a time that tells nothing.
  if (!(await crypto.subtle.verify("HMAC", key, bytes, signed))) return "wrong";
  if (timestamp === null) return "right";
  const seconds = /^\d{1,12}$/u.test(timestamp) ? Number(timestamp) : Number.NaN;
  return Math.abs(now / 1_000 - seconds) <= FRESH_SECONDS ? "right" : "stale";
}
