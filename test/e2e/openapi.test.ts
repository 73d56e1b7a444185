/** The document and its viewer as a caller meets them: what it says is valid, whole, and true of the built Worker. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { PROBLEMS } from "../../worker/src/errors.ts";
import type { ProblemCode } from "../../worker/src/errors.ts";
import { startProduct } from "../support/node/product.ts";
import type { Product } from "../support/node/product.ts";

type Schema = Record<string, unknown>;

interface Content {
  readonly schema?: Schema;
  readonly example?: unknown;
  readonly examples?: Record<string, { readonly value: Record<string, unknown> }>;
}

interface Described {
  readonly description?: string;
  readonly headers?: Record<string, unknown>;
  readonly content?: Record<string, Content>;
}

interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly Record<string, unknown>[];
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema?: Schema; example?: unknown }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Record<string, Content> };
  readonly responses: Record<string, Described>;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly description: string };
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Record<string, Record<string, Operation>>;
}

interface Endpoint {
  /** As "GET /health". */
  readonly name: string;
  readonly operation: Operation;
}

let product: Product;
let raw: Record<string, unknown>;
/** With every $ref resolved. */
let document: Document;
let endpoints: Endpoint[];

beforeAll(async () => {
  product = await startProduct();
  raw = (await (await fetch(new URL("/openapi.json", product.url))).json()) as Record<string, unknown>;
  document = new Validator().resolveRefs({ specification: structuredClone(raw) }) as unknown as Document;
  endpoints = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );
});
afterAll(async () => product.stop());

/** Why a value is not what a schema says; nothing where it is. */
const complaints = (schema: Schema | undefined, value: unknown): string[] => {
  if (schema === undefined) return ["there is no schema"];
  const parsed = z.fromJSONSchema(schema).safeParse(value);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
};

const requestOf = ({ operation }: Endpoint): Content | undefined => operation.requestBody?.content["application/json"];
const exampleOf = (content: Content | undefined): unknown => content?.example ?? content?.schema?.["example"];
const endpoint = (name: string): Endpoint => {
  const found = endpoints.find((each) => each.name === name);
  if (!found) throw new Error(`${name} is not described`);
  return found;
};

describe("the document", () => {
  test("is valid OpenAPI 3.1", async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(raw))).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
  });

  test("describes every operation in a sentence, under a tag that is explained", () => {
    const tags = new Set(document.tags.map(({ name }) => name));
    const silent = endpoints.filter(
      ({ operation: { summary = "", tags: given = [] } }) => summary === "" || !given.some((tag) => tags.has(tag)),
    );
    expect(silent.map(({ name }) => name)).toEqual([]);
    expect(endpoints.length).toBeGreaterThanOrEqual(16);
  });

  test("says of every answer what it is, and gives every body a schema", () => {
    const poor = endpoints.flatMap(({ name, operation }) =>
      Object.entries(operation.responses)
        .filter(([status, { description = "", content }]) => {
          const contents = Object.values(content ?? {});
          const bodyless = status.startsWith("3") && contents.length === 0;
          return description === "" || (!bodyless && contents.length === 0) || contents.some(({ schema }) => schema === undefined);
        })
        .map(([status]) => `${name} ${status}`),
    );
    expect(poor).toEqual([]);
  });

  test("names the operations that are for everybody, and asks for the token everywhere else", () => {
    const open = endpoints.filter(({ operation }) => operation.security === undefined).map(({ name }) => name);
    expect(open.toSorted()).toEqual(["GET /", "GET /api/quota/status", "GET /docs", "GET /health", "GET /openapi.json"]);
    const closed = endpoints.filter(({ operation }) => operation.security !== undefined);
    for (const { name, operation } of closed) {
      expect({ name, security: operation.security, refuses: Object.keys(operation.responses).includes("401") }).toEqual({
        name,
        security: [{ admin: [] }],
        refuses: true,
      });
    }
  });

  test("says that a body may be refused as wrong or as no JSON", () => {
    for (const { name, operation } of endpoints.filter(({ operation: { requestBody } }) => requestBody !== undefined)) {
      expect({ name, answers: ["400", "415"].filter((status) => !(status in operation.responses)) }).toEqual({ name, answers: [] });
    }
  });

  test("gives every body an example that is right", () => {
    const wrong = endpoints
      .filter((each) => requestOf(each) !== undefined)
      .flatMap((each) => complaints(requestOf(each)?.schema, exampleOf(requestOf(each))).map((why) => `${each.name}: ${why}`));
    expect(wrong).toEqual([]);
  });

  test("shows answers that are as their schema says", () => {
    const wrong = endpoints.flatMap(({ name, operation }) =>
      Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
        Object.values(content).flatMap((each) => {
          const example = exampleOf(each);
          return example === undefined ? [] : complaints(each.schema, example).map((why) => `${name} ${status}: ${why}`);
        }),
      ),
    );
    expect(wrong).toEqual([]);
  });
});

describe("the errors in the document", () => {
  const problems = (): { where: string; status: string; code: string; value: Record<string, unknown>; schema: Schema | undefined }[] =>
    endpoints.flatMap(({ name, operation }) =>
      Object.entries(operation.responses).flatMap(([status, { content = {} }]) => {
        const { schema, examples = {} } = content["application/problem+json"] ?? {};
        return Object.entries(examples).map(([code, { value }]) => ({ where: `${name} ${status} ${code}`, status, code, value, schema }));
      }),
    );

  test("are problems by the document's own schema, under their status and their code", () => {
    expect(problems().length).toBeGreaterThan(50);
    const wrong = problems().flatMap(({ where, status, code, value, schema }) => {
      const misplaced = String(value["status"]) !== status || value["code"] !== code ? ["stands in the wrong place"] : [];
      return [...complaints(schema, value), ...misplaced].map((why) => `${where}: ${why}`);
    });
    expect(wrong).toEqual([]);
  });

  test("are as the catalogue of problems has them", () => {
    const wrong = problems().filter(({ code, value }) => {
      const kind: { status: number; title: string; type?: string } = PROBLEMS[code as ProblemCode];
      return value["title"] !== kind.title || value["status"] !== kind.status || value["type"] !== (kind.type ?? "about:blank");
    });
    expect(wrong).toEqual([]);
  });

  test("include every code there is, with its status, at the head of the document", () => {
    const rows = Object.entries(PROBLEMS).map(([code, { status, title }]) => `| \`${code}\` | ${status} | ${title} |`);
    expect(rows.filter((row) => !document.info.description.includes(row))).toEqual([]);
  });

  test("carry Retry-After where it helps to wait", () => {
    const silent = endpoints.flatMap(({ name, operation }) =>
      Object.entries(operation.responses)
        .filter(
          ([status, { content = {}, headers = {} }]) =>
            /429|503/u.test(status) && "application/problem+json" in content && !("Retry-After" in headers),
        )
        .map(([status]) => `${name} ${status}`),
    );
    expect(silent).toEqual([]);
  });
});

describe("what the document says is true", () => {
  const tried = new Set<string>();

  /** Sends what the document shows; says in what the answer is not the one it promises. */
  const trying = async (name: string, status: number, id?: string): Promise<string[]> => {
    tried.add(name);
    const { operation } = endpoint(name);
    const [method = "", template = ""] = name.split(" ");
    const path = template.replaceAll(/\{(\w+)\}/gu, (_, parameter: string) => {
      const { schema, example } = operation.parameters?.find((each) => each.name === parameter) ?? {};
      return id ?? String(example ?? schema?.["example"]);
    });
    const answer = await product.call(method, path, exampleOf(requestOf(endpoint(name))));
    if (answer.status !== status) return [`${name}: ${answer.status} ${JSON.stringify(answer.body)}`];
    const { content, headers = {} } = operation.responses[String(status)] ?? {};
    const missing = Object.keys(headers).filter((header) => !answer.headers.has(header));
    return [...complaints(content?.["application/json"]?.schema, answer.body), ...missing].map((why) => `${name}: ${why}`);
  };

  const reserved = async (id: string): Promise<string> => {
    await product.call("POST", "/api/quota/reservations", { calls: 10, id });
    return id;
  };

  test("enrichment and the catalogue", async () => {
    expect(await trying("POST /api/enrich/batch-direct", 200)).toEqual([]);
    expect(await trying("POST /api/authors/enrich-bibliography", 200)).toEqual([]);
    expect(await trying("POST /api/books/enrich-new-releases", 200)).toEqual([]);
    expect(await trying("GET /api/books/{isbn}", 200)).toEqual([]);
    expect(await trying("GET /api/authors/top", 200)).toEqual([]);
  });

  test("reservations", async () => {
    expect(await trying("POST /api/quota/reservations", 201)).toEqual([]);
    expect(await trying("POST /api/quota/reservations/{id}/commit", 200, await reserved("to-commit"))).toEqual([]);
    expect(await trying("DELETE /api/quota/reservations/{id}", 200, await reserved("to-release"))).toEqual([]);
  });

  test("the quota and its operation", async () => {
    expect(await trying("GET /api/quota/status", 200)).toEqual([]);
    expect(await trying("PUT /api/quota/usage", 200)).toEqual([]);
    expect(await trying("POST /api/quota/reset", 200)).toEqual([]);
    expect(await trying("PUT /api/quota/settings", 200)).toEqual([]);
    expect(await trying("DELETE /api/quota/settings", 200)).toEqual([]);
    expect(await trying("GET /api/quota/history", 200)).toEqual([]);
  });

  test("the harvest", async () => {
    expect(await trying("POST /api/harvest/targets", 200)).toEqual([]);
    expect(await trying("POST /api/harvest/run", 200)).toEqual([]);
    expect(await trying("GET /api/harvest/status", 200)).toEqual([]);
  });

  test("the service", async () => {
    expect(await trying("GET /health", 200)).toEqual([]);
    expect(await trying("GET /openapi.json", 200)).toEqual([]);
    const root = await fetch(product.url, { redirect: "manual" });
    expect({ status: root.status, location: root.headers.get("location") }).toEqual({ status: 302, location: "/docs" });
  });

  test("and no operation was left out but the two that lead to the viewer", () => {
    expect(endpoints.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual(["GET /", "GET /docs"]);
  });
});

describe("/docs", () => {
  const page = async (): Promise<{ response: Response; html: string }> => {
    const response = await fetch(new URL("/docs", product.url));
    return { response, html: await response.text() };
  };
  const linked = (html: string): string[] => [...html.matchAll(/\b(?:src|href)="([^"]*)"/gu)].map(([, address = ""]) => address);

  test("is a page that loads nothing but from our own origin, and the browser holds it to that", async () => {
    const { response, html } = await page();
    expect({ status: response.status, type: response.headers.get("content-type") }).toEqual({
      status: 200,
      type: "text/html; charset=UTF-8",
    });
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toMatch(/https?:|\*/u);
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)/u);
    expect(linked(html).filter((address) => new URL(address, product.url).origin !== product.url.origin)).toEqual([]);
  });

  test("names scripts, styles and an icon that exist", async () => {
    const { html } = await page();
    const found = await Promise.all(
      linked(html).map(async (address) => {
        const response = await fetch(new URL(address, product.url));
        const bytes = (await response.arrayBuffer()).byteLength;
        return [address, [response.status, response.headers.get("content-type")?.split(";")[0], bytes > 100]] as const;
      }),
    );
    expect(Object.fromEntries(found)).toEqual({
      "/docs-assets/favicon-32x32.png": [200, "image/png", true],
      "/docs-assets/start.js": [200, "text/javascript", true],
      "/docs-assets/swagger-ui-bundle.js": [200, "text/javascript", true],
      "/docs-assets/swagger-ui.css": [200, "text/css", true],
      "/openapi.json": [200, "application/json", true],
    });
  });

  test("starts the viewer with our document", async () => {
    const script = await (await fetch(new URL("/docs-assets/start.js", product.url))).text();
    expect(script).toContain('url: "/openapi.json"');
    expect(script).not.toMatch(/https?:/u);
  });
});
