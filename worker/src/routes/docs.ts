/** The OpenAPI document, its viewer and the page about errors. */
import { z } from "@hono/zod-openapi";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { html } from "hono/html";
import { PROBLEMS } from "../errors.ts";
import { ERRORS_PATH, createRouter } from "../http/index.ts";
import type { AppEnv } from "../http/index.ts";
import { isKnown } from "../http/range.ts";
import { sha256Hex } from "../lib/bytes.ts";
import { VERSION } from "../lib/version.ts";
import { API_KEY_PATTERN } from "../tenants/keys/api-key.ts";
import { answer, publicAccess, operations } from "./operation.ts";

const ASSETS = "/docs-assets";
const ERRORS = Object.entries(PROBLEMS).map(([code, { status, meaning }]) => `| \`${code}\` | ${status} | ${meaning} |`);

const INFO = {
  openapi: "3.1.0",
  info: {
    title: "Quota Coordinator",
    version: VERSION,
    license: { name: "MIT", identifier: "MIT" },
    description: [
      "Approves every call to a metered provider. A call is reserved before it is sent, so the daily limit is never exceeded.",
      "Two refusals differ. `pace_exceeded`: wait a moment. `quota_exhausted`: too few calls remain until `reset_at`, or until `available_at` if other callers may release some.",
      "Errors are RFC 9457 problems with a stable `code`. Every response carries `x-request-id`.",
      ["| code | status | meaning |", "| --- | --- | --- |", ...ERRORS].join("\n"),
    ].join("\n\n"),
  },
  servers: [{ url: "/", description: "This Worker" }],
  tags: [
    { name: "Quota", description: "Remaining calls, and usage by caller" },
    { name: "Reservations", description: "For services that call the provider themselves: reserve, then commit or release" },
    { name: "Enrichment", description: "Books from the provider, within its quota" },
    { name: "Harvest", description: "Fetches targets in the background, within the quota" },
    { name: "Jobs", description: "Durable background work with retries" },
    { name: "Catalog", description: "Cached books and authors, free of charge" },
    { name: "Organizations", description: "Owners of projects, with monthly allowances" },
    { name: "Projects", description: "The tenants: caps, shares of the provider's limit, and suspensions" },
    {
      name: "API keys",
      description: `Keys of a project. This pattern finds them in a repository: \`${API_KEY_PATTERN}\`. The last six characters are a checksum, which reveals typos.`,
    },
    {
      name: "Webhooks",
      description: "Signed messages about a project's events (Standard Webhooks 1.0), and their deliveries",
    },
    { name: "Database", description: "A project's own SQLite database" },
    { name: "Monitoring", description: "Alerts of monitoring systems about projects. docs/monitoring.md explains how to connect them" },
    { name: "Backups", description: "Verified snapshots of a project's database, and restoring them into new projects" },
    { name: "Usage", description: "Usage of projects, decisions of the sweep, and reports from other services" },
    { name: "Audit", description: "Log of all changes" },
    { name: "Quota operation", description: "For operators" },
    { name: "Service" },
  ],
};

/** Only our own origin. The viewer's styles are inline. */
const DOCS_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { responses: object; requestBody?: { required?: boolean } }>>;
}

/** Operations with an optional body, as "post /path". A missing body is read as an empty one. */
function withOptionalBody(app: OpenAPIHono<AppEnv>): ReadonlySet<string> {
  return new Set(
    app.openAPIRegistry.definitions.flatMap((definition) => {
      if (definition.type !== "route") return [];
      const { method, path, request } = definition.route;
      const content = request?.body?.content["application/json"];
      const schema = content && "schema" in content ? content.schema : undefined;
      return schema instanceof z.ZodType && schema.safeParse({}).success ? [`${method} ${path}`] : [];
    }),
  );
}

/**
 * The whole document. The generator appends the flags of a pattern ("$/u"). JSON Schema has no flags and always means `u`, so they are
 * removed.
 */
function documentOf(app: OpenAPIHono<AppEnv>): Document {
  const withoutFlags = (key: string, value: unknown): unknown =>
    key === "pattern" && typeof value === "string" ? value.replace(/\/[a-z]+$/u, "") : value;
  const { paths, ...whole } = JSON.parse(JSON.stringify(app.getOpenAPI31Document(INFO), withoutFlags)) as Document;
  const optional = withOptionalBody(app);
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (operation.requestBody && optional.has(`${method} ${path}`)) operation.requestBody.required = false;
    }
  }
  return { ...whole, paths };
}

async function buildDocument(app: OpenAPIHono<AppEnv>) {
  const text = JSON.stringify(documentOf(app));
  return { text, etag: `"${await sha256Hex(text)}"` };
}

/** Serves the document of an app with all its routes. It is built once, because that takes longer than any other public request. */
export function serveDocument(app: OpenAPIHono<AppEnv>): void {
  let built: Awaited<ReturnType<typeof buildDocument>> | null = null;
  operations(
    app,
    "Service",
    publicAccess,
    [],
  )("get", "/openapi.json", {
    summary: "Get this document",
    responses: {
      200: answer("OpenAPI 3.1", z.looseObject({ openapi: z.string() }), { ETag: { schema: { type: "string" } } }),
      304: { description: "Not changed since the version in `If-None-Match`" },
    },
  }).handle(async (c) => {
    built ??= await buildDocument(app);
    c.header("ETag", built.etag);
    c.header("Cache-Control", "no-cache");
    if (isKnown(c.req.header("if-none-match"), built.etag)) return c.body(null, 304);
    return c.body(built.text, 200, { "Content-Type": "application/json" }) as never;
  });
}

export const docsRoutes = createRouter();

operations(
  docsRoutes,
  "Service",
  publicAccess,
  [],
)("get", "/docs", {
  summary: "Show this document in a viewer",
  anyQuery: true,
  responses: { 200: { description: "A page", content: { "text/html": { schema: z.string() } } } },
}).handle((c) => {
  c.header("Content-Security-Policy", DOCS_POLICY);
  return c.html(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>Quota Coordinator API</title>
          <link rel="icon" href="${ASSETS}/favicon-32x32.png" />
          <link rel="stylesheet" href="${ASSETS}/swagger-ui.css" />
        </head>
        <body>
          <div id="viewer"></div>
          <noscript>The viewer needs JavaScript. The document itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
          <script src="${ASSETS}/swagger-ui-bundle.js"></script>
          <script src="${ASSETS}/start.js"></script>
        </body>
      </html>`,
  );
});

operations(
  docsRoutes,
  "Service",
  publicAccess,
  [],
)("get", ERRORS_PATH, {
  summary: "List all error codes as a page",
  anyQuery: true,
  responses: { 200: { description: "A page with one heading for each code", content: { "text/html": { schema: z.string() } } } },
}).handle((c) =>
  c.html(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>Errors of the Quota Coordinator API</title>
        </head>
        <body>
          <h1>Errors</h1>
          <p>
            The field <code>type</code> or <code>documentation_url</code> of an error links to its entry. <a href="/docs">API reference</a>
          </p>
          ${Object.entries(PROBLEMS).map(
            ([code, { status, title, meaning, retryable }]) => html`
              <h2 id="${code}">${code}</h2>
              <p>${status} ${title}. ${meaning}</p>
              <p>
                ${retryable ? "The same request may succeed later. Wait for Retry-After." : "Change the request before you send it again."}
              </p>
            `,
          )}
        </body>
      </html>`,
  ),
);
