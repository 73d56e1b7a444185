/** Signatures of Standard Webhooks 1.0. No clock. */

const PREFIX = "whsec_";
const encoder = new TextEncoder();

export interface Message {
  /** The same for every attempt. */
  readonly id: string;
  /** Time of this attempt in seconds since 1970. */
  readonly timestamp: number;
  readonly body: string;
}

/** Headers that authenticate the sender, with one signature per secret in the given order. */
export async function signedHeaders({ id, timestamp, body }: Message, secrets: readonly string[]): Promise<Record<string, string>> {
  const content = encoder.encode(`${id}.${timestamp}.${body}`);
  const signatures = await Promise.all(secrets.map(async (secret) => `v1,${await signature(content, secret)}`));
  return { "webhook-id": id, "webhook-timestamp": String(timestamp), "webhook-signature": signatures.join(" ") };
}

async function signature(content: BufferSource, secret: string): Promise<string> {
  const bytes = Uint8Array.from(atob(secret.slice(PREFIX.length)), (character) => character.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.sign("HMAC", key, content))));
}
