/** Received values for error messages. */

const MAX_CHARACTERS = 80;

/** A short description of any value. It does not walk through objects, because they may be nested a million times. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  // JSON would write a number too large for JavaScript as null.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS).toWellFormed()}…` : text;
}
