/** Comparing secrets. */

/** In a time that tells nothing of where they differ. */
export async function sameSecret(given: string, secret: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [a, b] = await Promise.all([given, secret].map(async (text) => crypto.subtle.digest("SHA-256", encoder.encode(text))));
  // Digests are of one length, so that the comparison tells nothing of the secret's.
  return a !== undefined && b !== undefined && crypto.subtle.timingSafeEqual(a, b);
}
