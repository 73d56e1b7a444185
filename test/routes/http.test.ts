import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { app } from "../../worker/src/app.ts";
import { ADMIN_TOKEN, call, freshStart, get, post, simulator } from "../support/worker.ts";
import type { Answer } from "../support/worker.ts";
import { PAGES, ROUTES, addressOf, routeName } from "./all-routes.ts";
import { callWith } from "./support.ts";

beforeAll(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

const PUBLIC = ROUTES.filter(({ access }) => access === "everybody").map(({ path }) => path);
const CLOSED = ROUTES.filter(({ access }) => access !== "everybody").map((route) => [routeName(route), route] as const);
const ADMIN_NEEDED = "Send the administrator's token as `Authorization: Bearer <token>`.";
const CREDENTIALS_NEEDED = "Send an API key or the administrator's token as `Authorization: Bearer <key or token>`.";

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

/** What every answer has, whatever it says: the headers that are not as they should be. */
const insane = ({ headers }: { headers: Headers }): string[] => {
  const expected: Record<string, RegExp> = {
    "x-request-id": /^[\w.:-]{1,128}$/u,
    "x-content-type-options": /^nosniff$/u,
    "x-frame-options": /^DENY$/u,
    "content-security-policy": /\bframe-ancestors 'none'/u,
    "cache-control": /\bno-store\b/u,
    "referrer-policy": /^same-origin$/u,
    "strict-transport-security": /^max-age=\d+/u,
  };
  return Object.entries(expected)
    .filter(([name, form]) => !form.test(headers.get(name) ?? ""))
    .map(([name]) => name);
};

/** Status and code of an error, and what is wrong with it as a problem. */
const problemIn = (answer: Answer): { status: number; code: unknown; wrong: string[] } => {
  const { status, headers, body } = answer;
  const wrong = insane(answer);
  if (headers.get("content-type") !== "application/problem+json") wrong.push("content-type");
  if (body["type"] !== "about:blank" || body["status"] !== status) wrong.push("type or status");
  if (typeof body["title"] !== "string" || typeof body["detail"] !== "string") wrong.push("title or detail");
  return { status, code: body["code"], wrong };
};

const problem = (status: number, code: string) => ({ status, code, wrong: [] });

const SIGNATURE_NEEDED = "Sign the body: x-grafana-alerting-signature is missing.";

function neededFor(access: unknown): string {
  switch (access) {
    case "admin":
      return ADMIN_NEEDED;
    case "grafana":
      return SIGNATURE_NEEDED;
    case "alertmanager":
    case "datadog":
      return "Send this source's token as `Authorization: Bearer <token>`.";
    default:
      return CREDENTIALS_NEEDED;
  }
}

describe("who may call", () => {
  test.each(CLOSED)("%s without credentials: 401 that says which", async (_, route) => {
    const answer = await call(route.method, addressOf(route), route.body, { token: null });
    expect(problemIn(answer)).toEqual(problem(401, "unauthorized"));
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    expect(answer.body["detail"]).toBe(neededFor(route.access));
  });

  test.each(CLOSED)("%s with a wrong token: 401 that says no more", async (_, route) => {
    const answer = await call(route.method, addressOf(route), route.body, { token: "wrong-token-0123456789" });
    expect(problemIn(answer)).toEqual(problem(401, "unauthorized"));
    // Grafana has no token: it signs.
    expect(answer.body["detail"]).toBe(route.access === "grafana" ? SIGNATURE_NEEDED : "This token is not accepted.");
  });

  test.each(WRONG_CREDENTIALS)("%s: 401", async (_, authorization) => {
    const answer = await get("/api/authors/top", { token: null, headers: { authorization } });
    expect(problemIn(answer)).toEqual(problem(401, "unauthorized"));
    expect(answer.headers.get("www-authenticate")).toBe('Bearer error="invalid_token"');
    expect(JSON.stringify(answer.body)).not.toContain("token-0123456789");
  });

  test.each(PUBLIC)("%s is for everybody", async (path) => {
    for (const headers of [{}, ...WRONG_CREDENTIALS.map(([, authorization]) => ({ authorization }))]) {
      const answer = await get(path, { token: null, headers });
      expect(answer.status).toBeLessThan(400);
      expect(insane(answer)).toEqual([]);
    }
  });

  test("the scheme may be written in any case, the token may not", async () => {
    expect((await get("/api/authors/top", { token: null, headers: { authorization: `bEARER  ${ADMIN_TOKEN}` } })).status).toBe(200);
    const loud = `Bearer ${ADMIN_TOKEN.toUpperCase()}`;
    expect((await get("/api/authors/top", { token: null, headers: { authorization: loud } })).status).toBe(401);
  });

  test("credentials are asked for before the body is looked at", async () => {
    expect((await post("/api/enrich/batch-direct", { isbns: 7 }, { token: null })).status).toBe(401);
    expect((await post("/api/enrich/batch-direct", "{ broken", { token: null })).status).toBe(401);
  });
});

describe("what is not there", () => {
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
    ["POST", "/api/quota/settings", "PUT, DELETE, OPTIONS"],
    ["PATCH", "/api/books/9780141439518", "GET, HEAD, OPTIONS"],
    ["GET", "/api/quota/reservations/abc", "DELETE, OPTIONS"],
  ])("%s %s: 405 with Allow: %s", async (method, path, allow) => {
    const answer = await call(method, path);
    expect(answer.headers.get("allow")).toBe(allow);
    expect(problemIn(answer)).toEqual(problem(405, "method_not_allowed"));
    expect(answer.body["detail"]).toBe(`Method ${method} is not allowed. Allowed: ${allow}.`);
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
    ["/api/quota/settings", "PUT, DELETE, OPTIONS"],
  ])("OPTIONS %s says what is offered, to everybody: %s", async (path, allow) => {
    const answer = await call("OPTIONS", path, undefined, { token: null });
    expect({ status: answer.status, allow: answer.headers.get("allow"), body: answer.body }).toEqual({ status: 204, allow, body: "" });
    expect(insane(answer)).toEqual([]);
  });

  test("OPTIONS of nothing is 404", async () => {
    expect(problemIn(await call("OPTIONS", "/nothing"))).toEqual(problem(404, "not_found"));
  });
});

describe("bodies", () => {
  const isbns = ["9780201633610"];

  test("of 1 MiB are read, and one byte more is 413, whether the length is announced or not", async () => {
    const sized = (bytes: number): string => JSON.stringify({ isbns }).padEnd(bytes, " ");
    expect((await post("/api/enrich/batch-direct", sized(1_048_576))).status).toBe(200);
    const announced = await post("/api/enrich/batch-direct", sized(1_048_577));
    expect(problemIn(announced)).toEqual(problem(413, "payload_too_large"));
    expect(announced.body["detail"]).toBe("The body is larger than 1048576 bytes (1 MiB).");

    const streamed = new Blob([sized(1_048_577)]).stream();
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    expect(await callWith({}, "/api/enrich/batch-direct", { method: "POST", headers, body: streamed })).toMatchObject({ status: 413 });
    const short = new Blob([sized(1_000)]).stream();
    expect(await callWith({}, "/api/enrich/batch-direct", { method: "POST", headers, body: short })).toMatchObject({ status: 200 });
  });

  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "text/json", ""])(
    "of the type %j: 415",
    async (type) => {
      const answer = await post("/api/enrich/batch-direct", JSON.stringify({ isbns }), { headers: { "content-type": type } });
      expect(problemIn(answer)).toEqual(problem(415, "unsupported_media_type"));
    },
  );

  test.each(["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"])(
    "of the type %j are read",
    async (type) => {
      const answer = await post("/api/enrich/batch-direct", JSON.stringify({ isbns }), { headers: { "content-type": type } });
      expect(answer.status).toBe(200);
    },
  );

  test.each(["{", "{'isbns': []}", '{"isbns": ["9780201633610"],}', " ", "\uFEFF{", "undefined", "[".repeat(100_000)])(
    "that are no JSON (%#): 400",
    async (body) => {
      const answer = await post("/api/enrich/batch-direct", body);
      expect(problemIn(answer)).toEqual(problem(400, "invalid_request"));
      expect(answer.body["errors"]).toEqual([{ path: "body", message: "not valid JSON" }]);
    },
  );

  test.each(["null", "7", '"text"', "[]", "true"])("that are %s: 400 that names the body", async (body) => {
    const answer = await post("/api/enrich/batch-direct", body);
    expect(problemIn(answer)).toEqual(problem(400, "invalid_request"));
    expect(answer.body["errors"]).toEqual([{ path: "body", message: expect.any(String) }]);
  });

  test("that are missing or empty: 400 where one is needed", async () => {
    expect(problemIn(await post("/api/enrich/batch-direct"))).toEqual(problem(400, "invalid_request"));
    expect(problemIn(await post("/api/enrich/batch-direct", ""))).toEqual(problem(400, "invalid_request"));
  });

  test("that are announced and empty are none where none is needed", async () => {
    await post("/api/quota/reservations", { calls: 1, id: "empty-body" });
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    expect(await callWith({}, "/api/quota/reservations/empty-body/commit", { method: "POST", headers })).toMatchObject({ status: 200 });
  });

  test("with a thousand mistakes get a short answer", async () => {
    const wrong = Array.from({ length: 1_000 }, () => 7);
    const answer = await post<{ detail: string; errors: unknown[] }>("/api/enrich/batch-direct", { isbns: wrong });
    expect({ status: answer.status, errors: answer.body.errors.length }).toEqual({ status: 400, errors: 50 });
    expect(answer.body.detail).toMatch(/^isbns\.0: .*; and 995 more$/u);
  });
});

describe("x-request-id", () => {
  test.each(["abc", "7f9c1c9e-52a2-4f1d-9d5c-0a1b2c3d4e5f", "a.b:c_d-1", "x".repeat(128)])("%j is kept", async (id) => {
    for (const path of ["/health", "/nothing", "/api/authors/top?limit=x"]) {
      expect((await get(path, { headers: { "x-request-id": id } })).headers.get("x-request-id")).toBe(id);
    }
    expect((await call("DELETE", "/health", undefined, { headers: { "x-request-id": id } })).headers.get("x-request-id")).toBe(id);
    expect((await get("/api/authors/top", { token: null, headers: { "x-request-id": id } })).headers.get("x-request-id")).toBe(id);
  });

  test.each(["", "x".repeat(129), "two words", "a,b", "a/b", "ä", "<script>", '"', "a\tb", "%0d%0a"])("%j is replaced", async (id) => {
    const { headers } = await get("/health", { headers: { "x-request-id": id } });
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u);
  });

  test("without one, each answer gets its own", async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, async () => (await get("/health")).headers.get("x-request-id")));
    expect(new Set(ids).size).toBe(5);
  });

  test("stands in the log line of its request, which holds no credentials", async () => {
    const line = vi.spyOn(console, "log").mockImplementation(() => undefined);
    await callWith({}, "/api/authors/top?limit=x", { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "x-request-id": "find-me" } });
    const logged = line.mock.calls.map(([text]) => String(text));
    const ids = { request_id: "find-me", trace_id: expect.stringMatching(/^[\da-f]{32}$/u) as string };
    expect(logged.map((text) => JSON.parse(text) as unknown)).toEqual([
      { level: "info", message: "request", ...ids, method: "GET", path: "/api/authors/top", status: 400, duration_ms: 0 },
    ]);
    expect(logged.join()).not.toContain(ADMIN_TOKEN);
  });
});

describe("a fault of ours", () => {
  beforeEach(async () => freshStart());

  const SECRET = "at Object.secret (/srv/worker.js:1:1)";
  const faulty = {
    DB: {
      prepare: () => {
        throw new TypeError(SECRET);
      },
    },
  };

  test("is 500 internal_error, and shows nothing of the inside but the id that finds it in the log", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "x-request-id": "find-me" };
    const answer = await callWith(faulty, "/api/books/9780141439518", { headers });
    expect({ status: answer.status, body: answer.body }).toEqual({
      status: 500,
      body: {
        type: "about:blank",
        title: "Internal error",
        status: 500,
        detail: "Something went wrong on our side. The request id finds it in our log.",
        code: "internal_error",
      },
    });
    expect(insane(answer)).toEqual([]);
    const [line] = log.mock.calls.map(([text]) => JSON.parse(String(text)) as Record<string, unknown>);
    expect(line).toMatchObject({
      level: "error",
      code: "internal_error",
      request_id: "find-me",
      path: "/api/books/9780141439518",
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
    await env.DB.prepare("DROP TABLE authors").run();
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

test("every route but the pages for people is described, and stands in the tests' list", async () => {
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
