/** SQLite's tokens, by the rules of its own tokenizer (sqlite3GetToken). Takes linear time. No I/O. No clock. */

export interface Token {
  /** `quoted`: a name or text in any of SQLite's four quotes. `illegal`: SQLite refuses the text, for example an unclosed quote. */
  readonly kind: "word" | "quoted" | "number" | "blob" | "variable" | "semicolon" | "operator" | "illegal";
  readonly text: string;
  readonly start: number;
}

type Kind = Token["kind"] | "space";

const BLANK = /[ \t\n\v\f\r]*/y;
/** SQLite accepts every byte beyond ASCII in a name. */
const NAME = /[\w$\u0080-\uFFFF]*/y;
const NUMBER = /0[xX][0-9a-fA-F][0-9a-fA-F_]*|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?/y;
const HEX = /[0-9a-fA-F]*/y;
const DIGITS = /\d*/y;
/** Text between the parentheses of a variable: all characters except blanks. */
const IN_PARENTHESES = /[^ \t\n\v\f\r)\0]*/y;
const OPERATOR = /->>|->|==|<=|<>|<<|>=|>>|!=|\|\||[-+*/%=<>&|~.,()]/y;
/** A vertical tab counts as a blank only after another blank. */
const FIRST_BLANK = " \t\n\f\r";
const BYTE_ORDER_MARK = "\uFEFF";

/** The end of a match that begins at `from`, or `from` without a match. */
function endOfMatch(pattern: RegExp, sql: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(sql) ? pattern.lastIndex : from;
}

/** The end of the first `text` at or after `from`, or -1. */
function endOfText(text: string, sql: string, from: number): number {
  const at = sql.indexOf(text, from);
  return at < 0 ? -1 : at + text.length;
}

/** The kind and the end of the token that begins at `from`. */
function scan(sql: string, from: number): readonly [Kind, number] {
  const first = sql.charAt(from);
  const second = sql.charAt(from + 1);
  if (FIRST_BLANK.includes(first)) return ["space", endOfMatch(BLANK, sql, from)];
  if (first === BYTE_ORDER_MARK) return ["space", from + 1];
  if (first === ";") return ["semicolon", from + 1];
  if (first === "-" && second === "-") {
    const end = sql.indexOf("\n", from);
    return ["space", end < 0 ? sql.length : end];
  }
  // An unclosed comment ends with the text. `/*` as the last two characters is two operators.
  if (first === "/" && second === "*" && from + 2 < sql.length) return ["space", orEnd(endOfText("*/", sql, from + 2), sql)];
  if (first === "'" || first === '"' || first === "`") return quoted(sql, from, first);
  if (first === "[") {
    const end = endOfText("]", sql, from);
    return end < 0 ? ["illegal", sql.length] : ["quoted", end];
  }
  if ((first === "x" || first === "X") && second === "'") return blob(sql, from);
  if (/[0-9]/u.test(first) || (first === "." && /[0-9]/u.test(second))) {
    const end = endOfMatch(NUMBER, sql, from);
    const rest = endOfMatch(NAME, sql, end);
    return [rest > end ? "illegal" : "number", rest];
  }
  if (first === "?") return ["variable", endOfMatch(DIGITS, sql, from + 1)];
  if (first !== "$" && endOfMatch(NAME, sql, from) > from) return ["word", endOfMatch(NAME, sql, from)];
  if (first === "$" || first === "@" || first === "#" || first === ":") return variable(sql, from);
  const end = endOfMatch(OPERATOR, sql, from);
  return end > from ? ["operator", end] : ["illegal", from + 1];
}

const orEnd = (at: number, sql: string): number => (at < 0 ? sql.length : at);

/** A doubled quote does not close the token. */
function quoted(sql: string, from: number, quote: string): readonly [Kind, number] {
  for (let at = endOfText(quote, sql, from + 1); at >= 0; at = endOfText(quote, sql, at + 1)) {
    if (sql.charAt(at) !== quote) return ["quoted", at];
  }
  return ["illegal", sql.length];
}

function blob(sql: string, from: number): readonly [Kind, number] {
  const end = endOfMatch(HEX, sql, from + 2);
  if (sql.charAt(end) === "'" && (end - from) % 2 === 0) return ["blob", end + 1];
  return ["illegal", orEnd(endOfText("'", sql, end), sql)];
}

/** `$name`, `@a::b`, `:c(no blanks)`, and the same with `#`. */
function variable(sql: string, from: number): readonly [Kind, number] {
  let named = false;
  for (let at = from + 1; ;) {
    const end = endOfMatch(NAME, sql, at);
    named ||= end > at;
    if (named && sql.charAt(end) === "(") {
      const close = endOfMatch(IN_PARENTHESES, sql, end + 1);
      return sql.charAt(close) === ")" ? ["variable", close + 1] : ["illegal", close];
    }
    if (!sql.startsWith("::", end)) return [named ? "variable" : "illegal", end];
    at = end + 2;
  }
}

/** Tokens without blanks and comments. An illegal token is the last one. */
export function* tokensOf(sql: string): Generator<Token> {
  for (let at = 0; at < sql.length;) {
    const [kind, end] = scan(sql, at);
    if (kind !== "space") yield { kind, text: sql.slice(at, end), start: at };
    if (kind === "illegal") return;
    at = end;
  }
}

/** SQLite ignores the case of ASCII letters only. JavaScript also maps \u017F to S, and \u0131 to I. */
export const lowerCase = (text: string): string => text.replaceAll(/[A-Z]+/gu, (letters) => letters.toLowerCase());

/** A keyword or a name without quotes, in capitals. Empty for any other token. */
export const wordOf = (token: Token | undefined): string =>
  token?.kind === "word" ? token.text.replaceAll(/[a-z]+/gu, (letters) => letters.toUpperCase()) : "";
