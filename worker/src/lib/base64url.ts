/** Text in base64url, for cursors. */

export function toBase64Url(text: string): string {
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The decoded JSON value. Null if the text is not base64url of JSON. */
export function fromBase64Url(encoded: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(encoded, { alphabet: "base64url" })));
  } catch {
    return null;
  }
}
