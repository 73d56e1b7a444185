/** What the document promises of an answer, whatever was asked. */
import { z } from "zod";
import { PROBLEMS } from "../../worker/src/errors.ts";
import type { Reply } from "../routes/support.ts";
import type { Operation } from "./described.ts";
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

export function complaints(schema: Schema, value: unknown): string[] {
  const known = compiled.get(schema) ?? z.fromJSONSchema(schema);
  compiled.set(schema, known);
  const parsed = known.safeParse(value);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

/** Where each member is judged by itself, and told of in its own row: a wrong one is no reason to refuse the others. */
const ROW_BY_ROW = new Set(["/api/monitoring/alertmanager", "/api/monitoring/grafana", "/api/monitoring/datadog", "/api/usage/events"]);

function parsed(text: string): unknown {
  try {
    // A byte order mark is taken off by whoever decodes.
    return JSON.parse(text.replace(/^\uFEFF/u, "")) as unknown;
  } catch {
    return undefined;
  }
}

/** A text of an address, as the number that it may stand for. */
const numbered = (schema: Schema, text: string): unknown =>
  schema["type"] === "integer" && /^\d{1,15}$/u.test(text) ? Number(text) : text;

/** What the document forbids of what was sent; nothing where it allows it, or says that each row is judged by itself. */
export function forbidden(operation: Operation, { path, body }: Sent): string[] {
  const given = new URL(path, "http://coordinator.test").searchParams;
  const wrong = operation.parameters.flatMap(({ in: place, name, schema }) => {
    const all = place === "query" ? given.getAll(name) : [];
    return all.length === 1 ? complaints(schema, numbered(schema, all[0] ?? "")).map((why) => `${name} ${why}`) : [];
  });
  if (operation.body === null || ROW_BY_ROW.has(operation.path) || body instanceof Uint8Array) return wrong;
  if (body === null || body === "") return operation.body.required ? [...wrong, "no body"] : wrong;
  return [...wrong, ...complaints(operation.body.schema, parsed(body))];
}

/** What looks like the inside of a Worker. */
const INSIDE = /\bat [\w.<>]+ \(|\.tsx?\b:\d|node_modules|SQLITE_|D1_ERROR|no such (table|column)|file:\/\//u;

/** Why this answer is not one that the document promises; nothing where it is. */
export function unpromised(operation: Operation, { status, headers, text, body }: Reply): string[] {
  const described = operation.responses[String(status)];
  if (described === undefined) return [`${status} is not among ${Object.keys(operation.responses).join(", ")}: ${text.slice(0, 500)}`];
  if (status >= 500 && !(operation.path === "/health")) return [`${status}: ${text.slice(0, 500)}`];
  const type = headers.get("content-type")?.split(";")[0] ?? "";
  const content = described.content?.[type];
  if (content === undefined) return [`${status} as ${type}: the document knows ${Object.keys(described.content ?? {}).join(", ")}`];
  if (INSIDE.test(text) && status >= 400) return [`shows the inside: ${text.slice(0, 500)}`];
  if (status < 400) return type === "application/json" && content.schema ? complaints(content.schema, JSON.parse(text)) : [];
  const read = problem.safeParse(body);
  if (!read.success) return [`no problem: ${read.error.message} ${text}`];
  const { code } = read.data;
  const wrong = read.data.status === status ? [] : [`says ${read.data.status} and is ${status}`];
  if (!Object.keys(content.examples ?? {}).includes(code))
    wrong.push(`${status} ${code} is not among ${Object.keys(content.examples ?? {}).join(", ")}`);
  if (code === "invalid_request" && !fields.safeParse(body["errors"]).success) wrong.push(`names no field: ${text.slice(0, 500)}`);
  return wrong;
}
