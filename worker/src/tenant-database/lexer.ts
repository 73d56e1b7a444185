/**
 * Where SQL statements begin and end, and what their words are: SQLite's own tokens, and the rule by which `sqlite3_complete` ends a
 * trigger. It knows no grammar: whether a statement is right, SQLite says. No I/O. No clock.
 */

export interface Token {
  readonly kind: "word" | "quoted" | "number" | "variable" | "semicolon" | "broken" | "other";
  readonly text: string;
  readonly start: number;
}

export interface Statement {
  /** From the first token to the last, without comments around it and without its semicolon. */
  readonly text: string;
  readonly tokens: readonly Token[];
}

/** A text in a doubled quote ('it''s') is two tokens here, which changes nothing for those who ask where a statement ends. */
const TOKEN =
  /(?<space>[ \t\n\v\f\r\uFEFF]+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<quoted>'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\])|(?<word>[A-Za-z_\u{80}-\u{10FFFF}][\w$\u{80}-\u{10FFFF}]*)|(?<number>\d[\w.]*)|(?<variable>\?\d*|[:@$][\w$\u{80}-\u{10FFFF}]+)|(?<semicolon>;)|(?<broken>['"`[])|(?<other>[\s\S])/uy;

const KINDS = ["word", "quoted", "number", "variable", "semicolon", "broken"] as const;

function* tokensOf(sql: string): Generator<Token> {
  TOKEN.lastIndex = 0;
  // The expression is shared, and its position with it: nobody else may move it while the generator rests.
  for (let at = 0; at < sql.length;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(sql);
    if (match === null) return;
    const { groups = {} } = match;
    const start = at;
    at = TOKEN.lastIndex;
    if (groups["space"] === undefined) {
      yield { kind: KINDS.find((kind) => groups[kind] !== undefined) ?? "other", text: match[0], start };
    }
  }
}

/** The first words of a statement, in capitals, without EXPLAIN: what kind of statement it is. */
export function leadingWords({ tokens }: Statement, count: number): string[] {
  const words = tokens.slice(0, count + 3).map(({ kind, text }) => (kind === "word" ? text.toUpperCase() : ""));
  if (words[0] === "EXPLAIN") words.splice(0, words[1] === "QUERY" && words[2] === "PLAN" ? 3 : 1);
  return words.slice(0, count);
}

function isTrigger(statement: Statement): boolean {
  const [create, second, third] = leadingWords(statement, 3);
  return create === "CREATE" && (second === "TRIGGER" || (/^TEMP(ORARY)?$/u.test(second ?? "") && third === "TRIGGER"));
}

/** A semicolon ends a statement; one inside of a trigger does only after `; END`. */
function endsHere(statement: Statement): boolean {
  const { tokens } = statement;
  if (!isTrigger(statement)) return true;
  const [before, last] = tokens.slice(-2);
  return before?.kind === "semicolon" && last?.kind === "word" && last.text.toUpperCase() === "END";
}

function statementOf(sql: string, tokens: readonly Token[]): Statement {
  const [first, last] = [tokens[0], tokens.at(-1)];
  return { text: first && last ? sql.slice(first.start, last.start + last.text.length) : "", tokens };
}

export interface Split {
  /** Empty ones are left out. */
  readonly statements: readonly Statement[];
  /** What follows the last semicolon: a statement that goes on elsewhere, or that needs none. */
  readonly rest: string;
}

/** A quote that is never closed ends the reading: everything from its statement on is rest. */
export function split(sql: string): Split {
  const statements: Statement[] = [];
  let tokens: Token[] = [];
  let from = 0;
  for (const token of tokensOf(sql)) {
    if (token.kind === "broken") break;
    if (token.kind !== "semicolon" || !endsHere({ text: "", tokens })) {
      tokens.push(token);
      continue;
    }
    if (tokens.length > 0) statements.push(statementOf(sql, tokens));
    tokens = [];
    from = token.start + 1;
  }
  return { statements, rest: sql.slice(from) };
}

/** All statements of a text; the last one needs no semicolon. */
export function statementsIn(sql: string): readonly Statement[] {
  const { statements, rest } = split(sql);
  const last = statementOf(rest, [...tokensOf(rest)]);
  return last.tokens.length > 0 ? [...statements, last] : statements;
}

/** A statement without the comments behind it: one that is never closed would swallow the semicolon. */
export const withoutComments = (sql: string): string => statementsIn(sql)[0]?.text ?? "";
