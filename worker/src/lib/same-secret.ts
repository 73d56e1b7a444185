/** Comparing what somebody sent with what only we know. */

const encoder = new TextEncoder();
const digestOf = async (text: string): Promise<ArrayBuffer> => crypto.subtle.digest("SHA-256", encoder.encode(text));

/** Of the secret compared with last: mostly the administrator's, which is the same for an instance's whole life. */
let known: { readonly secret: string; readonly digest: ArrayBuffer } | null = null;

/** Takes the same time whatever is wrong with it: digests are of one length, so that the comparison tells nothing of the secret's. */
export async function sameSecret(given: string, secret: string): Promise<boolean> {
  const seen = known?.secret === secret ? known : { secret, digest: await digestOf(secret) };
  known = seen;
  return crypto.subtle.timingSafeEqual(await digestOf(given), seen.digest);
}

/** The same of two hashes, of which one is kept: whoever could see how much of it is right would know where to go on. */
export function sameHash(given: string, kept: string): boolean {
  return given.length === kept.length && crypto.subtle.timingSafeEqual(encoder.encode(given), encoder.encode(kept));
}
