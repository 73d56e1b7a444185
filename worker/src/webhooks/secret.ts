/**
 * An endpoint's secret. It must sign, so storing a hash is not enough. It is derived from KEY_PEPPER instead of being stored. The derived
 * secret is as strong as a stored encrypted one and cannot leak or be lost. As with API keys, a different pepper means different secrets.
 */

const SECRET_BITS = 256;
const encoder = new TextEncoder();

/** `whsec_` and base64, the format of Standard Webhooks. Versions start at 1. */
export async function webhookSecret(pepper: string, webhookId: string, version: number): Promise<string> {
  const key = await crypto.subtle.importKey("raw", encoder.encode(pepper), "HKDF", false, ["deriveBits"]);
  // HKDF derives many independent keys from one. `info` contains the purpose, so that keys for other purposes differ.
  const info = encoder.encode(`quota-coordinator webhook secret\n${webhookId}\n${version}`);
  const bits = await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info }, key, SECRET_BITS);
  return `whsec_${btoa(String.fromCharCode(...new Uint8Array(bits)))}`;
}

/** Which versions of an endpoint's secret sign. */
export interface SecretVersions {
  readonly secret_version: number;
  /** Epoch milliseconds. null: only the newest signs. */
  readonly previous_until: number | null;
}

/** The secrets that sign at `now`, newest first. */
export async function signingSecrets(
  pepper: string,
  webhookId: string,
  { secret_version, previous_until }: SecretVersions,
  now: number,
): Promise<string[]> {
  const versions = previous_until !== null && now < previous_until ? [secret_version, secret_version - 1] : [secret_version];
  return Promise.all(versions.map(async (version) => webhookSecret(pepper, webhookId, version)));
}
