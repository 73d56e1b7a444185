/** SQLite's values in the form of an answer. The platform returns every number as a double, so SQL must report which ones are integers. */
import { Buffer } from "node:buffer";
import type { WireValue } from "./types.ts";

/** Approximate size of a value in JSON, in bytes. */
export function sizeOf(value: SqlStorageValue): number {
  if (typeof value === "string") return Buffer.byteLength(value) + 3;
  return value instanceof ArrayBuffer ? Math.ceil(value.byteLength / 3) * 4 + 14 : 20;
}

/** A whole number may be an integer or a real. */
export const mayBeEither = (value: SqlStorageValue): boolean => Number.isInteger(value) && Math.abs(value as number) <= 2 ** 63;

/** A whole number beyond 2^53 may have lost its last digits. */
export const mayBeInexact = (value: SqlStorageValue): boolean => mayBeEither(value) && !Number.isSafeInteger(value);

/** A value of a statement that has no typed form. A whole number is treated as an integer. */
export function plain(value: SqlStorageValue): WireValue {
  if (value instanceof ArrayBuffer) return { $blob: Buffer.from(value).toString("base64") };
  if (typeof value !== "number" || (mayBeEither(value) && !Object.is(value, -0))) return value;
  return Number.isInteger(value) || !Number.isFinite(value) ? { $real: realText(value) } : value;
}

const realText = (value: number): string => {
  const text = Object.is(value, -0) ? "-0" : String(value);
  return /^-?\d+$/u.test(text) ? `${text}.0` : text;
};

/**
 * A query for the same rows with types: `t` precedes text, and `i` precedes the digits of an integer. A remaining number is a real. The
 * columns get their names from a row that never appears, so `text` sees none of these names. The LIMITs keep SQLite from evaluating a
 * column twice.
 */
export function typedForm(text: string, columns: number, maxRows: number): string {
  const names = Array.from({ length: columns }, (_, index) => `c${index}`);
  const nullRow = names.map((name) => `NULL AS ${name}`).join(",");
  const values = names.map(
    (name) => `CASE typeof(${name}) WHEN 'integer' THEN 'i'||${name} WHEN 'text' THEN 't'||${name} ELSE ${name} END`,
  );
  return `SELECT ${values.join(",")} FROM (SELECT ${nullRow} WHERE 0 UNION ALL SELECT * FROM (${text}\n) LIMIT ${maxRows + 1}) LIMIT -1`;
}

/** A value that `typedForm` returned. */
export function typed(value: SqlStorageValue): WireValue {
  if (typeof value === "number") return Number.isInteger(value) ? { $real: realText(value) } : plain(value);
  if (typeof value !== "string") return plain(value);
  const rest = value.slice(1);
  if (value.startsWith("t")) return rest;
  const digits = Number(rest);
  return Number.isSafeInteger(digits) ? digits : { $int: rest };
}
