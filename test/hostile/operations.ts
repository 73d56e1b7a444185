/** The operations of the served OpenAPI document. */
import { get } from "../support/worker.ts";
import type { Schema } from "./schema.ts";

interface Content {
  readonly schema?: Schema;
  readonly examples?: Readonly<Record<string, unknown>>;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema: Schema;
}

export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** Null if the operation has no body. */
  readonly body: { readonly required: boolean; readonly schema: Schema } | null;
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Content>> }>>;
}

interface Described {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Readonly<Record<string, Content>> };
  readonly responses: Operation["responses"];
}

type Json = Readonly<Record<string, unknown>>;

/** Replaces every $ref by its target. The document has no cycles. */
function resolved(value: unknown, document: Json): unknown {
  if (Array.isArray(value)) return value.map((each: unknown) => resolved(each, document));
  if (typeof value !== "object" || value === null) return value;
  const { $ref } = value as { $ref?: string };
  if ($ref !== undefined) {
    const target = $ref
      .split("/")
      .slice(1)
      .reduce<unknown>((at, name) => (at as Json)[name], document);
    return resolved(target, document);
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, resolved(member, document)]));
}

export async function operations(): Promise<Operation[]> {
  const { body: document } = await get<Json>("/openapi.json");
  const paths = resolved(document["paths"], document) as Record<string, Record<string, Described>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses }]) => {
      const schema = requestBody?.content["application/json"]?.schema;
      const body = schema === undefined ? null : { required: requestBody?.required ?? false, schema };
      return { method: method.toUpperCase(), path, parameters, body, responses };
    }),
  );
}

export const nameOf = ({ method, path }: Operation): string => `${method} ${path}`;
