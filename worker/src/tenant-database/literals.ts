/**
 * Values as SQL that every SQLite version reads back bit by bit. Decimal fractions are not exact: SQLite 3.40 and 3.51 each read some of
 * them as an adjacent number. No I/O. No clock.
 */
import { Buffer } from "node:buffer";

/** 2^53: up to this number, a real represents every whole number exactly. */
const EXACT = 2 ** 53;
const FRACTION_BITS = 52;
const EXPONENT_BIAS = 1_075;
/** The greatest power of two in one factor. SQLite reads its few decimal digits exactly. */
const FACTOR_BITS = 62;

/** A REAL as an expression whose every step is exact. */
export function realLiteral(value: number): string {
  // SQLite itself writes infinity as this number, which exceeds every real.
  if (!Number.isFinite(value)) return value > 0 ? "9.0e+999" : "-9.0e+999";
  if (Object.is(value, -0)) return "-0.0";
  if (Number.isInteger(value) && Math.abs(value) <= EXACT) return `${value}.0`;
  return decimalLiteral(value) ?? binaryLiteral(value);
}

/**
 * A number with few decimals. Up to three of them are safe as a literal: the nearest tie between two doubles is farther away than SQLite's
 * error in reading m / 1000. More decimals become a division, which IEEE 754 rounds correctly.
 */
function decimalLiteral(value: number): string | null {
  const [, sign = "", whole = "", decimals = ""] = /^(-?)(\d{1,15})\.(\d{1,15})$/u.exec(String(value)) ?? [];
  const digits = `${whole}${decimals}`.replace(/^0+/u, "");
  if (decimals === "" || digits.length > 15) return null;
  return decimals.length <= 3 ? String(value) : `${sign}${digits}/1${"0".repeat(decimals.length)}.0`;
}

/** The mantissa, multiplied or divided by powers of two. */
function binaryLiteral(value: number): string {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const whole = bits.getBigUint64(0);
  const biased = Number((whole >> BigInt(FRACTION_BITS)) & 0x7ffn);
  const fraction = whole & ((1n << BigInt(FRACTION_BITS)) - 1n);
  let mantissa = biased === 0 ? fraction : fraction | (1n << BigInt(FRACTION_BITS));
  let exponent = Math.max(biased, 1) - EXPONENT_BIAS;
  for (; (mantissa & 1n) === 0n; mantissa >>= 1n) exponent += 1;
  let text = `${value < 0 ? "-" : ""}${mantissa}`;
  for (let left = Math.abs(exponent); left > 0; left -= FACTOR_BITS) {
    text += `${exponent < 0 ? "/" : "*"}${1n << BigInt(Math.min(left, FACTOR_BITS))}.0`;
  }
  return text;
}

/** Characters that some reader treats as the end of a line or as a command. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

export const hasControl = (text: string): boolean => CONTROL.test(text);

/** The content of a quoted token. */
export function unquoted(token: string): string {
  const quote = token.charAt(0);
  return quote === "[" ? token.slice(1, -1) : token.slice(1, -1).replaceAll(quote + quote, quote);
}

const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const hexOf = (bytes: Uint8Array): string => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.toString("hex").toUpperCase();
};

export const blobLiteral = (bytes: Uint8Array): string => `X'${hexOf(bytes)}'`;

/** For text that a quoted literal cannot hold: with NUL, with a line break, or with bytes that are not UTF-8. */
export const textLiteral = (bytes: Uint8Array): string => `CAST(${blobLiteral(bytes)} AS TEXT)`;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text as a literal on one line. */
export function lineText(bytes: Uint8Array): string {
  const text = decoded(bytes);
  return text === null || hasControl(text) ? textLiteral(bytes) : quoteText(text);
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}
