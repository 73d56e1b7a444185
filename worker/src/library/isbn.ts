/** Parses ISBNs and normalizes them to ISBN-13. No I/O. No clock. Source: ISBN Users' Manual, 7th edition. */

export type ParsedIsbn = { readonly isbn13: string } | { readonly reason: string };

/** Accepts ISBN-10 and ISBN-13 with hyphens, dashes and spaces. */
export function parseIsbn(text: string): ParsedIsbn {
  const digits = text.replaceAll(/[\s\u00AD\u2010-\u2015-]/gu, "").toUpperCase();
  if (/^\d{9}[\dX]$/u.test(digits)) return fromIsbn10(digits);
  if (/^\d{13}$/u.test(digits)) return fromIsbn13(digits);
  return { reason: "must have 10 or 13 digits (the last of 10 may be X), with or without hyphens and spaces" };
}

function fromIsbn10(digits: string): ParsedIsbn {
  const sum = Array.from(digits).reduce((total, digit, index) => total + (10 - index) * (digit === "X" ? 10 : Number(digit)), 0);
  if (sum % 11 !== 0) return { reason: "has a wrong check digit for an ISBN-10" };
  const body = `978${digits.slice(0, 9)}`;
  return { isbn13: `${body}${checkDigit13(body)}` };
}

function fromIsbn13(digits: string): ParsedIsbn {
  if (!/^97[89]/u.test(digits)) return { reason: "must begin with 978 or 979, as every ISBN-13 does" };
  const body = digits.slice(0, 12);
  if (digits !== `${body}${checkDigit13(body)}`) return { reason: "has a wrong check digit for an ISBN-13" };
  return { isbn13: digits };
}

/** The check digit for the first twelve digits of an ISBN-13. */
function checkDigit13(body: string): number {
  const sum = Array.from(body).reduce((total, digit, index) => total + Number(digit) * (index % 2 === 0 ? 1 : 3), 0);
  return (10 - (sum % 10)) % 10;
}

export interface SortedIsbns {
  /** Number of given ISBNs, including repetitions. */
  readonly given: number;
  /** ISBN-13s in the given order, without repetitions. */
  readonly valid: readonly string[];
  readonly invalid: readonly { readonly isbn: string; readonly reason: string }[];
}

export function sortIsbns(texts: readonly string[]): SortedIsbns {
  const valid = new Set<string>();
  const invalid: { isbn: string; reason: string }[] = [];
  for (const isbn of texts) {
    const parsed = parseIsbn(isbn);
    if ("isbn13" in parsed) valid.add(parsed.isbn13);
    else invalid.push({ isbn, reason: parsed.reason });
  }
  return { given: texts.length, valid: [...valid], invalid };
}
