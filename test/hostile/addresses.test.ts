/** Hostile paths, queries, methods, cookies and hosts. None reaches another resource. */
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Browser } from "../dashboard/support.ts";
import { callWith } from "../routes/support.ts";
import { ADMIN_TOKEN, call, get } from "../support/worker.ts";
import { nameOf, operations } from "./operations.ts";
import type { Operation } from "./operations.ts";
import { encoded } from "./requests.ts";
import { Trial } from "./trial.ts";

let trial: Trial;
let described: readonly Operation[];

beforeAll(async () => {
  trial = await Trial.begin();
  described = await operations();
});
beforeEach(() => {
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => undefined);
  return () => vi.restoreAllMocks();
});

const PATHS_TO_OTHER = [
  "/api/projects/other",
  "/api/projects/mine/../other",
  "/api/projects/mine/%2e%2e/other",
  "/api/projects/mine/.%2E/other/keys",
  "/api/projects/mine%2f..%2fother",
  "/api/projects/mine%2F%2E%2E%2Fother/usage",
  "/api/projects/mine%252f..%252fother",
  "/api/projects/mine\\..\\other",
  "/api/projects/mine%5c..%5cother",
  "/api/projects/mine;/../other",
  "/api/projects/other%00",
  "/api/projects/mine%00/../other",
  "/api/projects/other%20",
  "/api/projects/%6fther",
  "/api/projects/other?id=mine",
  "/api/projects/other#/mine",
  "/api/projects//other",
  "//api/projects/other",
  "/api/./projects/other",
  "/api/projects/mine/webhooks/../../other/keys",
  "/docs-assets/../api/projects/other",
  "/docs-assets/%2e%2e%2fapi/projects/other",
];

const UNKNOWN_PATHS = [
  "/api/projects/%",
  "/api/projects/%zz",
  "/api/projects/%c0%ae%c0%ae",
  "/api/projects/%ff",
  "/api/projects/%E0%A4%A",
  "/api/projects/%ED%A0%80",
  "/api/projects/*",
  "/api/projects/:id",
  "/api/projects/__proto__",
  "/api/projects/constructor/usage",
  `/api/projects/${"x".repeat(15_000)}`,
  `/${"a/".repeat(5_000)}`,
  `/${"%2e%2e%2f".repeat(1_000)}etc/passwd`,
  "/api/jobs/%00",
  "/api/books/%2e%2e%2f%2e%2e%2fkey",
  "/wp-login.php",
  "/cdn-cgi/../api/nothing",
];

const REFUSED = new Set([400, 401, 403, 404, 405]);

describe("a path", () => {
  test.each(PATHS_TO_OTHER)("does not reach another project: %s", async (path) => {
    const answer = await get(path, { token: trial.world.key });
    expect({ status: answer.status, refused: REFUSED.has(answer.status) }).toMatchObject({ refused: true });
    expect(JSON.stringify(answer.body)).not.toContain("Project other");
  });

  test.each(UNKNOWN_PATHS)("that does not exist gives a problem document or an error page: %s", async (path) => {
    const answer = await get(path);
    expect({ status: answer.status, refused: REFUSED.has(answer.status), code: answer.body["code"] }).toMatchObject({
      refused: true,
      code: expect.any(String) as string,
    });
    const page = await new Browser().send(path.replace("/api", ""));
    expect(page.status === 303 || REFUSED.has(page.status)).toBe(true);
  });

  test("with HTML is escaped on the page", async () => {
    for (const path of ["/<script>alert(1)</script>", "/%3Cscript%3Ealert(1)%3C/script%3E", '/"><img src=x onerror=alert(1)>']) {
      const page = await new Browser().open(path);
      expect({ status: page.status, script: /<script>|<img/u.test(page.html) }).toEqual({ status: 404, script: false });
    }
  });
});

describe("a query", () => {
  const SQL = [
    "' OR '1'='1",
    "1;DROP TABLE projects",
    "x') UNION SELECT hash, 1, 1 FROM api_key_versions --",
    "\u0000",
    "\uD800",
    "%",
    "_",
  ];

  test("with SQL is a plain value, in every parameter of every operation", async () => {
    const failures: string[] = [];
    for (const operation of described) {
      const names = operation.parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name);
      if (names.length === 0 || operation.method !== "GET") continue;
      const path = operation.path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => trial.world.names[name] ?? "none");
      for (const sql of SQL) {
        const query = names.map((name) => `${name}=${encoded(sql)}`).join("&");
        const faults = await trial.faults(operation, { as: "admin", path: `${path}?${query}`, headers: {}, body: null });
        failures.push(...faults.map((fault) => `${nameOf(operation)} ${sql}: ${fault}`));
      }
    }
    expect(failures).toEqual([]);
  });

  test("matches literally, without SQL wildcards", async () => {
    for (const term of [...SQL.filter((sql) => !sql.includes("\uD800")), "*", "mi_e", "m%e"]) {
      const projects = await get<{ projects: unknown[] }>(`/api/projects?q=${encodeURIComponent(term)}`);
      const organizations = await get<{ organizations: unknown[] }>(`/api/organizations?q=${encodeURIComponent(term)}`);
      expect([term, projects.body.projects, organizations.body.organizations]).toEqual([term, [], []]);
    }
    expect((await get<{ projects: unknown[] }>("/api/projects?q=mine")).body.projects).toHaveLength(1);
  });

  test("with a thousand unknown parameters is refused, and with a repeated one too", async () => {
    const many = Array.from({ length: 1_000 }, (_, index) => `p${index}=${index}`).join("&");
    expect((await get(`/api/jobs?limit=1&${many}`)).status).toBe(400);
    expect((await get(`/?${many}`, { token: null })).status).toBe(200);
    // A repeated parameter is ambiguous.
    expect((await get(`/api/jobs?${"limit=1&".repeat(1_000)}`)).status).toBe(400);
  });
});

describe("a method", () => {
  test.each(["x-http-method-override", "x-method-override", "x-http-method"])("is not changed by %s", async (header) => {
    const read = await get<{ id: string }>("/api/projects/mine", { headers: { [header]: "DELETE" } });
    expect([read.status, read.body.id]).toEqual([200, "mine"]);
    const refused = await call("POST", "/api/projects/mine", {}, { headers: { [header]: "PATCH" } });
    expect(refused.status).toBe(405);
    expect(await trial.changes({ body: {} })).toEqual([]);
  });

  test.each(["PROPFIND", "PURGE", "LOCK", "SUBSCRIBE"])("that no route supports gets 405: %s", async (method) => {
    const answer = await callWith({}, "/api/projects/mine", { method, headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    expect(answer.status).toBe(405);
  });

  test("HEAD changes nothing and has no body", async () => {
    for (const path of ["/api/quota/reset", "/api/projects/mine", "/api/jobs"]) {
      const answer = await callWith({}, path, { method: "HEAD", headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
      expect([path, answer.text]).toEqual([path, ""]);
    }
    expect(await trial.changes({ body: {} })).toEqual([]);
  });
});

describe("headers", () => {
  test("with many large or malformed cookies give no session and no error", async () => {
    const cookies = [
      Array.from({ length: 3_000 }, (_, index) => `c${index}=${index}`).join("; "),
      `__Host-qc_session=${"x".repeat(60_000)}`,
      `__Host-qc_session=%; __Host-qc_session=%ff; =; ;;;`,
      Array.from({ length: 500 }, () => "__Host-qc_session=1.2.3").join("; "),
    ];
    for (const cookie of cookies) {
      for (const path of ["/", "/jobs", "/api/quota/status"]) {
        const { status } = await new Browser().send(path, { headers: { cookie } });
        expect([path, status]).toEqual([path, path === "/jobs" ? 303 : 200]);
      }
    }
  });

  test("that claim a client address or host are ignored", async () => {
    const headers = {
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-host": "evil.example",
      "x-forwarded-proto": "http",
      forwarded: "host=evil.example",
      host: "evil.example",
    };
    for (const path of ["/", "/jobs", "/sign-in?next=%2Fjobs", "/docs", "/openapi.json", "/nothing"]) {
      const page = await new Browser().send(path, { headers });
      expect([path, `${page.headers.get("location") ?? ""}${page.html}`.includes("evil.example")]).toEqual([path, false]);
    }
    const { status } = await call("GET", "/api/audit", undefined, { token: null, headers });
    expect(status).toBe(401);
  });

  test.each([
    ["two valid ones", `Bearer ${ADMIN_TOKEN}, Bearer ${ADMIN_TOKEN}`],
    ["a valid one after an invalid one", `Bearer wrong-token-0123456789, Bearer ${ADMIN_TOKEN}`],
    ["a valid one before an invalid one", `Bearer ${ADMIN_TOKEN}, Basic eDp5`],
    ["a valid one with a comma", `Bearer ${ADMIN_TOKEN},`],
    ["100,000 characters", `Bearer ${"x".repeat(100_000)}`],
  ])("with credentials are refused: %s", async (_, authorization) => {
    expect((await get("/api/audit", { token: null, headers: { authorization } })).status).toBe(401);
  });
});
