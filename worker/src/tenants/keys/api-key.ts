/**
 * The format of an API key: `qc_<live|test>_<id><secret…>` with a checksum. The checksum refuses typos without a look-up. One regular
 * expression (`API_KEY_PATTERN`) finds leaked keys in repositories. Only a keyed hash of it is stored.
 */
import { sha256Hex } from "../../lib/bytes.ts";
import { crc32 } from "node:zlib";
import { randomBase62, toBase62 } from "../../lib/base62.ts";

export const KEY_MODES = ["live", "test"] as const;
export type KeyMode = (typeof KEY_MODES)[number];

const ID_LENGTH = 10;
/** 190 bits. */
const SECRET_LENGTH = 32;
const CHECKSUM_LENGTH = 6;

/** Pattern for secret scanners. */
export const API_KEY_PATTERN = `qc_(live|test)_[0-9A-Za-z]{${ID_LENGTH}}_[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}`;

const WHOLE_KEY = new RegExp(`^${API_KEY_PATTERN}$`, "u");

export interface NewKey {
  readonly id: string;
  /** The complete key. It is returned once and never stored. */
  readonly plaintext: string;
}

/** A well-formed key of a request. It may not exist. */
export interface PresentedKey {
  readonly id: string;
  /** SHA-256 in hex. Only this hash is compared, so that the key itself stays in the authentication. */
  readonly digest: string;
}

const checksum = (text: string): string => toBase62(crc32(text), CHECKSUM_LENGTH);

function assemble(mode: KeyMode, id: string): NewKey {
  const body = `qc_${mode}_${id}_${randomBase62(SECRET_LENGTH)}`;
  return { id, plaintext: body + checksum(body) };
}

export function mintKey(mode: KeyMode): NewKey {
  return assemble(mode, randomBase62(ID_LENGTH));
}

/** A new secret for an existing key id. */
export function mintVersion(mode: KeyMode, id: string): NewKey {
  return assemble(mode, id);
}

/** Returns null if the text is not a well-formed key. */
export async function readKey(text: string): Promise<PresentedKey | null> {
  const [body, sum] = [text.slice(0, -CHECKSUM_LENGTH), text.slice(-CHECKSUM_LENGTH)];
  if (!WHOLE_KEY.test(text) || checksum(body) !== sum) return null;
  return { id: text.split("_")[2] ?? "", digest: await sha256Hex(text) };
}

/** Whether the text is meant as a key, so that the refusal can mention keys. */
export const looksLikeKey = (text: string): boolean => text.startsWith("qc_");

const encoder = new TextEncoder();

/** The stored hash. It is useless without the pepper, which is not in the database. */
export async function storedHash(digest: string, pepper: string): Promise<string> {
  const key = await crypto.subtle.importKey("raw", encoder.encode(pepper), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(digest))).toHex();
}
