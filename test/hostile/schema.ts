/** Random values for a JSON Schema: valid ones, and ones that are invalid in one place. Supports the keywords of the OpenAPI document. */
import * as fc from "fast-check";

export type Schema = Readonly<Record<string, unknown>>;

/** Schemas allow up to 10,000 members, but a few are enough to find faults. */
const MOST_MEMBERS = 3;
const LONGEST = 60;
/** Plausible times, and all possible times. */
const PLAUSIBLE_TIMES = { min: new Date("2024-01-01T00:00:00Z"), max: new Date("2033-12-31T00:00:00Z"), noInvalidDate: true };
const ALL_TIMES = { min: new Date("0000-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true };

const objectOf = (value: unknown): Schema => (typeof value === "object" && value !== null ? (value as Schema) : {});
const schemasOf = (value: unknown): Schema[] => (Array.isArray(value) ? (value as Schema[]) : []);
const numberOf = (value: unknown, otherwise: number): number => (typeof value === "number" ? value : otherwise);

/** Hostile text for databases, headers, pages, prototypes, terminals and decoders. */
export const HOSTILE_TEXTS = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\uD800",
  "a\uDC00b",
  "\uFEFF",
  "\u202Egnp.exe",
  "a\r\nset-cookie: qc_session=1",
  "\u001B[2J",
  "' OR '1'='1",
  "';DROP TABLE projects;--",
  '") UNION SELECT hash FROM api_key_versions --',
  "%' ESCAPE '\\",
  "\\",
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "%2e%2e%2f",
  "<script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "${7*7}{{7*7}}",
  "NaN",
  "-0",
  "1e400",
  "9007199254740993",
  "0x10",
  "١٢",
  "null",
  "[object Object]",
  "ß".repeat(200),
  "x".repeat(1_001),
  "👩‍👩‍👧‍👦".repeat(40),
] as const;

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...HOSTILE_TEXTS) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 30 }) },
);

/** Values that no field expects. */
export const anything: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom<unknown>(null, true, false, 0, -0, -1, 1.5, 1e21, 1e308, -1e308, 5e-324, 2 ** 53, 2 ** 53 + 2, -(2 ** 63)),
  fc.constantFrom<unknown>([], {}, [[]], [null], { "": "" }, JSON.parse('{"__proto__": {"admin": true}}'), {
    constructor: { prototype: {} },
  }),
  fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as unknown),
  fc.constantFrom(10, 600).map(nested),
);

/** Nested lists, deep enough to break recursive code. */
export function nested(levels: number): unknown {
  return JSON.parse("[".repeat(levels) + "]".repeat(levels));
}

/** A value that the schema allows. */
export function valid(schema: Schema): fc.Arbitrary<unknown> {
  if ("const" in schema) return fc.constant(schema["const"]);
  const variants = [...schemasOf(schema["oneOf"]), ...schemasOf(schema["anyOf"])];
  if (variants.length > 0) return fc.oneof(...variants.map(valid));
  if (Array.isArray(schema["enum"])) return fc.constantFrom(...(schema["enum"] as unknown[]));
  const types = Array.isArray(schema["type"]) ? (schema["type"] as unknown[]) : [schema["type"]];
  return fc.oneof(...types.map((type) => validOfType(type, schema)));
}

function validOfType(type: unknown, schema: Schema): fc.Arbitrary<unknown> {
  switch (type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer":
      return fc.integer(rangeOf(schema));
    case "number":
      return fc.oneof(fc.integer(rangeOf(schema)), fc.double({ ...rangeOf(schema), noNaN: true }));
    case "string":
      return text(schema);
    case "array":
      return list(schema);
    case "object":
      return object(schema);
    default:
      return anything;
  }
}

const rangeOf = (schema: Schema): { min: number; max: number } => ({
  min: numberOf(schema["minimum"], -1_000),
  max: numberOf(schema["maximum"], 2_000_000_000),
});

function text(schema: Schema): fc.Arbitrary<string> {
  const { format, pattern } = schema;
  if (format === "date-time") return fc.oneof(fc.date(PLAUSIBLE_TIMES), fc.date(ALL_TIMES)).map((date) => date.toISOString());
  if (format === "uri") return fc.webUrl({ withQueryParameters: true });
  if (typeof pattern === "string") return fc.stringMatching(new RegExp(pattern, "u"));
  const [minLength, most] = [numberOf(schema["minLength"], 0), numberOf(schema["maxLength"], LONGEST)];
  const maxLength = Math.max(minLength, Math.min(most, LONGEST));
  const short = HOSTILE_TEXTS.filter(({ length }) => length >= minLength && length <= most);
  return fc.oneof(fc.string({ unit: "grapheme", minLength, maxLength }), fc.constantFrom("9780201633610", ...short));
}

function list(schema: Schema): fc.Arbitrary<unknown[]> {
  const minLength = numberOf(schema["minItems"], 0);
  const maxLength = Math.min(numberOf(schema["maxItems"], MOST_MEMBERS), minLength + MOST_MEMBERS);
  return fc.array(valid(objectOf(schema["items"])), { minLength, maxLength });
}

function object(schema: Schema): fc.Arbitrary<Record<string, unknown>> {
  const properties = Object.entries(objectOf(schema["properties"])).map(([name, of]) => [name, valid(objectOf(of))] as const);
  const requiredKeys = (schema["required"] ?? []) as never[];
  const known = fc.record<Record<string, unknown>>(Object.fromEntries(properties), { requiredKeys, noNullPrototype: true });
  const more = schema["additionalProperties"];
  if (typeof more !== "object") return known;
  const others = fc.dictionary(fc.constantFrom("alertname", "project_id", "x", "__x"), valid(objectOf(more)), {
    maxKeys: 2,
    noNullPrototype: true,
  });
  return fc.tuple(others, known).map(([a, b]) => ({ ...a, ...b }));
}

export type Fault = "missing" | "other type" | "too long" | "out of range" | "unknown member" | "other text";

export interface Break {
  readonly fault: Fault;
  /** Index of the changed place. */
  readonly at: number;
  readonly value: unknown;
  readonly text: string;
}

export const breaks: fc.Arbitrary<Break> = fc.record(
  {
    fault: fc.constantFrom<Fault>("missing", "other type", "too long", "out of range", "unknown member", "other text"),
    at: fc.nat(1_000),
    value: anything,
    text: hostileText,
  },
  { noNullPrototype: true },
);

interface Place {
  readonly holder: Record<string, unknown> | unknown[];
  readonly name: string;
}

function placesIn(value: unknown): Place[] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Place["holder"];
  return Object.entries(holder).flatMap(([name, member]) => [{ holder, name }, ...placesIn(member)]);
}

/** The value with one place changed. The result is not always invalid, because another text may be valid too. */
export function broken(whole: unknown, { fault, at, value, text }: Break): unknown {
  const box = { body: structuredClone(whole) };
  const places = placesIn(box);
  const place = places[at % places.length];
  if (place === undefined) return value;
  const { holder, name } = place;
  const member: unknown = Reflect.get(holder, name);
  const put = (other: unknown): void =>
    void Object.defineProperty(holder, name, { value: other, enumerable: true, configurable: true, writable: true });
  if (fault === "missing" && holder !== box) Reflect.deleteProperty(holder, name);
  else if (fault === "too long") put(typeof member === "string" ? "x".repeat(50_000) : Array.from({ length: 20_000 }, () => member ?? 0));
  else if (fault === "out of range") put([-1, 2 ** 53, 0.5, -(2 ** 31), 1e300][at % 5]);
  else if (fault === "unknown member") put(typeof member === "object" && !Array.isArray(member) ? { ...member, [text]: value } : value);
  else if (fault === "other text") put(text);
  else put(value);
  return box.body;
}
