/** The OpenAPI document of a running product, read like a caller. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { z } from "zod";
import type { Product } from "./product.ts";

export type Schema = Record<string, unknown>;

export interface Content {
  readonly schema?: Schema;
  readonly example?: unknown;
  readonly examples?: Record<string, { readonly value: Record<string, unknown> }>;
}

interface Described {
  readonly description?: string;
  readonly headers?: Record<string, unknown>;
  readonly content?: Record<string, Content>;
}

export interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly Record<string, unknown>[];
  readonly parameters?: readonly {
    name: string;
    in: string;
    required?: boolean;
    description?: string;
    schema?: Schema;
    example?: unknown;
  }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Record<string, Content> };
  readonly responses: Record<string, Described>;
}

export interface Document {
  readonly openapi: string;
  readonly info: { readonly description: string };
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Record<string, Record<string, Operation>>;
}

export interface Endpoint {
  /** Such as "GET /health". */
  readonly name: string;
  readonly operation: Operation;
}

export interface DescribedApi {
  readonly raw: Record<string, unknown>;
  /** The document with every $ref resolved. */
  readonly document: Document;
  readonly endpoints: readonly Endpoint[];
}

export async function readDocument(product: Product): Promise<DescribedApi> {
  const raw = (await (await fetch(new URL("/openapi.json", product.url))).json()) as Record<string, unknown>;
  const document = new Validator().resolveRefs({ specification: structuredClone(raw) }) as unknown as Document;
  const endpoints = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );
  return { raw, document, endpoints };
}

/** Reasons why a value does not match a schema. Empty if it does. */
export const complaints = (schema: Schema | undefined, value: unknown): string[] => {
  if (schema === undefined) return ["the document has no schema"];
  const parsed = z.fromJSONSchema(schema).safeParse(value);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
};

export const requestOf = ({ operation }: Endpoint): Content | undefined => operation.requestBody?.content["application/json"];
export const exampleOf = (content: Content | undefined): unknown => content?.example ?? content?.schema?.["example"];
