/** Comparing what somebody sent with what only we know. */

/** Takes the same time whatever is wrong with it: digests are of one length, so that the comparison tells nothing of the secret's. */
export async function sameSecret(given: string, secret: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [a, b] = await Promise.all([given, secret].map(async (text) => crypto.subtle.digest("SHA-256", encoder.encode(text))));
  return a !== undefined && b !== undefined && crypto.subtle.timingSafeEqual(a, b);
}
