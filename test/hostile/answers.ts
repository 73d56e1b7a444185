/** Compares requests and answers with the OpenAPI document. */
import { z } from "zod";
import { PROBLEMS } from "../../worker/src/errors.ts";
import type { Reply } from "../routes/support.ts";
import type { Operation } from "./operations.ts";
import type { Sent } from "./requests.ts";
import type { Schema } from "./schema.ts";

const problem = z.looseObject({
  type: z.string().min(1),
  title: z.string().min(1),
  status: z.int(),
  detail: z.string().min(1).max(4_000),
  code: z.enum(Object.keys(PROBLEMS)),
});
const fields = z
  .array(z.looseObject({ path: z.string().min(1), message: z.string().min(1).max(1_000) }))
  .min(1)
  .max(50);

const compiled = new WeakMap<Schema, z.ZodType>();

export function violations(schema: Schema, value: unknown): string[] {
  const known = compiled.get(schema) ?? z.fromJSONSchema(schema);
  compiled.set(schema, known);
  const parsed = known.safeParse(value);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

/** Routes that validate each row separately. An invalid row does not refuse the others. */
const ROW_BY_ROW = new Set(["/api/monitoring/alertmanager", "/api/monitoring/grafana", "/api/monitoring/datadog", "/api/usage/events"]);

function parsed(text: string): unknown {
  try {
    // Decoders remove a byte order mark.
    return JSON.parse(text.replace(/^\uFEFF/u, "")) as unknown;
  } catch {
    return undefined;
  }
}

/** A query value as a number, if the schema wants an integer. */
const toNumber = (schema: Schema, text: string): unknown =>
  schema["type"] === "integer" && /^\d{1,15}$/u.test(text) ? Number(text) : text;

/** Reasons why the document forbids the request. Empty if it allows the request or validates each row separately. */
export function requestViolations(operation: Operation, { path, body }: Sent): string[] {
  const given = new URL(path, "http://coordinator.test").searchParams;
  const found = operation.parameters.flatMap(({ in: place, name, schema }) => {
    const all = place === "query" ? given.getAll(name) : [];
    return all.length === 1 ? violations(schema, toNumber(schema, all[0] ?? "")).map((reason) => `${name} ${reason}`) : [];
  });
  if (operation.body === null || ROW_BY_ROW.has(operation.path) || body instanceof Uint8Array) return found;
  if (body === null || body === "") return operation.body.required ? [...found, "no body"] : found;
  return [...found, ...violations(operation.body.schema, parsed(body))];
}

/** Text that looks like internals: stack traces, SQL errors, file names. */
const INTERNALS = /\bat [\w.<>]+ \(|\.tsx?\b:\d|node_modules|SQLITE_|D1_ERROR|no such (table|column)|file:\/\//u;

/** Reasons why the answer differs from the document. Empty if it matches. */
export function answerViolations(operation: Operation, { status, headers, text, body }: Reply): string[] {
  const described = operation.responses[String(status)];
  if (described === undefined) return [`${status} is not one of ${Object.keys(operation.responses).join(", ")}: ${text.slice(0, 500)}`];
  if (status >= 500 && !(operation.path === "/health")) return [`${status}: ${text.slice(0, 500)}`];
  const type = headers.get("content-type")?.split(";")[0] ?? "";
  const content = described.content?.[type];
  if (content === undefined) return [`${status} as ${type}, documented: ${Object.keys(described.content ?? {}).join(", ")}`];
  if (INTERNALS.test(text) && status >= 400) return [`shows internals: ${text.slice(0, 500)}`];
  if (status < 400) return type === "application/json" && content.schema ? violations(content.schema, JSON.parse(text)) : [];
  const read = problem.safeParse(body);
  if (!read.success) return [`not a problem document: ${read.error.message} ${text}`];
  const { code } = read.data;
  const found = read.data.status === status ? [] : [`status member ${read.data.status}, HTTP status ${status}`];
  if (!Object.keys(content.examples ?? {}).includes(code))
    found.push(`${status} ${code} is not one of ${Object.keys(content.examples ?? {}).join(", ")}`);
  if (code === "invalid_request" && !fields.safeParse(body["errors"]).success) found.push(`without a field: ${text.slice(0, 500)}`);
  return found;
}
