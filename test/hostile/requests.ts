/** Random requests: valid, invalid in one place, or arbitrary. Requests are plain data, so that a failing one can be shortened and printed. */
import * as fc from "fast-check";
import type { Operation, Parameter } from "./operations.ts";
import { anything, breaks, broken, hostileText, valid } from "./schema.ts";

export interface Sent {
  readonly as: "admin" | "project";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Null: no body. */
  readonly body: string | Uint8Array<ArrayBuffer> | null;
}

/** Ids of existing resources, by their parameter's name. */
export type Names = Readonly<Record<string, string>>;

/** Percent-encoded bytes, including malformed text. */
export function encoded(text: string): string {
  if (text.isWellFormed()) return encodeURIComponent(text);
  return Array.from(text, (sign) => (sign.isWellFormed() ? encodeURIComponent(sign) : "%ED%A0%80")).join("");
}

/** URL parsers remove these segments, so the request would change. */
const DOT_SEGMENT = /^(\.|%2e){0,2}$/iu;

const headers: fc.Arbitrary<Record<string, string>> = fc.record(
  {
    accept: fc.constantFrom(
      "*/*",
      "text/html",
      "application/json",
      "text/plain;q=1e400,",
      ",;=",
      "application/openmetrics-text; version=1.0.0",
    ),
    traceparent: fc.constantFrom(
      "00-00000000000000000000000000000000-0000000000000000-00",
      "ff-",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "x".repeat(300),
    ),
    "x-request-id": fc.constantFrom("a", "<script>", "x".repeat(200)),
    cookie: fc.constantFrom("qc_session=1", "qc_session=%00", "a=b; ".repeat(100), "=;=;"),
    "x-http-method-override": fc.constant("DELETE"),
    "x-forwarded-host": fc.constant("evil.example"),
    "accept-encoding": fc.constantFrom("identity;q=0", "br, gzip"),
    "content-type": fc.constantFrom(
      "application/json",
      "application/json; charset=utf-16",
      "application/x+json",
      "text/plain",
      "multipart/form-data",
      ";",
    ),
    "idempotency-key": fc.constantFrom("a", "x".repeat(500)),
  },
  { requiredKeys: [], noNullPrototype: true },
);

const usually = <Value>(right: fc.Arbitrary<Value>, ...others: fc.Arbitrary<Value>[]): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 5, arbitrary: right }, ...others.map((arbitrary) => ({ weight: 1, arbitrary })));

const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function path(operation: Operation, names: Names): fc.Arbitrary<string> {
  const parts = operation.path.split("/").map((part) => {
    const name = /^\{(\w+)\}$/u.exec(part)?.[1];
    if (name === undefined) return fc.constant(part);
    const schema = operation.parameters.find((each) => each.name === name)?.schema ?? { type: "string" };
    const known = names[`${operation.path.split("/")[2] ?? ""}.${name}`] ?? names[name] ?? "none";
    const other = fc.oneof(valid(schema).map(asText), hostileText).map(encoded);
    return usually(
      fc.constant(known),
      other.filter((text) => !DOT_SEGMENT.test(text)),
    );
  });
  return fc.tuple(...parts).map((all) => all.join("/"));
}

function query(parameters: readonly Parameter[], names: Names): fc.Arbitrary<string> {
  const each = parameters
    .filter((parameter) => parameter.in === "query")
    .map(({ name, schema }) => {
      const right = name === "project_id" ? fc.constant(names["id"] ?? "") : valid(schema).map(asText);
      const value = usually(right, anything.map(asText), hostileText).map((text) => `${name}=${encoded(text)}`);
      return fc.oneof(
        fc.constant(""),
        value,
        fc.tuple(value, value).map((two) => two.join("&")),
      );
    });
  const more = fc.tuple(hostileText, hostileText).map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
  return fc.tuple(...each, fc.oneof({ weight: 9, arbitrary: fc.constant("") }, { weight: 1, arbitrary: more })).map((all) => {
    const given = all.filter((text) => text !== "");
    return given.length === 0 ? "" : `?${given.join("&")}`;
  });
}

/** Damaged JSON. */
const damaged = (text: string): fc.Arbitrary<string> =>
  fc.constantFrom(
    text.slice(0, -1),
    `\uFEFF${text}`,
    `${text}x`,
    text.replace(/-?\d+/u, "1e400"),
    text.replace(/-?\d+/u, "-0"),
    text.replace("{", '{"__proto__": {"admin": true}, '),
    text.replace("{", '{"id": "twice", "id": "twice", '),
    text.replaceAll('"', "'"),
  );

/** A valid body, often with ids of existing resources. */
function validBody(operation: Operation, names: Names): fc.Arbitrary<unknown> {
  const about = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const known = Object.keys(value).filter((name) => name in names && name.endsWith("_id"));
    return { ...value, ...Object.fromEntries(known.map((name) => [name, names[name]])) };
  };
  const right = valid(operation.body?.schema ?? {});
  return fc.oneof(right.map(about), right);
}

function body(operation: Operation, names: Names): fc.Arbitrary<string | null> {
  if (operation.method === "GET") return fc.constant(null);
  const none: fc.Arbitrary<string | null> = fc.constantFrom(null, null, "");
  const anythingElse = anything.map((value) => JSON.stringify(value));
  if (operation.body === null) return usually(none, anythingElse);
  const right = validBody(operation, names);
  const nearly = fc.tuple(right, breaks).map(([value, fault]) => JSON.stringify(broken(value, fault)) ?? "");
  return fc.oneof(
    { weight: 4, arbitrary: right.map((value) => JSON.stringify(value)) },
    { weight: 8, arbitrary: nearly },
    { weight: 2, arbitrary: right.chain((value) => damaged(JSON.stringify(value))) },
    { weight: 1, arbitrary: anythingElse },
    { weight: 1, arbitrary: none },
  );
}

export function requests(operation: Operation, names: Names): fc.Arbitrary<Sent> {
  return fc.record(
    {
      as: usually<Sent["as"]>(fc.constant("admin"), fc.constant("project")),
      path: fc.tuple(path(operation, names), query(operation.parameters, names)).map((both) => both.join("")),
      headers: usually(fc.constant({}), headers),
      body: body(operation, names),
    },
    { noNullPrototype: true },
  );
}
