/**
 * The form of an API key: `qc_<live|test>_<id><secret…>` with a checksum, so that a typo is refused without a look-up and a leaked key can be
 * found in a repository by one regular expression (`API_KEY_PATTERN`). Only a keyed hash of it is ever stored.
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

/** What a scanner looks for. */
export const API_KEY_PATTERN = `qc_(live|test)_[0-9A-Za-z]{${ID_LENGTH}}_[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}`;

const WHOLE_KEY = new RegExp(`^${API_KEY_PATTERN}$`, "u");

export interface NewKey {
  readonly id: string;
  /** The whole key. Shown once, stored never. */
  readonly plaintext: string;
}

/** A key as it was sent: well-formed, which says nothing of whether it exists. */
export interface PresentedKey {
  readonly id: string;
  /** SHA-256 in hex: what is compared, so that the key itself goes no further than the front door. */
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

/** A new secret for a key that keeps its id. */
export function mintVersion(mode: KeyMode, id: string): NewKey {
  return assemble(mode, id);
}

/** null where the text is no whole key: mistyped, cut off, or something else. */
export async function readKey(text: string): Promise<PresentedKey | null> {
  const [body, sum] = [text.slice(0, -CHECKSUM_LENGTH), text.slice(-CHECKSUM_LENGTH)];
  if (!WHOLE_KEY.test(text) || checksum(body) !== sum) return null;
  return { id: text.split("_")[2] ?? "", digest: await sha256Hex(text) };
}

/** Whether somebody meant to send a key, so that the refusal can speak of keys. */
export const looksLikeKey = (text: string): boolean => text.startsWith("qc_");

const encoder = new TextEncoder();

/** What is stored: useless without the pepper, which the database does not know. */
export async function storedHash(digest: string, pepper: string): Promise<string> {
  const key = await crypto.subtle.importKey("raw", encoder.encode(pepper), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(digest))).toHex();
}
