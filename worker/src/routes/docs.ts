/** The OpenAPI document and its viewer, both from our own origin. */
import { z } from "@hono/zod-openapi";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { html } from "hono/html";
import { PROBLEMS } from "../errors.ts";
import { ERRORS_PATH, createRouter } from "../http/index.ts";
import type { AppEnv } from "../http/index.ts";
import { VERSION } from "../lib/version.ts";
import { API_KEY_PATTERN } from "../tenants/keys/api-key.ts";
import { answer, everybody, operations } from "./operation.ts";

const ASSETS = "/docs-assets";
const ERRORS = Object.entries(PROBLEMS).map(([code, { status, meaning }]) => `| \`${code}\` | ${status} | ${meaning} |`);

const INFO = {
  openapi: "3.1.0",
  info: {
    title: "Quota Coordinator",
    version: VERSION,
    license: { name: "MIT", identifier: "MIT" },
    description: [
      "Coordinates every call to a metered provider: a limit over a UTC day, spent in advance, never overspent.",
      "Two refusals are different answers: `pace_exceeded` (wait a moment) and `quota_exhausted` (too little of the day is left: until `reset_at`, or where others only hold it, until `available_at`).",
      "Errors are RFC 9457 problems with a stable `code`. Every answer carries `x-request-id`.",
      ["| code | status | meaning |", "| --- | --- | --- |", ...ERRORS].join("\n"),
    ].join("\n\n"),
  },
  servers: [{ url: "/", description: "This Worker" }],
  tags: [
    { name: "Quota", description: "How much is left, and who spent it" },
    { name: "Reservations", description: "For those who call the provider themselves: reserve, then commit or release" },
    { name: "Enrichment", description: "Books from the provider, within its quota" },
    { name: "Harvest", description: "What is fetched in the background, as long as the quota allows" },
    { name: "Jobs", description: "What takes long or must not be lost: durable, tried again, listed" },
    { name: "Catalogue", description: "What is already known, for nothing" },
    { name: "Organisations", description: "Who owns projects, and what they have bought for a month" },
    { name: "Projects", description: "The tenants: their caps, their share of the provider's day, and what stops them" },
    {
      name: "API keys",
      description: `A project's keys. In a repository, this finds them: \`${API_KEY_PATTERN}\`. The last six characters are a checksum, so that a typo is refused without a look-up.`,
    },
    {
      name: "Webhooks",
      description: "Who is told of a project's events, by signed messages (Standard Webhooks 1.0), and what came of each",
    },
    { name: "Database", description: "A project's own SQLite database" },
    { name: "Monitoring", description: "What monitoring systems report about projects; docs/monitoring.md says how to connect them" },
    { name: "Backups", description: "A project's database at one moment, verified by restoring it, and new projects made of it" },
    { name: "Usage", description: "What a project has used and why it is where it is; and how other services report it" },
    { name: "Audit", description: "Who changed what" },
    { name: "Quota operation", description: "For operators" },
    { name: "Service" },
  ],
};

/** Nothing but our own origin; the viewer's styles are inline. */
const DOCS_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { responses: object; requestBody?: { required?: boolean } }>>;
}

/** A body that is left out is read as an empty one: these operations, as "post /path", take that. */
function takingNone(app: OpenAPIHono<AppEnv>): ReadonlySet<string> {
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
 * The whole document. The generator writes a pattern's flags behind it ("$/u"), where JSON Schema knows none: they are taken off, and
 * `u` is what JSON Schema means anyway.
 */
function documentOf(app: OpenAPIHono<AppEnv>): Document {
  const withoutFlags = (key: string, value: unknown): unknown =>
    key === "pattern" && typeof value === "string" ? value.replace(/\/[a-z]+$/u, "") : value;
  const { paths, ...whole } = JSON.parse(JSON.stringify(app.getOpenAPI31Document(INFO), withoutFlags)) as Document;
  const optional = takingNone(app);
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (operation.requestBody && optional.has(`${method} ${path}`)) operation.requestBody.required = false;
    }
  }
  return { ...whole, paths };
}

/** Serves the document of an app, with all its routes. */
export function serveDocument(app: OpenAPIHono<AppEnv>): void {
  operations(
    app,
    "Service",
    everybody,
    [],
  )("get", "/openapi.json", {
    summary: "This document",
    responses: { 200: answer("OpenAPI 3.1", z.looseObject({ openapi: z.string() })) },
  }).handle((c) => c.json(documentOf(app), 200));
}

export const docsRoutes = createRouter();

operations(
  docsRoutes,
  "Service",
  everybody,
  [],
)("get", "/docs", {
  summary: "This document in a viewer",
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
          <noscript>The viewer needs JavaScript; the document itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
          <script src="${ASSETS}/swagger-ui-bundle.js"></script>
          <script src="${ASSETS}/start.js"></script>
        </body>
      </html>`,
  );
});

operations(
  docsRoutes,
  "Service",
  everybody,
  [],
)("get", ERRORS_PATH, {
  summary: "List all error codes as a page",
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
