import { problemOf } from "../support/problems.ts";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { app } from "../../worker/src/app.ts";
import { ADMIN_TOKEN, call, freshStart, get, post, simulator } from "../support/worker.ts";
import { PAGES, ROUTES, addressOf, routeName } from "./all-routes.ts";
import { callWith, insane, problemIn, problem } from "./support.ts";

beforeAll(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

const PUBLIC = ROUTES.filter(({ access }) => access === "everybody").map(({ path }) => path);
const CLOSED = ROUTES.filter(({ access }) => access !== "everybody").map((route) => [routeName(route), route] as const);
const ADMIN_NEEDED = "Send the admin token as `Authorization: Bearer <token>`.";
const CREDENTIALS_NEEDED = "Send an API key or the admin token as `Authorization: Bearer <key or token>`.";

const WRONG_CREDENTIALS: [string, string][] = [
  ["a wrong token", "Bearer wrong-token-0123456789"],
  ["the beginning of the token", `Bearer ${ADMIN_TOKEN.slice(0, -1)}`],
  ["the token and more", `Bearer ${ADMIN_TOKEN}x`],
  ["no token", "Bearer"],
  ["the token without a scheme", ADMIN_TOKEN],
  ["another scheme", `Basic ${btoa(`admin:${ADMIN_TOKEN}`)}`],
  ["the token in another scheme", `Token ${ADMIN_TOKEN}`],
  ["two tokens", `Bearer ${ADMIN_TOKEN} ${ADMIN_TOKEN}`],
];

const SIGNATURE_NEEDED = "The header x-grafana-alerting-signature is missing. Sign the body.";

function neededFor(access: unknown): string {
  switch (access) {
    case "admin":
      return ADMIN_NEEDED;
    case "grafana":
      return SIGNATURE_NEEDED;
    case "alertmanager":
    case "datadog":
      return "Send the token of this source as `Authorization: Bearer <token>`.";
    default:
      return CREDENTIALS_NEEDED;
  }
}

describe("permissions", () => {
  test.each(CLOSED)("%s without credentials: 401 that says which", async (_, route) => {
    const answer = await call(route.method, addressOf(route), route.body, { token: null });
    expect(problemIn(answer)).toEqual(problem(401, "unauthorized"));
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    expect(answer.body["detail"]).toBe(neededFor(route.access));
  });

  test.each(CLOSED)("%s with a wrong token: 401 that says no more", async (_, route) => {
    const answer = await call(route.method, addressOf(route), route.body, { token: "wrong-token-0123456789" });
    expect(problemIn(answer)).toEqual(problem(401, "unauthorized"));
    // Grafana has no token, but signs its requests.
    expect(answer.body["detail"]).toBe(route.access === "grafana" ? SIGNATURE_NEEDED : "The token is wrong.");
  });

  test.each(WRONG_CREDENTIALS)("%s: 401", async (_, authorization) => {
    const answer = await get("/api/authors/top", { token: null, headers: { authorization } });
    expect(problemIn(answer)).toEqual(problem(401, "unauthorized"));
    expect(answer.headers.get("www-authenticate")).toBe('Bearer error="invalid_token"');
    expect(JSON.stringify(answer.body)).not.toContain("token-0123456789");
  });

  test.each(PUBLIC)("%s is public", async (path) => {
    for (const headers of [{}, ...WRONG_CREDENTIALS.map(([, authorization]) => ({ authorization }))]) {
      const answer = await get(path, { token: null, headers });
      expect(answer.status).toBeLessThan(400);
      expect(insane(answer)).toEqual([]);
    }
  });

  test("the scheme is case-insensitive, the token is not", async () => {
    expect((await get("/api/authors/top", { token: null, headers: { authorization: `bEARER  ${ADMIN_TOKEN}` } })).status).toBe(200);
    const loud = `Bearer ${ADMIN_TOKEN.toUpperCase()}`;
    expect((await get("/api/authors/top", { token: null, headers: { authorization: loud } })).status).toBe(401);
  });

  test("credentials are checked before the body", async () => {
    expect((await post("/api/enrich/batch-direct", { isbns: 7 }, { token: null })).status).toBe(401);
    expect((await post("/api/enrich/batch-direct", "{ broken", { token: null })).status).toBe(401);
  });
});

describe("a missing route", () => {
  test.each([
    ["GET", "/nothing"],
    ["GET", "/api"],
    ["POST", "/api/quota"],
    ["GET", "/api/quota/status/"],
    ["GET", "/api/books"],
    ["DELETE", "/API/QUOTA/SETTINGS"],
    ["GET", "/%00"],
    ["GET", "//health"],
  ])("%s %s: 404", async (method, path) => {
    expect(problemIn(await call(method, path))).toEqual(problem(404, "not_found"));
  });

  test.each([
    ["DELETE", "/health", "GET, HEAD, OPTIONS"],
    ["POST", "/openapi.json", "GET, HEAD, OPTIONS"],
    ["PUT", "/docs", "GET, HEAD, OPTIONS"],
    ["GET", "/api/enrich/batch-direct", "POST, OPTIONS"],
    ["POST", "/api/quota/settings", "GET, HEAD, PUT, DELETE, OPTIONS"],
    ["PATCH", "/api/books/9780141439518", "GET, HEAD, OPTIONS"],
    ["PUT", "/api/quota/reservations/abc", "GET, HEAD, DELETE, OPTIONS"],
  ])("%s %s: 405 with Allow: %s", async (method, path, allow) => {
    const answer = await call(method, path);
    expect(answer.headers.get("allow")).toBe(allow);
    expect(problemIn(answer)).toEqual(problem(405, "method_not_allowed"));
    expect(answer.body["detail"]).toBe(`${method} is not allowed here. Allowed: ${allow}.`);
  });
});

describe("HEAD and OPTIONS", () => {
  test.each(PUBLIC)("HEAD %s answers like GET, without a body", async (path) => {
    const [head, whole] = [await callWith({}, path, { method: "HEAD" }), await callWith({}, path)];
    expect({ status: head.status, type: head.headers.get("content-type"), text: head.text }).toEqual({
      status: whole.status,
      type: whole.headers.get("content-type"),
      text: "",
    });
    expect(insane(head)).toEqual([]);
  });

  test("HEAD needs the credentials that GET needs", async () => {
    expect(await callWith({}, "/api/authors/top", { method: "HEAD" })).toMatchObject({ status: 401 });
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    expect(await callWith({}, "/api/authors/top", { method: "HEAD", headers })).toMatchObject({ status: 200, text: "" });
    expect(await callWith({}, "/api/quota/reset", { method: "HEAD", headers })).toMatchObject({ status: 405, text: "" });
  });

  test.each([
    ["/health", "GET, HEAD, OPTIONS"],
    ["/api/enrich/batch-direct", "POST, OPTIONS"],
    ["/api/quota/settings", "GET, HEAD, PUT, DELETE, OPTIONS"],
  ])("OPTIONS %s lists the allowed methods for all callers: %s", async (path, allow) => {
    const answer = await call("OPTIONS", path, undefined, { token: null });
    expect({ status: answer.status, allow: answer.headers.get("allow"), body: answer.body }).toEqual({ status: 204, allow, body: "" });
    expect(insane(answer)).toEqual([]);
  });

  test("OPTIONS of an unknown path is 404", async () => {
    expect(problemIn(await call("OPTIONS", "/nothing"))).toEqual(problem(404, "not_found"));
  });
});

describe("an internal error", () => {
  beforeEach(async () => freshStart());

  const SECRET = "at Object.secret (/srv/worker.js:1:1)";
  const away = {
    prepare: () => {
      throw new TypeError(SECRET);
    },
  };
  const faulty = { DB: away, CATALOG: away };

  test("is 500 internal_error, and reveals only the id of its log line", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "x-request-id": "find-me" };
    const answer = await callWith(faulty, "/api/jobs", { headers });
    expect({ status: answer.status, body: answer.body }).toEqual({
      status: 500,
      body: problemOf("internal_error", "The service failed. Quote the request id when you report it."),
    });
    expect(insane(answer)).toEqual([]);
    const [line] = log.mock.calls.map(([text]) => JSON.parse(String(text)) as Record<string, unknown>);
    expect(line).toMatchObject({
      level: "error",
      code: "internal_error",
      request_id: "find-me",
      path: "/api/jobs",
      error: SECRET,
    });
    expect(JSON.stringify(line)).not.toContain(ADMIN_TOKEN);
  });

  test("no error anywhere shows a stack, a setting or a secret", async () => {
    await simulator.control("POST", "/faults", {
      kind: "status",
      status: 401,
      times: 0,
      body: { message: `bad key ${env.ISBNDB_API_KEY}` },
    });
    await env.CATALOG.prepare("DROP TABLE authors").run();
    const answers = [
      await get("/nothing"),
      await call("DELETE", "/health"),
      await get("/api/authors/top"),
      await get("/api/authors/top", { token: "wrong" }),
      await post("/api/enrich/batch-direct", { isbns: ["9780201633610"] }),
      await post("/api/enrich/batch-direct", "{"),
      await post("/api/authors/enrich-bibliography", { author_name: "Somebody" }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([404, 405, 503, 401, 502, 400, 502]);
    for (const answer of answers) {
      expect(JSON.stringify(answer.body)).not.toMatch(
        /\bat .*:\d+|\.ts\b|\.js\b|stack|SQLITE|no such table|simulator-key|token-0123|isbndb\.test/u,
      );
      expect(insane(answer)).toEqual([]);
    }
  });
});

test("every route except the pages for people is described, and is in the tests' list", async () => {
  const routes = app.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path.replaceAll(/:\w+/gu, "{}")}`);
  const { body } = await get<{ paths: Record<string, Record<string, unknown>> }>("/openapi.json");
  const described = Object.entries(body.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/gu, "{}")}`),
  );
  const listed = ROUTES.map((route) => routeName(route).replaceAll(/\{\w+\}/gu, "{}"));
  const known = [...new Set(routes)].filter((name) => !PAGES.includes(name)).toSorted();
  expect({ described: described.toSorted(), listed: listed.toSorted() }).toEqual({ described: known, listed: known });
  expect(PAGES.filter((name) => !routes.includes(name))).toEqual([]);
});
