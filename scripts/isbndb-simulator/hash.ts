/** Deterministic pseudo-random numbers, so that books are the same after each restart. No I/O, no clock. */
const finish = (word: number): number => {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
};

/** 32 bits from a non-negative safe integer. Different salts give independent results. */
export const mix = (value: number, salt = 0): number => {
  const high = Math.floor(value / 0x1_0000_0000);
  return finish(finish((value >>> 0) ^ Math.imul(salt + 1, 0x9e3779b1)) ^ Math.imul(high + 1, 0x27d4eb2f));
};

/** 32 bits from a text. FNV-1a with a final mix, because its low bits cluster. */
export const mixText = (text: string): number => {
  let word = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) word = Math.imul(word ^ text.charCodeAt(at), 0x01000193);
  return finish(word >>> 0);
};

export const pick = <T>(list: readonly T[], number: number): T => {
  const item = list[number % list.length];
  if (item === undefined) throw new Error("pick needs a list with at least one item and a non-negative whole number");
  return item;
};
