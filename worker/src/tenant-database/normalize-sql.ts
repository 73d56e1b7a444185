/**
 * SQL without comments and without blanks that separate no words. Two texts with no other difference have the same result. The survey
 * checks the dump with this code, so it does not use the dump's tokens. No I/O. No clock.
 */

const isWord = (character: string): boolean => /[\w$\u0080-\uFFFF]/u.test(character);
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

export function normalizedSql(sql: string): string {
  let out = "";
  let separated = false;
  for (let at = 0; at < sql.length;) {
    const character = sql.charAt(at);
    const end = ignoredUntil(sql, at);
    if (end > at) {
      separated = true;
      at = end;
      continue;
    }
    const close = /['"`[]/u.test(character) ? quotedUntil(sql, at, character === "[" ? "]" : character) : at + 1;
    const piece = sql.slice(at, close);
    if (separated && isWord(out.slice(-1)) && isWord(character)) out += " ";
    out += character === "'" && CONTROL.test(piece) ? hexExpression(piece) : piece;
    separated = false;
    at = close;
  }
  return out;
}

/** The end of a blank or a comment at `at`, or `at` itself. */
function ignoredUntil(sql: string, at: number): number {
  if (" \t\n\v\f\r\uFEFF".includes(sql.charAt(at))) return at + 1;
  const [open, close] = sql.startsWith("--", at) ? ["--", "\n"] : ["/*", "*/"];
  if (!sql.startsWith(open, at)) return at;
  const end = sql.indexOf(close, at + open.length);
  return end < 0 ? sql.length : end + close.length;
}

function quotedUntil(sql: string, at: number, close: string): number {
  for (let end = sql.indexOf(close, at + 1); end >= 0; end = sql.indexOf(close, end + 2)) {
    if (close === "]" || sql.charAt(end + 1) !== close) return end + 1;
  }
  return sql.length;
}

/** A text with control characters, in the form of a dump. */
function hexExpression(quoted: string): string {
  const bytes = [...new TextEncoder().encode(quoted.slice(1, -1).replaceAll("''", "'"))];
  return `(CAST(X'${bytes
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .toUpperCase()}'AS TEXT)||'')`;
}
