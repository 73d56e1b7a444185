/** The served OpenAPI document and its viewer are valid and complete. openapi-truth.ts compares the document with real answers. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { beforeAll, describe, expect, test } from "vitest";
import { PROBLEMS } from "../../worker/src/errors.ts";
import type { ProblemCode } from "../../worker/src/errors.ts";
import { ROUTES, routeName } from "../routes/all-routes.ts";
import { complaints, exampleOf, readDocument, requestOf } from "../support/node/document.ts";
import type { Document, Endpoint, Schema } from "../support/node/document.ts";
import { sharedProduct } from "../support/node/product.ts";
import type { Product } from "../support/node/product.ts";

let product: Product;
let raw: Record<string, unknown>;
let document: Document;
let endpoints: readonly Endpoint[];

beforeAll(async () => {
  product = await sharedProduct();
  ({ raw, document, endpoints } = await readDocument(product));
});

/** Routes that also accept a project's key. */
const forProjects: ReadonlySet<string> = new Set(
  ROUTES.filter(({ access }) => typeof access === "object").map((route) =>
    routeName(route).replace("{reservation}", "{id}").replace("{organization}", "{id}"),
  ),
);

/** Credential of each route for monitoring systems. */
const sources = new Map(
  ROUTES.flatMap((route) =>
    typeof route.access === "string" && !["everybody", "admin"].includes(route.access) ? [[routeName(route), route.access] as const] : [],
  ),
);

describe("the document", () => {
  test("is valid OpenAPI 3.1", async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(raw))).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
  });

  test("has a summary and a described tag for every operation", () => {
    const tags = new Set(document.tags.map(({ name }) => name));
    const withoutDescription = endpoints.filter(
      ({ operation: { summary = "", tags: given = [] } }) => summary === "" || !given.some((tag) => tags.has(tag)),
    );
    expect(withoutDescription.map(({ name }) => name)).toEqual([]);
    expect(endpoints.length).toBeGreaterThanOrEqual(47);
  });

  test("describes every answer and has a schema for every body", () => {
    const incomplete = endpoints.flatMap(({ name, operation }) =>
      Object.entries(operation.responses)
        .filter(([status, { description = "", content }]) => {
          const contents = Object.values(content ?? {});
          const bodyless = status.startsWith("3") && contents.length === 0;
          return description === "" || (!bodyless && contents.length === 0) || contents.some(({ schema }) => schema === undefined);
        })
        .map(([status]) => `${name} ${status}`),
    );
    expect(incomplete).toEqual([]);
  });

  test("marks the public operations, and names the credentials of all others", () => {
    const open = endpoints.filter(({ operation }) => operation.security === undefined).map(({ name }) => name);
    expect(open.toSorted()).toEqual([
      "GET /",
      "GET /api/quota/status",
      "GET /docs",
      "GET /docs/errors",
      "GET /health",
      "GET /openapi.json",
    ]);
    const closed = endpoints.filter(({ operation }) => operation.security !== undefined);
    for (const { name, operation } of closed) {
      const other = forProjects.has(name) ? "project" : name === "GET /metrics" ? "metrics" : sources.get(name);
      const security = [{ admin: [] }, ...(other === undefined ? [] : [{ [other]: [] }])];
      expect({ name, security: operation.security, refuses: ["401", "403"].filter((status) => status in operation.responses) }).toEqual({
        name,
        security,
        refuses: ["401", "403"],
      });
    }
  });

  test("describes every parameter, with an example for each path parameter", () => {
    const incomplete = endpoints.flatMap(({ name, operation: { parameters = [] } }) =>
      parameters
        .filter(({ in: place, description = "", schema, example }) => {
          const value = example ?? schema?.["example"];
          return (
            description === "" || (place === "path" && value === undefined) || (value !== undefined && complaints(schema, value).length > 0)
          );
        })
        .map((parameter) => `${name} ${parameter.name}`),
    );
    expect(incomplete).toEqual([]);
    const missing = endpoints.flatMap(({ name, operation: { parameters = [] } }) => {
      const inPath = [...name.matchAll(/\{(\w+)\}/gu)].map(([, parameter = ""]) => parameter);
      return inPath.filter(
        (each) => !parameters.some((parameter) => parameter.name === each && parameter.in === "path" && parameter.required),
      );
    });
    expect(missing).toEqual([]);
  });

  test("documents the answers to invalid bodies and to other content types", () => {
    for (const { name, operation } of endpoints.filter(({ operation: { requestBody } }) => requestBody !== undefined)) {
      const invalid = sources.has(name) ? "422" : "400";
      expect({ name, answers: [invalid, "415"].filter((status) => !(status in operation.responses)) }).toEqual({ name, answers: [] });
    }
  });

  test("allows null in place of a nullable named schema", () => {
    const contradictions = (value: unknown, at: string): string[] => {
      if (typeof value !== "object" || value === null) return [];
      const { allOf = [] } = value as { allOf?: { type?: unknown }[] };
      const nullable = allOf.some(({ type }) => Array.isArray(type) && type.includes("null"));
      return [...(nullable ? [at] : []), ...Object.entries(value).flatMap(([name, member]) => contradictions(member, `${at}/${name}`))];
    };
    expect(contradictions(raw, "")).toEqual([]);
  });

  test("has a valid example for every body", () => {
    const invalid = endpoints
      .filter((each) => requestOf(each) !== undefined)
      .flatMap((each) => complaints(requestOf(each)?.schema, exampleOf(requestOf(each))).map((reason) => `${each.name}: ${reason}`));
    expect(invalid).toEqual([]);
  });

  test("has examples of answers that match their schema", () => {
    const invalid = endpoints.flatMap(({ name, operation }) =>
      Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
        Object.values(content).flatMap((each) => {
          const example = exampleOf(each);
          return example === undefined ? [] : complaints(each.schema, example).map((reason) => `${name} ${status}: ${reason}`);
        }),
      ),
    );
    expect(invalid).toEqual([]);
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

  test("match the problem schema, their status and their code", () => {
    expect(problems().length).toBeGreaterThan(50);
    const invalid = problems().flatMap(({ where, status, code, value, schema }) => {
      const misplaced = String(value["status"]) !== status || value["code"] !== code ? ["has a different status or code"] : [];
      return [...complaints(schema, value), ...misplaced].map((reason) => `${where}: ${reason}`);
    });
    expect(invalid).toEqual([]);
  });

  test("match the list of problems", () => {
    const invalid = problems().filter(({ code, value }) => {
      const kind: { status: number; title: string; type?: string } = PROBLEMS[code as ProblemCode];
      const link = `https://quota.example.com/docs/errors#${code}`;
      const links = kind.type === undefined ? value["type"] === link : value["documentation_url"] === link;
      return value["title"] !== kind.title || value["status"] !== kind.status || !links;
    });
    expect(invalid).toEqual([]);
  });

  test("include every code there is, with its status, at the head of the document", () => {
    const rows = Object.entries(PROBLEMS).map(([code, { status, meaning }]) => `| \`${code}\` | ${status} | ${meaning} |`);
    expect(rows.filter((row) => !document.info.description.includes(row))).toEqual([]);
  });

  test("have Retry-After for 429 and 503", () => {
    const without = endpoints.flatMap(({ name, operation }) =>
      Object.entries(operation.responses)
        .filter(
          ([status, { content = {}, headers = {} }]) =>
            /429|503/u.test(status) && "application/problem+json" in content && !("Retry-After" in headers),
        )
        .map(([status]) => `${name} ${status}`),
    );
    expect(without).toEqual([]);
  });
});

describe("/docs", () => {
  const page = async (): Promise<{ response: Response; html: string }> => {
    const response = await fetch(new URL("/docs", product.url));
    return { response, html: await response.text() };
  };
  const linked = (html: string): string[] => [...html.matchAll(/\b(?:src|href)="([^"]*)"/gu)].map(([, address = ""]) => address);

  test("loads files only from its own origin, enforced by its policy", async () => {
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

  test("links scripts, styles and an icon that exist", async () => {
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

  test("starts the viewer with the served document", async () => {
    const script = await (await fetch(new URL("/docs-assets/start.js", product.url))).text();
    expect(script).toContain('url: "/openapi.json"');
    expect(script).not.toMatch(/https?:/u);
  });
});

test("/docs/errors has a heading for every code, where the type of each error leads", async () => {
  const response = await fetch(new URL("/docs/errors", product.url));
  const html = await response.text();
  expect({ status: response.status, type: response.headers.get("content-type") }).toEqual({
    status: 200,
    type: "text/html; charset=UTF-8",
  });
  expect(Object.keys(PROBLEMS).filter((code) => !html.includes(`<h2 id="${code}">`))).toEqual([]);
  const missing = (await (await fetch(new URL("/api/none", product.url))).json()) as Record<string, unknown>;
  expect(missing["type"]).toBe(`${product.url.origin}/docs/errors#not_found`);
});
