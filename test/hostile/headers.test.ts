/** What every answer says to browsers and caches, whoever asked for what. */
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
  // Nothing from anywhere but what a page names itself, and in no frame.
  "content-security-policy": /^default-src 'none';(?!.*(?:\*|https?:|unsafe-eval|script-src[^;]*unsafe-inline)).*frame-ancestors 'none'$/u,
  "cache-control": /\bno-store\b/u,
};

/** Of what an answer is made with, and what would let other origins read it. */
const UNWANTED = /^(server|x-powered-by|via|x-aspnet|access-control-|mf-)/u;

const complaints = ({ headers }: { readonly headers: Headers }): string[] => [
  ...Object.entries(EXPECTED)
    .filter(([name, form]) => !form.test(headers.get(name) ?? ""))
    .map(([name]) => `${name}: ${headers.get(name)}`),
  ...[...headers.keys()].filter((name) => UNWANTED.test(name)),
];

const FROM_ELSEWHERE = {
  origin: "https://evil.example",
  "access-control-request-method": "POST",
  "access-control-request-headers": "authorization",
};

describe("every answer", () => {
  test.each(ROUTES.map((route) => [routeName(route), route] as const))("%s", async (_, route) => {
    const path = addressOf(route);
    const answers = {
      nobody: await call(route.method, path, route.body, { token: null, headers: { origin: FROM_ELSEWHERE.origin } }),
      refused: await call(route.method, path, route.method === "GET" ? undefined : "{ broken", { token: "wrong-token-0123456789" }),
      preflight: await call("OPTIONS", path, undefined, { token: null, headers: FROM_ELSEWHERE }),
      "another method": await call("PROPFIND", path),
      administrator: await call(route.method, path, route.body, { token: ADMIN_TOKEN, headers: { origin: FROM_ELSEWHERE.origin } }),
    };
    expect(Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, complaints(answer)]))).toEqual(
      Object.fromEntries(Object.keys(answers).map((name) => [name, []])),
    );
  });

  test("pages, forms, and what leads to the sign-in", async () => {
    const browser = await signedIn();
    for (const page of PAGES) {
      const [method = "", path = ""] = page.replaceAll("{}", "mine").split(" ");
      for (const each of [new Browser(), browser]) {
        const sent = method === "POST" && path !== "/sign-out" ? { form: {} } : { method: "GET" };
        expect([page, complaints(await each.send(path, sent))]).toEqual([page, []]);
      }
    }
  });

  test.each(["/nothing", "/api/nothing", "/%00", "/docs-assets/nothing.js", "/.git/config", "/.dev.vars"])(
    "what is not there: %s",
    async (path) => {
      for (const accept of ["text/html", "*/*"]) {
        const answer = await call("GET", path, undefined, { token: null, headers: { accept } });
        expect({ status: answer.status, complaints: complaints(answer) }).toEqual({ status: 404, complaints: [] });
      }
    },
  );
});
