/** The OpenAPI document and its viewer, both from our own origin. */
import { html } from "hono/html";
import { createRouter } from "../http/index.ts";

const ASSETS = "/docs-assets";

export const INFO = {
  openapi: "3.1.0",
  info: {
    title: "Quota Coordinator",
    version: "1.0.0",
    license: { name: "MIT", identifier: "MIT" },
    description: [
      "Coordinates every call to a metered provider: a limit over a UTC day, spent in advance, never overspent.",
      "Two refusals are different answers: `pace_exceeded` (wait a moment) and `quota_exhausted` (the day is over).",
      "Errors are RFC 9457 problems with a stable `code`. Every answer carries `x-request-id`.",
    ].join("\n\n"),
  },
  servers: [{ url: "/", description: "This Worker" }],
  tags: [
    { name: "Quota", description: "How much is left, and who spent it" },
    { name: "Reservations", description: "For those who call the provider themselves: reserve, then commit or release" },
    { name: "Enrichment", description: "Books from the provider, within its quota" },
    { name: "Catalogue", description: "What is already known, for nothing" },
    { name: "Quota operation", description: "For operators" },
    { name: "Service" },
  ],
};

/** Nothing but our own origin; the viewer's styles are inline. */
const DOCS_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export const docsRoutes = createRouter();

docsRoutes.get("/docs", (c) => {
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
