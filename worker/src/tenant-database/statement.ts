/** Validates a query of a project's database: one statement, and values for its parameters. No I/O. No clock. */
import { Buffer } from "node:buffer";
import { leadingWords, refusalOf, statementsIn } from "./lexer.ts";
import type { Statement } from "./lexer.ts";
import { wordOf } from "./tokens.ts";
import type { Parameter } from "./types.ts";

/** A statement with its parameters. Integers are written into the text, other values are bound. */
export interface Bound {
  readonly sql: string;
  readonly values: readonly (string | number | null | ArrayBuffer)[];
}

/** A statement that may run, with its kind. */
export interface Prepared extends Bound {
  /** Can be a subquery, so that its values can be read with their types. */
  readonly isQuery: boolean;
  readonly isExplain: boolean;
}

/** An error found without SQLite. `path`: the invalid member of the request. */
export interface StatementError {
  readonly path: string;
  readonly message: string;
}

const VERBS = new Set(["SELECT", "VALUES", "INSERT", "UPDATE", "DELETE"]);
const TRANSACTIONS = new Set(["BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"]);
const OTHER_FILES = new Set(["ATTACH", "DETACH", "VACUUM"]);
/** Pragmas that only read. Others would stay in effect for later statements. */
const PRAGMAS = new Set([
  "TABLE_INFO",
  "TABLE_XINFO",
  "TABLE_LIST",
  "INDEX_LIST",
  "INDEX_INFO",
  "INDEX_XINFO",
  "FOREIGN_KEY_LIST",
  "FOREIGN_KEY_CHECK",
  "QUICK_CHECK",
]);

const MIN_INT = -(2n ** 63n);
const MAX_INT = 2n ** 63n - 1n;

/** Runs every check that needs no database. */
export function prepare(sql: string, params: readonly Parameter[]): Prepared | StatementError {
  const invalid = (message: string): StatementError => ({ path: "sql", message });
  if (!sql.isWellFormed()) return invalid("must not contain broken surrogates");
  if (sql.includes("\0")) return invalid("must not contain NUL characters. Use char(0) instead");
  const statements = statementsIn(sql);
  const [statement] = statements;
  if (!statement) return invalid("must contain a statement");
  if (statements.length > 1) return invalid(`must be one statement, not ${statements.length}. Send each in its own request`);
  const refusal = refusalOf(statement);
  if (refusal !== null) return invalid(`is not valid: ${refusal}`);
  const prohibition = prohibitionOf(statement);
  if (prohibition !== null) return invalid(prohibition);
  const bound = bind(statement, params);
  if ("path" in bound) return bound;
  const first = leadingWords(statement, 1)[0] ?? "";
  const isExplain = statement.tokens[0]?.text.toUpperCase() === "EXPLAIN";
  return { ...bound, isExplain, isQuery: !isExplain && ["SELECT", "VALUES"].includes(first === "WITH" ? verbOf(statement) : first) };
}

/** The verb of a WITH statement: the first one outside of parentheses. REPLACE can also be a name. */
function verbOf({ tokens }: Statement): string {
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    depth += token.text === "(" ? 1 : token.text === ")" ? -1 : 0;
    const word = depth === 0 ? wordOf(token) : "";
    if (VERBS.has(word) || (word === "REPLACE" && wordOf(tokens[index + 1]) === "INTO")) return word;
  }
  return "";
}

function prohibitionOf(statement: Statement): string | null {
  const [first = ""] = leadingWords(statement, 1);
  if (TRANSACTIONS.has(first)) return `must not use ${first}. Each statement is its own transaction`;
  if (OTHER_FILES.has(first)) return `must not use ${first}. A project has exactly one database`;
  if (first !== "PRAGMA") return null;
  const name = pragmaName(statement);
  const takesValue = statement.tokens.some(({ text }) => text === "=");
  if (PRAGMAS.has(name) && !takesValue) return null;
  return `must not use PRAGMA ${name.toLowerCase()}. Available: ${[...PRAGMAS].map((each) => each.toLowerCase()).join(", ")}`;
}

function pragmaName({ tokens }: Statement): string {
  const at = tokens.findIndex(({ text }) => text.toUpperCase() === "PRAGMA") + 1;
  const qualified = tokens[at + 1]?.text === ".";
  return (tokens[qualified ? at + 2 : at]?.text ?? "").toUpperCase();
}

/**
 * The platform binds numbers as reals, and a column without a type keeps them: 1 becomes 1.0. Integers are therefore written into the
 * text. They are written as sums, because ORDER BY treats a single integer as the number of a column.
 */
function bind(statement: Statement, params: readonly Parameter[]): Bound | StatementError {
  const variables = numbered(statement);
  const highest = Math.max(0, ...variables.map(({ index }) => index));
  if (variables.some(({ index }) => index === 0)) return { path: "sql", message: "must number its parameters from ?1" };
  if (highest !== params.length) {
    return { path: "params", message: `must have ${highest} values, one for each parameter of the statement, not ${params.length}` };
  }
  const values: (string | number | null | ArrayBuffer)[] = [];
  const texts: string[] = [];
  for (const [index, param] of params.entries()) {
    const read = readParameter(param);
    if (read === undefined) return { path: `params.${index}`, message: EXPECTED };
    if (typeof read === "bigint") texts.push(` (0+${read}) `);
    else texts.push(`?${values.push(read)}`);
  }
  const offset = statement.tokens[0]?.start ?? 0;
  let sql = "";
  let at = 0;
  for (const { start, length, index } of variables) {
    sql += `${statement.text.slice(at, start - offset)}${texts[index - 1] ?? ""}`;
    at = start - offset + length;
  }
  return { sql: sql + statement.text.slice(at), values };
}

/** Parameters as SQLite numbers them: `?5` is the fifth, `?` follows the highest so far, and a name counts once. */
function numbered({ tokens }: Statement): { readonly start: number; readonly length: number; readonly index: number }[] {
  const names = new Map<string, number>();
  let highest = 0;
  return tokens
    .filter(({ kind }) => kind === "variable")
    .map(({ text, start }) => {
      const known = names.get(text);
      const index = known ?? (/^\?\d/u.test(text) ? Number(text.slice(1)) : highest + 1);
      if (text !== "?") names.set(text, index);
      highest = Math.max(highest, index);
      return { start, length: text.length, index };
    });
}

const EXPECTED =
  'must be null, true, false, a string without broken surrogates, a number below 2^53, {"$int": "digits"} within 64 bits, {"$real": "1.0"} or {"$blob": "base64"}';

function readParameter(param: Parameter): string | number | null | ArrayBuffer | bigint | undefined {
  if (param === null) return null;
  if (typeof param === "boolean") return param ? 1n : 0n;
  if (typeof param === "string") return param.isWellFormed() ? param : undefined;
  if (typeof param === "number") {
    if (!Number.isInteger(param)) return param;
    return Number.isSafeInteger(param) ? BigInt(param) : undefined;
  }
  if ("$int" in param) return readInteger(param.$int);
  if ("$real" in param) return readReal(param.$real);
  return readBlob(param.$blob);
}

function readInteger(digits: string): bigint | undefined {
  if (!/^-?\d{1,19}$/u.test(digits)) return undefined;
  const value = BigInt(digits);
  return value >= MIN_INT && value <= MAX_INT ? value : undefined;
}

function readReal(text: string): number | undefined {
  return /^-?(\d{1,400}(\.\d{1,400})?(e[+-]?\d{1,3})?|Infinity)$/iu.test(text) ? Number(text) : undefined;
}

function readBlob(base64: string): ArrayBuffer | undefined {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64) return undefined;
  return new Uint8Array(bytes).buffer;
}
