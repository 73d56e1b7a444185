/** Base 62: digits and letters, for identifiers that are safe in URLs and file names and selected by a double click. */

export const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Larger bytes are skipped, because they would make some characters more likely. */
const FAIR_BYTES = 256 - (256 % BASE62.length);

/** `length` characters, each equally likely. */
export function randomBase62(length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      if (byte < FAIR_BYTES && text.length < length) text += BASE62.charAt(byte % BASE62.length);
    }
  }
  return text;
}

/** A non-negative integer with leading zeros. */
export function toBase62(value: number, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest = Math.floor(rest / BASE62.length)) text = BASE62.charAt(rest % BASE62.length) + text;
  return text;
}
