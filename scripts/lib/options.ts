/** Command lines: one table of options, from which both reading and --help follow. */
import { parseArgs } from "node:util";
import { Foreseen } from "../start/foreseen.js";

/** What the value of an option may be. */
export interface Kind<Value> {
  readonly expected: string;
  /** Undefined where the text is not acceptable. */
  readonly read: (text: string) => Value | undefined;
}

interface Option {
  readonly help: string;
  /** The value's name in --help. An option without a value is a switch. */
  readonly value?: string;
  readonly kind?: Kind<unknown>;
  /** May be repeated. */
  readonly many?: true;
}

type Table = Readonly<Record<string, Option>>;

export interface CommandLine<Options extends Table = Table> {
  /** As it is typed: `npm start`. */
  readonly command: string;
  readonly about: string;
  readonly options: Options;
  /** The one argument without a name, if there is one. */
  readonly argument?: { readonly name: string; readonly help: string };
  /** Stands below the options, at most 80 columns wide. */
  readonly after?: string;
}

type Given<Each extends Option> =
  Each extends Readonly<{ kind: Kind<infer Value> }> ? (Each extends { many: true } ? readonly Value[] : Value) | undefined : boolean;
export type Values<Options extends Table> = { readonly [Name in keyof Options]: Given<Options[Name]> };

const from = <Value>(expected: string, read: Kind<Value>["read"]): Kind<Value> => ({ expected, read });

const numeric = (text: string, least: number, most: number): number | undefined =>
  /^\d{1,9}(\.\d{1,3})?$/u.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : undefined;

export const numberFrom = (least: number, most: number): Kind<number> =>
  from(`a number from ${least} to ${most}`, (text) => numeric(text, least, most));
export const wholeFrom = (least: number, most: number): Kind<number> =>
  from(`a whole number from ${least} to ${most}`, (text) => (text.includes(".") ? undefined : numeric(text, least, most)));
export const oneOf = <const Names extends readonly string[]>(names: Names): Kind<Names[number]> =>
  from(`one of ${names.join(", ")}`, (text) => names.find((name) => name === text));
export const text = (expected: string): Kind<string> => from(expected, (given) => (given.trim() === "" ? undefined : given));
export const PATH = text("a path");
/** An origin or a path below it, without slashes at its end. */
export const address = (example: string): Kind<string> =>
  from(`an address such as ${example}`, (given) => {
    const { protocol = "", href } = URL.parse(given) ?? {};
    return /^https?:$/u.test(protocol) ? href?.replace(/\/+$/u, "") : undefined;
  });

/** Null where the help was asked for. Throws `Foreseen` for the first option that is unknown, or whose value is not acceptable. */
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
    if (!option)
      throw new Foreseen(`Unknown option ${token.rawName}; expected one of ${namesOf(table)} (${command} -- --help explains them).`);
    const value = valueOf(token, option);
    const before = values[token.name];
    values[token.name] = option.many ? [...(Array.isArray(before) ? (before as unknown[]) : []), value] : value;
  }
  const [unexpected] = argument ? operands.slice(1) : operands;
  // npm keeps options for itself that do not stand after "--", and hands on only their values.
  if (unexpected !== undefined)
    throw new Foreseen(`Unexpected argument "${unexpected}"; write options after "--": ${command} -- ${usageOf(Object.entries(table)[0])}`);
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
    throw new Foreseen(`${rawName} is given the value ${JSON.stringify(value)}; expected no value.`);
  }
  // What follows may be the next option.
  const given = inlineValue === false && value?.startsWith("--") ? undefined : value;
  const read = given === undefined ? undefined : kind.read(given);
  if (read !== undefined) return read;
  throw new Foreseen(`${rawName} ${given === undefined ? "has no value" : `is ${JSON.stringify(given)}`}; expected ${kind.expected}.`);
}

const namesOf = (table: Table): string => [...Object.keys(table), "help"].map((name) => `--${name}`).join(", ");
const usageOf = ([name, { value }]: [string, Option] = ["help", { help: "" }]): string =>
  `--${name}${value === undefined ? "" : ` ${value}`}`;

const WIDTH = 80;

/** Lines of at most `width` characters, broken between words. */
const wrapped = (words: string, width: number): string[] =>
  words
    .replaceAll(new RegExp(`(.{1,${width}})(?: +|$)`, "gu"), "$1\n")
    .trimEnd()
    .split("\n");

/** Two columns, the second one wrapped. */
export function columns(rows: readonly (readonly [string, string])[]): string {
  const indent = 4 + Math.max(...rows.map(([first]) => first.length));
  const lines = rows.flatMap(([first, second]) =>
    wrapped(second, WIDTH - indent).map((line, index) => `${(index === 0 ? `  ${first}` : "").padEnd(indent)}${line}`),
  );
  return lines.join("\n");
}

export function helpOf({ command, about, options, argument, after }: CommandLine): string {
  const table = columns([
    ...(argument ? [[argument.name, argument.help] as const] : []),
    ...Object.entries(options).map((entry) => [usageOf(entry), entry[1].help] as const),
    ["--help", "this page"],
  ]);
  const usage = `${command} -- ${argument ? argument.name : "[options]"}`;
  return [usage, wrapped(about, WIDTH).join("\n"), table, ...(after === undefined ? [] : [after])].join("\n\n");
}

/** Prints the help, or runs the command. An error that explains itself is shown without a stack; after any, the exit code is 1. */
export async function runCommand<Options extends Table>(
  line: CommandLine<Options>,
  main: (values: Values<Options>, argument: string | undefined) => unknown,
): Promise<void> {
  try {
    const read = readOptions(line, process.argv.slice(2));
    if (read === null) console.log(helpOf(line));
    else await main(read.values, read.argument);
  } catch (error) {
    console.error(error instanceof Foreseen ? error.message : error);
    process.exitCode = 1;
  }
}
