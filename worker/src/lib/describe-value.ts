/** Values that others sent, as an error message shows them. */

const MAX_SHOWN_CHARACTERS = 80;

/** A value in a few words: shortened, whatever it holds, and never walked through, since it may be nested a million times. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  // JSON would call a number that is too large for JavaScript null.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS).toWellFormed()}…` : text;
}
