/** SQLite's values as an answer holds them. The platform gives every number as a double: SQL has to say which of them were integers. */
import { Buffer } from "node:buffer";
import type { WireValue } from "./types.ts";

/** Roughly what JSON takes for it. */
export function sizeOf(value: SqlStorageValue): number {
  if (typeof value === "string") return Buffer.byteLength(value) + 3;
  return value instanceof ArrayBuffer ? Math.ceil(value.byteLength / 3) * 4 + 14 : 20;
}

/** A whole number may be an integer or a real, and one beyond 2^53 may have lost its last digits. */
export const mayBeEither = (value: SqlStorageValue): boolean => Number.isInteger(value) && Math.abs(value as number) <= 2 ** 63;

export const mayBeInexact = (value: SqlStorageValue): boolean => mayBeEither(value) && !Number.isSafeInteger(value);

/** A value of a statement that cannot be read in another form: a whole number is taken for an integer. */
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
 * The same rows, each text behind a `t` and each integer as digits behind an `i`: what is left as a number is a real. The columns get their
 * names from a row that is never there, so that no name of ours is seen by the text; the LIMITs keep SQLite from evaluating a column twice.
 */
export function typedForm(text: string, columns: number, maxRows: number): string {
  const names = Array.from({ length: columns }, (_, index) => `c${index}`);
  const none = names.map((name) => `NULL AS ${name}`).join(",");
  const values = names.map(
    (name) => `CASE typeof(${name}) WHEN 'integer' THEN 'i'||${name} WHEN 'text' THEN 't'||${name} ELSE ${name} END`,
  );
  return `SELECT ${values.join(",")} FROM (SELECT ${none} WHERE 0 UNION ALL SELECT * FROM (${text}\n) LIMIT ${maxRows + 1}) LIMIT -1`;
}

export function typed(value: SqlStorageValue): WireValue {
  if (typeof value === "number") return Number.isInteger(value) ? { $real: realText(value) } : plain(value);
  if (typeof value !== "string") return plain(value);
  const rest = value.slice(1);
  if (value.startsWith("t")) return rest;
  const digits = Number(rest);
  return Number.isSafeInteger(digits) ? digits : { $int: rest };
}
