/** Errors of a request's fields in plain sentences: which field, which value was given, which values are accepted. No I/O. No clock. */
import { distance } from "fastest-levenshtein";
import { z } from "zod";
import { describeValue } from "./describe-value.ts";

export interface FieldError {
  /** Names and indexes from the root, joined by dots: `isbns.3`. */
  readonly path: string;
  /** Follows the field's name: "must be at most 200". */
  readonly message: string;
  /** As given. Absent if nothing was given, or if it is large. */
  readonly value?: unknown;
}

/** "`limit` must be at most 200 (got 1000)." */
export function sentenceOf({ path, message, value }: FieldError): string {
  const [predicate = "", ...more] = message.split(/(?<=[^.])\. (?=[A-Z])/u);
  const got = value === undefined ? "" : ` (got ${describeValue(value)})`;
  // Names of unknown fields are the sender's own text.
  const name = /^[\w.-]{1,80}$/u.test(path) ? `\`${path}\`` : describeValue(path);
  return [`${name} ${predicate}${got}`, ...more].map((part) => (/[.?…]$/u.test(part) ? part : `${part}.`)).join(" ");
}

const MOST_SENTENCES = 5;

/** All errors as text: at most five sentences, and the number of further ones. */
export function sentencesOf(errors: readonly FieldError[]): string {
  const more = errors.length - MOST_SENTENCES;
  const sentences = errors.slice(0, MOST_SENTENCES).map(sentenceOf);
  return [...sentences, ...(more > 0 ? [`And ${more} more.`] : [])].join(" ");
}

/** The likely intended one of `known`: "Did you mean `ttl_seconds`?" null: none is similar. */
export function suggestion(given: string, known: readonly string[]): string | null {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/gu, "");
  const wanted = plain(given);
  if (wanted.length < 2 || given.length > MOST_NAME_CHARACTERS) return null;
  const ranked = known
    .map((name) => ({ name, away: differenceOf(wanted, plain(name)) }))
    .filter(({ away }) => away <= MOST_DIFFERENCE)
    .toSorted((one, other) => one.away - other.away);
  const [best] = ranked;
  return best === undefined ? null : `Did you mean \`${best.name}\`?`;
}

/** A longer name is not a typo. */
const MOST_NAME_CHARACTERS = 100;
/** 0 means equal, 1 means nothing in common. */
const MOST_DIFFERENCE = 0.4;
const FEWEST_SHARED_CHARACTERS = 3;

function differenceOf(given: string, known: string): number {
  const [short, long] = given.length < known.length ? [given, known] : [known, given];
  if (short.length >= FEWEST_SHARED_CHARACTERS && long.includes(short)) return 0.1 * (1 - short.length / long.length);
  return distance(given, known) / Math.max(given.length, known.length, 1);
}

type Issue = z.core.$ZodRawIssue;

const TYPES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "an array",
  object: "an object",
  record: "an object",
  null: "null",
  date: "a date",
};

const FORMATS: Readonly<Record<string, string>> = {
  url: "must be a URL",
  datetime: "must be a time in ISO 8601, such as 2025-12-30T14:03:11Z",
  date: "must be a date, such as 2025-12-30",
  uuid: "must be a UUID",
};

const UNITS: Readonly<Record<string, string>> = { string: "character", array: "item", set: "item", map: "entry" };

/** The message of an issue that its schema gives none for. */
export function messageOf(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined ? "is required" : `must be ${TYPES[issue.expected] ?? `of type ${issue.expected}`}`;
    case "too_big":
      return bound(issue.origin, issue.exact === true ? "exactly" : issue.inclusive === false ? "less than" : "at most", issue.maximum);
    case "too_small":
      return bound(issue.origin, issue.exact === true ? "exactly" : issue.inclusive === false ? "more than" : "at least", issue.minimum);
    case "invalid_format":
      return FORMATS[issue.format] ?? "has the wrong format";
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "invalid_value":
      return oneOf(issue.values, issue.input);
    case "invalid_union":
      return unionMessage(issue.errors);
    case "unrecognized_keys":
      return unknownFields(issue.keys, issue.inst);
    case "invalid_key":
    case "invalid_element":
    case "custom":
      return "is not valid";
  }
}

// Every entry point of the Worker imports this file before it reads input, so that no message of the validation library reaches a caller.
z.config({ customError: messageOf });

const UNKNOWN = "is not a known field";
/** A body may have a hundred thousand unknown fields. */
const MOST_SUGGESTIONS = 50;

/** One line for each: several unknown fields are one issue of zod's. */
function unknownFields(keys: readonly string[], schema: unknown): string {
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  return keys.map((key, index) => (index < MOST_SUGGESTIONS ? unknownField(key, known) : UNKNOWN)).join("\n");
}

/** "is not a known field. Did you mean `ttl_seconds`?" */
export function unknownField(name: string, known: readonly string[]): string {
  return [UNKNOWN, suggestion(name, known)].filter((part) => part !== null).join(". ");
}

function bound(origin: string, relation: string, size: number | bigint | undefined): string {
  const unit = UNITS[origin];
  if (unit === undefined) return `must be ${relation} ${size}`;
  if (relation === "at least" && size === 1) return unit === "character" ? "must not be empty" : `must have at least one ${unit}`;
  return `must have ${relation} ${size} ${size === 1 ? unit : unit.replace(/y$/u, "ie")}${size === 1 ? "" : "s"}`;
}

function oneOf(values: readonly unknown[], input: unknown): string {
  if (input === undefined) return "is required";
  const names = values.map((value) => (typeof value === "string" ? value : String(value)));
  const similar = typeof input === "string" ? suggestion(input, names) : null;
  const accepted = names.length === 1 ? `must be ${names[0]}` : `must be one of ${names.join(", ")}`;
  return similar === null ? accepted : `${accepted}. ${similar}`;
}

/** Accepted types, if only the type is wrong. Otherwise the error of the best alternative. */
function unionMessage(alternatives: readonly (readonly z.core.$ZodIssue[])[]): string {
  const first = alternatives.flatMap(([issue]) => (issue === undefined ? [] : [issue]));
  if (first.every(({ message, path }) => path.length === 0 && message.startsWith("must be "))) {
    return `must be ${[...new Set(first.map(({ message }) => message.slice("must be ".length)))].join(" or ")}`;
  }
  const fitting = first.find(({ code }) => code !== "invalid_type");
  return fitting === undefined ? "is not valid" : fitting.message;
}

/** One error for each issue, and one for each unknown field. `given`: the whole input. `root`: the path of the input itself. */
export function fieldErrors(issues: readonly z.core.$ZodIssue[], given: unknown, root: string): FieldError[] {
  return issues.flatMap((issue) => {
    const at = (path: readonly PropertyKey[], message: string): FieldError => {
      const value = path.length === 0 ? undefined : small(valueAt(given, path));
      return { path: path.map(String).join(".") || root, message, ...(value === undefined ? {} : { value }) };
    };
    if (issue.code !== "unrecognized_keys") return [at(issue.path, issue.message)];
    const messages = issue.message.split("\n");
    return issue.keys.map((key, index) => at([...issue.path, key], messages[index] ?? issue.message));
  });
}

function valueAt(given: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined), given);
}

const MOST_CHARACTERS = 200;
const MOST_MEMBERS = 10;

/** A value that may be repeated to the sender: small, and of one level. undefined: it is not. */
function small(value: unknown, nested = false): unknown {
  if (typeof value === "string") return value.length <= MOST_CHARACTERS ? value : `${value.slice(0, MOST_CHARACTERS).toWellFormed()}…`;
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value);
  const fits = !nested && members.length <= MOST_MEMBERS && members.every(([, member]) => typeof member !== "object" || member === null);
  if (!fits) return undefined;
  return Array.isArray(value)
    ? value.map((member) => small(member, true))
    : Object.fromEntries(members.map(([name, member]) => [name, small(member, true)]));
}
