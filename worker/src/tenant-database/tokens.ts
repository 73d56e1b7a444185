/** SQLite's tokens, by the rules of its own tokenizer (sqlite3GetToken). Linear in the length of the text. No I/O. No clock. */

export interface Token {
  /** `quoted`: a name or text in any of SQLite's four quotes. `illegal`: SQLite refuses the text, as it does a quote that never closes. */
  readonly kind: "word" | "quoted" | "number" | "blob" | "variable" | "semicolon" | "operator" | "illegal";
  readonly text: string;
  readonly start: number;
}

type Kind = Token["kind"] | "space";

const BLANK = /[ \t\n\v\f\r]*/y;
/** To SQLite each byte beyond ASCII may stand in a name. */
const NAME = /[\w$\u0080-\uFFFF]*/y;
const NUMBER = /0[xX][0-9a-fA-F][0-9a-fA-F_]*|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?/y;
const HEX = /[0-9a-fA-F]*/y;
const DIGITS = /\d*/y;
/** What may stand between the parentheses of a variable: all but blanks. */
const IN_PARENTHESES = /[^ \t\n\v\f\r)\0]*/y;
const OPERATOR = /->>|->|==|<=|<>|<<|>=|>>|!=|\|\||[-+*/%=<>&|~.,()]/y;
/** A vertical tab is a blank only behind another one. */
const FIRST_BLANK = " \t\n\f\r";
const BYTE_ORDER_MARK = "\uFEFF";

/** Where a match that begins at `from` ends; `from` where there is none. */
function past(pattern: RegExp, sql: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(sql) ? pattern.lastIndex : from;
}

/** Behind the first `text` from a place on; -1 where there is none. */
function behind(text: string, sql: string, from: number): number {
  const at = sql.indexOf(text, from);
  return at < 0 ? -1 : at + text.length;
}

/** The kind of the token that begins at `from`, and where it ends. */
function scan(sql: string, from: number): readonly [Kind, number] {
  const first = sql.charAt(from);
  const second = sql.charAt(from + 1);
  if (FIRST_BLANK.includes(first)) return ["space", past(BLANK, sql, from)];
  if (first === BYTE_ORDER_MARK) return ["space", from + 1];
  if (first === ";") return ["semicolon", from + 1];
  if (first === "-" && second === "-") {
    const end = sql.indexOf("\n", from);
    return ["space", end < 0 ? sql.length : end];
  }
  // A comment that never closes ends with the text; one that has not begun is two operators.
  if (first === "/" && second === "*" && from + 2 < sql.length) return ["space", orEnd(behind("*/", sql, from + 2), sql)];
  if (first === "'" || first === '"' || first === "`") return quoted(sql, from, first);
  if (first === "[") {
    const end = behind("]", sql, from);
    return end < 0 ? ["illegal", sql.length] : ["quoted", end];
  }
  if ((first === "x" || first === "X") && second === "'") return blob(sql, from);
  if (/[0-9]/u.test(first) || (first === "." && /[0-9]/u.test(second))) {
    const end = past(NUMBER, sql, from);
    const rest = past(NAME, sql, end);
    return [rest > end ? "illegal" : "number", rest];
  }
  if (first === "?") return ["variable", past(DIGITS, sql, from + 1)];
  if (first !== "$" && past(NAME, sql, from) > from) return ["word", past(NAME, sql, from)];
  if (first === "$" || first === "@" || first === "#" || first === ":") return variable(sql, from);
  const end = past(OPERATOR, sql, from);
  return end > from ? ["operator", end] : ["illegal", from + 1];
}

const orEnd = (at: number, sql: string): number => (at < 0 ? sql.length : at);

/** A quote that stands twice does not close. */
function quoted(sql: string, from: number, quote: string): readonly [Kind, number] {
  for (let at = behind(quote, sql, from + 1); at >= 0; at = behind(quote, sql, at + 1)) {
    if (sql.charAt(at) !== quote) return ["quoted", at];
  }
  return ["illegal", sql.length];
}

function blob(sql: string, from: number): readonly [Kind, number] {
  const end = past(HEX, sql, from + 2);
  if (sql.charAt(end) === "'" && (end - from) % 2 === 0) return ["blob", end + 1];
  return ["illegal", orEnd(behind("'", sql, end), sql)];
}

/** `$name`, `@a::b`, `:c(anything but blanks)`, and `#` alike. */
function variable(sql: string, from: number): readonly [Kind, number] {
  let named = false;
  for (let at = from + 1; ;) {
    const end = past(NAME, sql, at);
    named ||= end > at;
    if (named && sql.charAt(end) === "(") {
      const close = past(IN_PARENTHESES, sql, end + 1);
      return sql.charAt(close) === ")" ? ["variable", close + 1] : ["illegal", close];
    }
    if (!sql.startsWith("::", end)) return [named ? "variable" : "illegal", end];
    at = end + 2;
  }
}

/** Without blanks and comments. After an illegal token there is none: what follows it means nothing. */
export function* tokensOf(sql: string): Generator<Token> {
  for (let at = 0; at < sql.length;) {
    const [kind, end] = scan(sql, at);
    if (kind !== "space") yield { kind, text: sql.slice(at, end), start: at };
    if (kind === "illegal") return;
    at = end;
  }
}

/** A keyword, or a name without quotes, in capitals; empty for any other token. */
export const wordOf = (token: Token | undefined): string => (token?.kind === "word" ? token.text.toUpperCase() : "");
