/**
 * Splits SQL into statements and words. A trigger ends by the rule of `sqlite3_complete`. The lexer knows no grammar: SQLite itself checks
 * each statement. No I/O. No clock.
 */
import { unquoted } from "./literals.ts";
import { lowerCase, tokensOf, wordOf } from "./tokens.ts";
import type { Token } from "./tokens.ts";

export interface Statement {
  /** From the first token to the last, without surrounding comments and without the semicolon. */
  readonly text: string;
  readonly tokens: readonly Token[];
}

/** The first words of a statement, in capitals and without EXPLAIN. They show its kind. */
export function leadingWords({ tokens }: Pick<Statement, "tokens">, count: number): string[] {
  const words = tokens.slice(0, count + 3).map(wordOf);
  if (words[0] === "EXPLAIN") words.splice(0, words[1] === "QUERY" && words[2] === "PLAN" ? 3 : 1);
  return words.slice(0, count);
}

function isTrigger(tokens: readonly Token[]): boolean {
  const [create, second, third] = leadingWords({ tokens }, 3);
  return create === "CREATE" && (second === "TRIGGER" || (/^TEMP(ORARY)?$/u.test(second ?? "") && third === "TRIGGER"));
}

/** A semicolon ends a statement. In a trigger, only a semicolon after `; END` does. */
function endsHere(tokens: readonly Token[]): boolean {
  return !isTrigger(tokens) || (tokens.at(-2)?.kind === "semicolon" && wordOf(tokens.at(-1)) === "END");
}

function statementOf(sql: string, tokens: readonly Token[]): Statement {
  const [first, last] = [tokens[0], tokens.at(-1)];
  return { text: first && last ? sql.slice(first.start, last.start + last.text.length) : "", tokens };
}

/** Statements in order, without empty ones. The last one needs no semicolon. A statement with an illegal token is the last. */
export function* eachStatement(sql: string): Generator<Statement> {
  let tokens: Token[] = [];
  for (const token of tokensOf(sql)) {
    if (token.kind !== "semicolon" || !endsHere(tokens)) {
      tokens.push(token);
      continue;
    }
    if (tokens.length > 0) yield statementOf(sql, tokens);
    tokens = [];
  }
  if (tokens.length > 0) yield statementOf(sql, tokens);
}

export const statementsIn = (sql: string): readonly Statement[] => [...eachStatement(sql)];

/** The local runtime stores the object's name in this table, so no backup holds it. */
const RESERVED = "__miniflare_do_name";

export const isReserved = (name: string): boolean => lowerCase(name) === RESERVED;

/** Why a statement cannot run in any database, or null. */
export function refusalOf({ tokens }: Statement): string | null {
  const illegal = tokens.find(({ kind }) => kind === "illegal");
  if (illegal !== undefined) return `unrecognized token: "${illegal.text}"`;
  // SQLite reads `#…` as a variable of its test programs. It can include quotes, and it has no meaning in SQL.
  const hash = tokens.find(({ kind, text }) => kind === "variable" && text.startsWith("#"));
  if (hash !== undefined) return `near "${hash.text}": syntax error`;
  const isNaming = ["CREATE", "ALTER"].includes(leadingWords({ tokens }, 1)[0] ?? "");
  if (isNaming && tokens.some(({ kind, text }) => isReserved(kind === "quoted" ? unquoted(text) : text))) {
    return `the name ${RESERVED} is reserved. Use a different name`;
  }
  return endsTransaction(tokens)
    ? "ROLLBACK is not available to resolve conflicts. It would end the platform's transaction. Use ABORT instead"
    : null;
}

/** `OR ROLLBACK`, `ON CONFLICT ROLLBACK` and `RAISE(ROLLBACK, …)` end the whole transaction, including the object's. */
function endsTransaction(tokens: readonly Token[]): boolean {
  return tokens.some((token, index) => {
    if (wordOf(token) !== "ROLLBACK") return false;
    const [first, second] = [tokens[index - 2], tokens[index - 1]];
    if (wordOf(second) === "OR") return ["INSERT", "UPDATE"].includes(wordOf(first));
    return (wordOf(first) === "ON" && wordOf(second) === "CONFLICT") || (wordOf(first) === "RAISE" && second?.text === "(");
  });
}
