/**
 * Where SQL statements begin and end, and what their words are, by the rule by which `sqlite3_complete` ends a trigger. It knows no
 * grammar: whether a statement is right, SQLite says. No I/O. No clock.
 */
import { tokensOf, wordOf } from "./tokens.ts";
import type { Token } from "./tokens.ts";

export interface Statement {
  /** From the first token to the last, without comments around it and without its semicolon. */
  readonly text: string;
  readonly tokens: readonly Token[];
}

/** The first words of a statement, in capitals, without EXPLAIN: what kind of statement it is. */
export function leadingWords({ tokens }: Pick<Statement, "tokens">, count: number): string[] {
  const words = tokens.slice(0, count + 3).map(wordOf);
  if (words[0] === "EXPLAIN") words.splice(0, words[1] === "QUERY" && words[2] === "PLAN" ? 3 : 1);
  return words.slice(0, count);
}

function isTrigger(tokens: readonly Token[]): boolean {
  const [create, second, third] = leadingWords({ tokens }, 3);
  return create === "CREATE" && (second === "TRIGGER" || (/^TEMP(ORARY)?$/u.test(second ?? "") && third === "TRIGGER"));
}

/** A semicolon ends a statement; one inside of a trigger does only after `; END`. */
function endsHere(tokens: readonly Token[]): boolean {
  return !isTrigger(tokens) || (tokens.at(-2)?.kind === "semicolon" && wordOf(tokens.at(-1)) === "END");
}

function statementOf(sql: string, tokens: readonly Token[]): Statement {
  const [first, last] = [tokens[0], tokens.at(-1)];
  return { text: first && last ? sql.slice(first.start, last.start + last.text.length) : "", tokens };
}

/** One after the other; empty ones are left out, and the last one needs no semicolon. One that ends in an illegal token is the last. */
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

/** Why a statement cannot be run, whatever database it is for; null where nothing speaks against it. */
export function refusalOf({ tokens }: Statement): string | null {
  const illegal = tokens.find(({ kind }) => kind === "illegal");
  if (illegal !== undefined) return `unrecognized token: "${illegal.text}"`;
  // To SQLite a variable of its own test programs: it swallows quotes, and means nothing in SQL.
  const hash = tokens.find(({ kind, text }) => kind === "variable" && text.startsWith("#"));
  if (hash !== undefined) return `near "${hash.text}": syntax error`;
  return endsTransaction(tokens)
    ? "ROLLBACK is not offered as a way to solve conflicts: it would end the platform's own transaction"
    : null;
}

/** `OR ROLLBACK`, `ON CONFLICT ROLLBACK` and `RAISE(ROLLBACK, …)` end the whole transaction, and with it the object's. */
function endsTransaction(tokens: readonly Token[]): boolean {
  return tokens.some((token, index) => {
    if (wordOf(token) !== "ROLLBACK") return false;
    const [first, second] = [tokens[index - 2], tokens[index - 1]];
    if (wordOf(second) === "OR") return ["INSERT", "UPDATE"].includes(wordOf(first));
    return (wordOf(first) === "ON" && wordOf(second) === "CONFLICT") || (wordOf(first) === "RAISE" && second?.text === "(");
  });
}
