/** Compares received secrets with known ones. */

const encoder = new TextEncoder();
const digestOf = async (text: string): Promise<ArrayBuffer> => crypto.subtle.digest("SHA-256", encoder.encode(text));

/** Digest of the last known secret: mostly the admin token, which stays the same while an instance exists. */
let known: { readonly secret: string; readonly digest: ArrayBuffer } | null = null;

/** Constant time. Digests have the same length, so that the comparison does not reveal the secret's length. */
export async function sameSecret(given: string, secret: string): Promise<boolean> {
  const seen = known?.secret === secret ? known : { secret, digest: await digestOf(secret) };
  known = seen;
  return crypto.subtle.timingSafeEqual(await digestOf(given), seen.digest);
}

/** Compares two hashes, one of them stored, in constant time. Otherwise response times would reveal how many leading digits match. */
export function sameHash(given: string, kept: string): boolean {
  return given.length === kept.length && crypto.subtle.timingSafeEqual(encoder.encode(given), encoder.encode(kept));
}
