import { describe, expect, test } from "vitest";
import { sha256Hex } from "../../../worker/src/lib/bytes.ts";
import { BASE62, randomBase62, toBase62 } from "../../../worker/src/lib/base62.ts";
import { API_KEY_PATTERN, looksLikeKey, mintKey, mintVersion, readKey, storedHash } from "../../../worker/src/tenants/keys/api-key.ts";
import { sameHash } from "../../../worker/src/lib/same-secret.ts";
import { seeded } from "../../support/tenants/rows.ts";

const KEY = "qc_live_Q7hX2mPz4K_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0u";

describe("a key", () => {
  test.each(["live", "test"] as const)("of mode %s names it and contains its id, a secret and a checksum", (mode) => {
    const { id, plaintext } = mintKey(mode);
    expect(plaintext).toMatch(new RegExp(`^qc_${mode}_${id}_[0-9A-Za-z]{38}$`, "u"));
    expect(id).toMatch(/^[0-9A-Za-z]{10}$/u);
  });

  test("ends with the CRC-32 of everything before it in base 62, which any client can compute", async () => {
    const { plaintext } = mintKey("live");
    const [body, sum] = [plaintext.slice(0, -6), plaintext.slice(-6)];
    let crc = 0xff_ff_ff_ff;
    for (const byte of new TextEncoder().encode(body)) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xed_b8_83_20 : crc >>> 1;
    }
    const value = Array.from(sum).reduce((total, digit) => total * 62 + BASE62.indexOf(digit), 0);
    expect(value).toBe((crc ^ 0xff_ff_ff_ff) >>> 0);
    expect(await readKey(plaintext)).not.toBeNull();
  });

  test("is found by one regular expression in surrounding text", () => {
    const keys = [mintKey("live").plaintext, mintKey("test").plaintext];
    const text = [`const key = "${keys[0]}";`, `Authorization: Bearer ${keys[1]}`, `qc_live_short qc_other_${KEY.slice(8)}`].join("\n");
    expect([...text.matchAll(new RegExp(API_KEY_PATTERN, "gu"))].map(([found]) => found)).toEqual(keys);
  });

  test("is unique: ten thousand keys have ten thousand ids and secrets", () => {
    const keys = Array.from({ length: 10_000 }, () => mintKey("live"));
    expect(new Set(keys.map(({ id }) => id)).size).toBe(10_000);
    expect(new Set(keys.map(({ plaintext }) => plaintext.slice(19, -6))).size).toBe(10_000);
  });

  test("keeps only its id in a new version", () => {
    const [first, second] = [mintVersion("test", "Q7hX2mPz4K"), mintVersion("test", "Q7hX2mPz4K")];
    expect([first.id, second.id]).toEqual(["Q7hX2mPz4K", "Q7hX2mPz4K"]);
    expect(first.plaintext.startsWith("qc_test_Q7hX2mPz4K_")).toBe(true);
    expect(second.plaintext.slice(19)).not.toBe(first.plaintext.slice(19));
  });
});

describe("reading a key", () => {
  test("is parsed to its id and a digest, without the secret", async () => {
    const { id, plaintext } = mintKey("live");
    expect(await readKey(plaintext)).toEqual({ id, digest: await sha256Hex(plaintext) });
    expect(await sha256Hex("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });

  test("every single wrong character is detected, at any position", async () => {
    for (const { plaintext } of [mintKey("live"), mintKey("test")]) {
      const wrong = Array.from(plaintext).flatMap((right, place) =>
        Array.from(`${BASE62}_- é`)
          .filter((other) => other !== right)
          .map((other) => plaintext.slice(0, place) + other + plaintext.slice(place + 1)),
      );
      expect(wrong.length).toBeGreaterThan(3_500);
      const read = await Promise.all(wrong.map(async (text) => readKey(text)));
      expect(wrong.filter((_, index) => read[index] !== null)).toEqual([]);
    }
  });

  test("two swapped characters are detected, adjacent or not", async () => {
    const random = seeded(3);
    const swapped = Array.from({ length: 20 }, () => mintKey("live").plaintext).flatMap((key) =>
      Array.from({ length: key.length - 1 }, (_, place) => {
        const other = random() < 0.5 ? place + 1 : Math.floor(random() * key.length);
        const letters = Array.from(key);
        [letters[place], letters[other]] = [key.charAt(other), key.charAt(place)];
        return letters.join("");
      }).filter((text) => text !== key),
    );
    expect(swapped.length).toBeGreaterThan(800);
    expect((await Promise.all(swapped.map(async (text) => readKey(text)))).filter((read) => read !== null)).toEqual([]);
  });

  test("a shortened, extended, quoted or empty text is not a key", async () => {
    const { plaintext } = mintKey("live");
    const wrong = ["", "qc_", "qc_live_", plaintext.slice(0, -1), plaintext.slice(1), `${plaintext}a`, ` ${plaintext}`, `${plaintext}\n`];
    wrong.push(plaintext.toLowerCase(), plaintext.toUpperCase(), plaintext.replaceAll("_", "-"), `${plaintext} ${plaintext}`, KEY);
    expect(await Promise.all(wrong.map(async (text) => readKey(text)))).toEqual(wrong.map(() => null));
  });

  test.each([
    [KEY, true],
    ["qc_", true],
    ["qc-live", false],
    ["a token", false],
  ])("%s looks like a key: %s", (text, does) => expect(looksLikeKey(text)).toBe(does));
});

describe("the stored hash", () => {
  test("is an HMAC of the digest, which depends on the pepper", async () => {
    const digest = await sha256Hex(KEY);
    const hash = await storedHash(digest, "pepper-0123456789");
    expect(hash).toMatch(/^[0-9a-f]{64}$/u);
    expect(hash).not.toBe(digest);
    expect(await storedHash(digest, "pepper-0123456789")).toBe(hash);
    expect(await storedHash(digest, "pepper-0123456780")).not.toBe(hash);
    // RFC 4231, case 1.
    expect(await storedHash("Hi There", "\u000B".repeat(20))).toBe("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  });

  test("is compared completely", () => {
    const hash = "ab".repeat(32);
    expect(sameHash(hash, hash)).toBe(true);
    for (const other of ["", hash.slice(1), `${hash}a`, `c${hash.slice(1)}`, `${hash.slice(0, -1)}c`]) {
      expect(sameHash(hash, other)).toBe(false);
    }
  });
});

describe("base 62", () => {
  test("uses each character equally often", () => {
    const text = Array.from({ length: 62 }, () => randomBase62(4_000)).join("");
    const counts = new Map(Array.from(BASE62, (character) => [character, 0]));
    for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
    expect(counts.size).toBe(62);
    // Chi-squared with 61 degrees of freedom exceeds 130 in fewer than one in a million runs. A modulo without rejection gives over 1,000.
    const chi = [...counts.values()].reduce((sum, count) => sum + (count - 4_000) ** 2 / 4_000, 0);
    expect(chi).toBeLessThan(130);
  });

  test.each([
    [0, "000000"],
    [61, "00000z"],
    [62, "000010"],
    [4_294_967_295, "4gfFC3"],
  ])("writes %i as %s", (value, text) => expect(toBase62(value, 6)).toBe(text));
});
