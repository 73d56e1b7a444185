/**
 * SQL without what means nothing in it: comments, and blanks that part no words. Two texts that differ in nothing else come out the same. It
 * walks the text by itself and knows nothing of the dump's tokens, whose work it helps to compare. No I/O. No clock.
 */

const isWord = (character: string): boolean => /[\w$\u0080-\uFFFF]/u.test(character);
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

export function squashed(sql: string): string {
  let out = "";
  let parted = false;
  for (let at = 0; at < sql.length;) {
    const character = sql.charAt(at);
    const end = ignoredUntil(sql, at);
    if (end > at) {
      parted = true;
      at = end;
      continue;
    }
    const close = /['"`[]/u.test(character) ? quotedUntil(sql, at, character === "[" ? "]" : character) : at + 1;
    const piece = sql.slice(at, close);
    if (parted && isWord(out.slice(-1)) && isWord(character)) out += " ";
    out += character === "'" && CONTROL.test(piece) ? spelled(piece) : piece;
    parted = false;
    at = close;
  }
  return out;
}

/** Behind blanks or a comment that begin here; the place itself where there are none. */
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

/** As a dump writes a text that no line may hold. */
function spelled(quoted: string): string {
  const bytes = [...new TextEncoder().encode(quoted.slice(1, -1).replaceAll("''", "'"))];
  return `(CAST(X'${bytes
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .toUpperCase()}'AS TEXT)||'')`;
}
