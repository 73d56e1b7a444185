/**
 * An endpoint's secret. It must sign, so a hash would not do; kept encrypted it would be a ciphertext under a key derived from KEY_PEPPER.
 * The secret itself is derived from it instead: as strong, and nothing is stored that could leak, be lost or have to be encrypted anew. As
 * with API keys, another pepper means other secrets.
 */

const SECRET_BITS = 256;
const encoder = new TextEncoder();

/** `whsec_` and base64, as Standard Webhooks writes it. Versions count from 1. */
export async function webhookSecret(pepper: string, webhookId: string, version: number): Promise<string> {
  const key = await crypto.subtle.importKey("raw", encoder.encode(pepper), "HKDF", false, ["deriveBits"]);
  // HKDF's purpose: many keys from one, none of which tells of the others. What it is for stands in `info`, so that nothing else made from
  // the pepper is ever the same.
  const info = encoder.encode(`quota-coordinator webhook secret\n${webhookId}\n${version}`);
  const bits = await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info }, key, SECRET_BITS);
  return `whsec_${btoa(String.fromCharCode(...new Uint8Array(bits)))}`;
}

/** When the versions of an endpoint sign. */
export interface SecretVersions {
  readonly secret_version: number;
  /** Epoch milliseconds; null: only the newest signs. */
  readonly previous_until: number | null;
}

/** The secrets that sign at `now`, the newest first. */
export async function signingSecrets(
  pepper: string,
  webhookId: string,
  { secret_version, previous_until }: SecretVersions,
  now: number,
): Promise<string[]> {
  const versions = previous_until !== null && now < previous_until ? [secret_version, secret_version - 1] : [secret_version];
  return Promise.all(versions.map(async (version) => webhookSecret(pepper, webhookId, version)));
}
