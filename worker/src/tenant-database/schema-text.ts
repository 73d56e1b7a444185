/**
 * The text of a schema object in a dump: its tokens on one line, without comments. No project can insert a line of its own. Other
 * programs find quotes at the same places as SQLite does. No I/O. No clock.
 */
import { Buffer } from "node:buffer";
import { refusalOf, statementsIn } from "./lexer.ts";
import type { Statement } from "./lexer.ts";
import { hasControl, quoteName, textLiteral, unquoted } from "./literals.ts";
import type { Token } from "./tokens.ts";
import { wordOf } from "./tokens.ts";
import { Undumpable } from "./undumpable.ts";

/** The statement that created an object. Throws `Undumpable`. */
export function statementOf(type: string, name: string, sql: string): Statement {
  const [statement, second] = statementsIn(sql);
  if (statement === undefined || second !== undefined) throw undumpable(type, name, "its text is not one statement");
  const refusal = refusalOf(statement);
  if (refusal !== null) throw undumpable(type, name, refusal);
  const variable = statement.tokens.find(({ kind }) => kind === "variable");
  if (variable !== undefined) throw undumpable(type, name, `${JSON.stringify(variable.text)} could be read as a quote`);
  return statement;
}

/** Throws `Undumpable` for names with a line break or another control character, and for a text that is too long. */
export function onOneLine(type: string, name: string, { tokens }: Statement): string {
  const isVirtual = wordOf(tokens[1]) === "VIRTUAL";
  let text = "";
  let end = tokens[0]?.start ?? 0;
  for (const token of tokens) {
    if (token.start > end) text += " ";
    text += hasControl(token.text) ? hexExpression(token, isVirtual, undumpable(type, name, CONTROL)) : token.text;
    end = token.start + token.text.length;
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES) throw undumpable(type, name, `it would have ${bytes} bytes, and a statement can have ${MAX_BYTES}`);
  return text;
}

/** The platform's limit of a statement. Text with line breaks becomes longer. */
const MAX_BYTES = 100_000;

const CONTROL = "its text holds a name or an option with a line break or another control character";

const undumpable = (type: string, name: string, reason: string): Undumpable =>
  new Undumpable(`The ${type} ${quoteName(name)} has no SQL that every reader understands in the same way: ${reason}.`);

/** A text as an expression that compares like a literal. A CAST alone would compare like a text column. */
function hexExpression({ text }: Token, isVirtual: boolean, refusal: Undumpable): string {
  if (!text.startsWith("'") || isVirtual) throw refusal;
  return `(${textLiteral(new TextEncoder().encode(unquoted(text)))}||'')`;
}

/** A quoted name of a table or column, on one line. */
export function lineName(name: string): string {
  if (hasControl(name)) throw new Undumpable(`The name ${JSON.stringify(name)} holds a line break or another control character.`);
  return quoteName(name);
}
