/** Command lines. One table of options defines parsing and --help. */
import { parseArgs } from "node:util";
import { UserError } from "../start/user-error.js";

/** Type of an option's value. */
export interface Kind<Value> {
  readonly expected: string;
  /** undefined if the text is invalid. */
  readonly read: (text: string) => Value | undefined;
}

interface Option {
  readonly help: string;
  /** Name of the value in --help. An option without a value is a switch. */
  readonly value?: string;
  readonly kind?: Kind<unknown>;
  /** May be repeated. */
  readonly repeatable?: true;
}

type Table = Readonly<Record<string, Option>>;

export interface CommandLine<Options extends Table = Table> {
  /** The command as typed: `npm start`. */
  readonly command: string;
  readonly about: string;
  readonly options: Options;
  /** The positional argument, if the command has one. */
  readonly argument?: { readonly name: string; readonly help: string };
  /** Text below the options, at most 80 columns wide. */
  readonly after?: string;
}

type ValueOf<Each extends Option> =
  Each extends Readonly<{ kind: Kind<infer Value> }> ? (Each extends { repeatable: true } ? readonly Value[] : Value) | undefined : boolean;
export type Values<Options extends Table> = { readonly [Name in keyof Options]: ValueOf<Options[Name]> };

const kindOf = <Value>(expected: string, read: Kind<Value>["read"]): Kind<Value> => ({ expected, read });

const numeric = (text: string, least: number, most: number): number | undefined =>
  /^\d{1,9}(\.\d{1,3})?$/u.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : undefined;

export const numberFrom = (least: number, most: number): Kind<number> =>
  kindOf(`a number from ${least} to ${most}`, (text) => numeric(text, least, most));
export const integerFrom = (least: number, most: number): Kind<number> =>
  kindOf(`a whole number from ${least} to ${most}`, (text) => (text.includes(".") ? undefined : numeric(text, least, most)));
export const oneOf = <const Names extends readonly string[]>(names: Names): Kind<Names[number]> =>
  kindOf(`one of ${names.join(", ")}`, (text) => names.find((name) => name === text));
export const text = (expected: string): Kind<string> => kindOf(expected, (given) => (given.trim() === "" ? undefined : given));
export const PATH = text("a path");
/** An http or https address. Trailing slashes are removed. */
export const address = (example: string): Kind<string> =>
  kindOf(`an address such as ${example}`, (given) => {
    const { protocol = "", href } = URL.parse(given) ?? {};
    return /^https?:$/u.test(protocol) ? href?.replace(/\/+$/u, "") : undefined;
  });

/** null if --help is given. Throws `UserError` for the first unknown option or invalid value. */
export function readOptions<Options extends Table>(
  { command, options, argument }: CommandLine<Options>,
  args: readonly string[],
): { readonly values: Values<Options>; readonly argument: string | undefined } | null {
  const table: Table = options;
  const types = Object.entries(table).map(([name, { kind }]) => [name, { type: kind ? "string" : "boolean" }] as const);
  const known = { ...Object.fromEntries(types), help: { type: "boolean", short: "h" } } as const;
  const { tokens } = parseArgs({ args: [...args], options: known, strict: false, allowPositionals: true, tokens: true });
  if (tokens.some((token) => token.kind === "option" && token.name === "help")) return null;
  const values: Record<string, unknown> = Object.fromEntries(
    types.flatMap(([name, { type }]) => (type === "boolean" ? [[name, false]] : [])),
  );
  const operands = tokens.flatMap((token) => (token.kind === "positional" ? [token.value] : []));
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const option = Object.hasOwn(table, token.name) ? table[token.name] : undefined;
    if (!option) throw new UserError(`Unknown option ${token.rawName}. Options: ${namesOf(table)}. See ${command} -- --help.`);
    const value = valueOf(token, option);
    const before = values[token.name];
    values[token.name] = option.repeatable ? [...(Array.isArray(before) ? (before as unknown[]) : []), value] : value;
  }
  const [unexpected] = argument ? operands.slice(1) : operands;
  // npm takes options before "--" for itself and passes on only their values.
  if (unexpected !== undefined)
    throw new UserError(
      `Unexpected argument "${unexpected}". Write options after "--": ${command} -- ${usageOf(Object.entries(table)[0])}`,
    );
  return { values: values as Values<Options>, argument: operands[0] };
}

interface Token {
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function valueOf({ rawName, value, inlineValue }: Token, { kind }: Option): unknown {
  if (!kind) {
    if (value === undefined) return true;
    throw new UserError(`${rawName} takes no value (got ${JSON.stringify(value)}).`);
  }
  // The next argument may be another option.
  const given = inlineValue === false && value?.startsWith("--") ? undefined : value;
  const read = given === undefined ? undefined : kind.read(given);
  if (read !== undefined) return read;
  throw new UserError(`${rawName} must be ${kind.expected} (got ${given === undefined ? "no value" : JSON.stringify(given)}).`);
}

const namesOf = (table: Table): string => [...Object.keys(table), "help"].map((name) => `--${name}`).join(", ");
const usageOf = ([name, { value }]: [string, Option] = ["help", { help: "" }]): string =>
  `--${name}${value === undefined ? "" : ` ${value}`}`;

const WIDTH = 80;

/** Lines of at most `width` characters, broken between words. */
const wrap = (words: string, width: number): string[] =>
  words
    .replaceAll(new RegExp(`(.{1,${width}})(?: +|$)`, "gu"), "$1\n")
    .trimEnd()
    .split("\n");

/** Two columns. Wraps the second one. */
export function columns(rows: readonly (readonly [string, string])[]): string {
  const indent = 4 + Math.max(...rows.map(([first]) => first.length));
  const lines = rows.flatMap(([first, second]) =>
    wrap(second, WIDTH - indent).map((line, index) => `${(index === 0 ? `  ${first}` : "").padEnd(indent)}${line}`),
  );
  return lines.join("\n");
}

export function helpOf({ command, about, options, argument, after }: CommandLine): string {
  const table = columns([
    ...(argument ? [[argument.name, argument.help] as const] : []),
    ...Object.entries(options).map((entry) => [usageOf(entry), entry[1].help] as const),
    ["--help", "show this help"],
  ]);
  const usage = `${command} -- ${argument ? argument.name : "[options]"}`;
  return [usage, wrap(about, WIDTH).join("\n"), table, ...(after === undefined ? [] : [after])].join("\n\n");
}

/** Prints the help or runs the command. Prints `UserError` without a stack. The exit code after an error is 1. */
export async function runCommand<Options extends Table>(
  line: CommandLine<Options>,
  main: (values: Values<Options>, argument: string | undefined) => unknown,
): Promise<void> {
  try {
    const read = readOptions(line, process.argv.slice(2));
    if (read === null) console.log(helpOf(line));
    else await main(read.values, read.argument);
  } catch (error) {
    console.error(error instanceof UserError ? error.message : error);
    process.exitCode = 1;
  }
}
