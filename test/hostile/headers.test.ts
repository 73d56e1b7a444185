/** Security and cache headers of every response. */
import { beforeAll, describe, expect, test } from "vitest";
import { Browser, signedIn } from "../dashboard/support.ts";
import { PAGES, ROUTES, addressOf, routeName } from "../routes/all-routes.ts";
import { ADMIN_TOKEN, call, freshStart } from "../support/worker.ts";
import { makeOrganization, makeProject } from "../support/tenants/http.ts";

beforeAll(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("mine");
});

const EXPECTED: Record<string, RegExp> = {
  "x-request-id": /^[\w.:-]{1,128}$/u,
  "x-content-type-options": /^nosniff$/u,
  "x-frame-options": /^DENY$/u,
  "referrer-policy": /^same-origin$/u,
  "strict-transport-security": /^max-age=\d{7,}; includeSubDomains$/u,
  "cross-origin-resource-policy": /^same-origin$/u,
  "cross-origin-opener-policy": /^same-origin$/u,
  // Blocks all sources except those that a page names, and all frames.
  "content-security-policy": /^default-src 'none';(?!.*(?:\*|https?:|unsafe-eval|script-src[^;]*unsafe-inline)).*frame-ancestors 'none'$/u,
  // The OpenAPI document is compared by its ETag.
  "cache-control": /\bno-store\b|^no-cache$/u,
};

/** Headers that name software, or let other origins read the response. */
const UNWANTED = /^(server|x-powered-by|via|x-aspnet|access-control-|mf-)/u;

const violations = ({ headers }: { readonly headers: Headers }): string[] => [
  ...Object.entries(EXPECTED)
    .filter(([name, form]) => !form.test(headers.get(name) ?? ""))
    .map(([name]) => `${name}: ${headers.get(name)}`),
  ...[...headers.keys()].filter((name) => UNWANTED.test(name)),
];

const CROSS_ORIGIN = {
  origin: "https://evil.example",
  "access-control-request-method": "POST",
  "access-control-request-headers": "authorization",
};

describe("every response", () => {
  test.each(ROUTES.map((route) => [routeName(route), route] as const))("%s", async (_, route) => {
    const path = addressOf(route);
    const answers = {
      anonymous: await call(route.method, path, route.body, { token: null, headers: { origin: CROSS_ORIGIN.origin } }),
      refused: await call(route.method, path, route.method === "GET" ? undefined : "{ broken", { token: "wrong-token-0123456789" }),
      preflight: await call("OPTIONS", path, undefined, { token: null, headers: CROSS_ORIGIN }),
      "another method": await call("PROPFIND", path),
      administrator: await call(route.method, path, route.body, { token: ADMIN_TOKEN, headers: { origin: CROSS_ORIGIN.origin } }),
    };
    expect(Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, violations(answer)]))).toEqual(
      Object.fromEntries(Object.keys(answers).map((name) => [name, []])),
    );
  });

  test("pages, forms and redirects to the sign-in", async () => {
    const browser = await signedIn();
    for (const page of PAGES) {
      const [method = "", path = ""] = page.replaceAll("{}", "mine").split(" ");
      for (const each of [new Browser(), browser]) {
        const sent = method === "POST" && path !== "/sign-out" ? { form: {} } : { method: "GET" };
        expect([page, violations(await each.send(path, sent))]).toEqual([page, []]);
      }
    }
  });

  test.each(["/nothing", "/api/nothing", "/%00", "/docs-assets/nothing.js", "/.git/config", "/.dev.vars"])(
    "missing paths: %s",
    async (path) => {
      for (const accept of ["text/html", "*/*"]) {
        const answer = await call("GET", path, undefined, { token: null, headers: { accept } });
        expect({ status: answer.status, violations: violations(answer) }).toEqual({ status: 404, violations: [] });
      }
    },
  );
});
