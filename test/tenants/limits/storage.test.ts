import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { failWrites, healWrites } from "../../library/support.ts";
import { callWith } from "../../routes/support.ts";
import { ADMIN_TOKEN, call, freshStart } from "../../support/worker.ts";
import { count, level, makeOrganization, makeProject, right, rows, stop } from "../../support/tenants/http.ts";

const TABLES = [
  "organizations",
  "billing_periods",
  "projects",
  "caps",
  "api_keys",
  "api_key_versions",
  "suspensions",
  "threshold_notices",
  "audit_log",
] as const;
type Table = (typeof TABLES)[number];

let keyId: string;

async function begin(): Promise<void> {
  await freshStart();
  await makeOrganization("org");
  await makeOrganization("empty");
  keyId = (await makeProject("mine")).api_key.id;
  await stop("mine", "quota:db_queries_per_day");
  await count("mine", "db_queries_per_day", 19_000);
  await level("mine", "realtime_connections", 9);
}

const everything = async (): Promise<unknown> =>
  Object.fromEntries(await Promise.all(TABLES.map(async (table) => [table, await rows(`SELECT * FROM ${table}`)])));

interface Change {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** The table that the request writes to. */
  readonly writes: readonly Table[];
}

const CHANGES: readonly Change[] = [
  {
    method: "POST",
    path: "/api/organizations",
    body: { id: "new", name: "New" },
    writes: ["organizations", "billing_periods", "audit_log"],
  },
  { method: "PATCH", path: "/api/organizations/org", body: { name: "New" }, writes: ["organizations", "audit_log"] },
  { method: "DELETE", path: "/api/organizations/empty", writes: ["organizations", "audit_log"] },
  {
    method: "POST",
    path: "/api/projects",
    body: { id: "new", organization_id: "org", name: "New" },
    writes: ["projects", "caps", "api_keys", "api_key_versions", "audit_log"],
  },
  { method: "PATCH", path: "/api/projects/mine", body: { name: "New" }, writes: ["projects", "audit_log"] },
  { method: "DELETE", path: "/api/projects/mine", writes: ["projects", "audit_log"] },
  { method: "DELETE", path: "/api/projects/mine?permanent=true", writes: ["projects", "audit_log"] },
  {
    method: "PUT",
    path: "/api/projects/mine/caps",
    body: { db_queries_per_day: 20_000, realtime_connections: 10 },
    writes: ["projects", "caps", "suspensions", "threshold_notices", "audit_log"],
  },
  { method: "PUT", path: "/api/projects/mine/upstream-share", body: { calls_per_day: 7 }, writes: ["projects", "audit_log"] },
  { method: "POST", path: "/api/projects/mine/suspend", body: { reason: "Test" }, writes: ["projects", "suspensions", "audit_log"] },
  { method: "POST", path: "/api/projects/mine/reactivate", body: { reason: "Test" }, writes: ["projects", "suspensions", "audit_log"] },
  {
    method: "POST",
    path: "/api/projects/mine/keys",
    body: { name: "New" },
    writes: ["projects", "api_keys", "api_key_versions", "audit_log"],
  },
  { method: "DELETE", path: "/api/projects/mine/keys/{key}", writes: ["projects", "api_keys", "audit_log"] },
  { method: "POST", path: "/api/projects/mine/keys/{key}/rotate", body: {}, writes: ["projects", "api_key_versions", "audit_log"] },
];

const addressOf = ({ path }: Change): string => path.replace("{key}", keyId);
const unavailable = { status: 503, code: "storage_unavailable", wait: "5" };

describe("a database that refuses writes to one table", () => {
  beforeEach(begin);

  const cases = CHANGES.flatMap((change) => change.writes.map((table) => [change.method, change.path, table, change] as const));

  test.each(cases)("%s %s, while %s fails: 503, no partial change, and the next attempt works", async (method, _, table, change) => {
    const before = await everything();
    await failWrites(table);
    const { status, headers, body } = await call(method, addressOf(change), change.body);
    expect({ status, code: body["code"], wait: headers.get("retry-after") }).toEqual(unavailable);
    expect(JSON.stringify(body)).not.toMatch(/disk|SQLITE|trigger|INSERT|UPDATE/iu);
    expect(await everything()).toEqual(before);
    await healWrites(table);
    right(await call(method, addressOf(change), change.body));
    expect(await everything()).not.toEqual(before);
  });
});

const READS = [
  "/api/organizations",
  "/api/organizations/org",
  "/api/projects",
  "/api/projects/mine",
  "/api/projects/mine/usage",
  "/api/projects/mine/evaluations",
  "/api/projects/mine/suspensions",
  "/api/projects/mine/keys",
  "/api/projects/mine/keys/{key}",
  "/api/audit",
];

/** A database that answers `trips` queries and then fails. */
function failingAfter(trips: number): D1Database {
  let left = trips;
  const trip = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    left -= 1;
    if (left < 0) throw new Error("D1_ERROR: Network connection lost.");
    return run();
  };
  const countedStatement = (statement: D1PreparedStatement): D1PreparedStatement =>
    new Proxy(statement, {
      get(target, name) {
        const member = Reflect.get(target, name) as unknown;
        if (name === "bind") return (...values: unknown[]) => countedStatement(target.bind(...values));
        if (name === "first" || name === "all" || name === "run" || name === "raw") {
          return async (...given: unknown[]) =>
            trip(async () => (member as (...given: unknown[]) => Promise<unknown>).apply(target, given));
        }
        return member;
      },
    });
  const real = new WeakMap<object, D1PreparedStatement>();
  return new Proxy(env.DB, {
    get(target, name) {
      if (name === "prepare") {
        return (sql: string) => {
          const statement = target.prepare(sql);
          const bound = new Proxy(statement, {
            get: (inner, member) =>
              member === "bind"
                ? (...values: unknown[]) => {
                    const whole = inner.bind(...values);
                    const wrapped = countedStatement(whole);
                    real.set(wrapped, whole);
                    return wrapped;
                  }
                : (Reflect.get(countedStatement(inner), member) as unknown),
          });
          real.set(bound, statement);
          return bound;
        };
      }
      if (name === "batch") {
        return async (statements: D1PreparedStatement[]) =>
          trip(async () => target.batch(statements.map((each) => real.get(each) ?? each)));
      }
      return Reflect.get(target, name) as unknown;
    },
  });
}

const withDatabase = async (DB: D1Database, method: string, path: string, body?: unknown) =>
  callWith({ DB }, path.replace("{key}", keyId), {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

const withoutErrorLog = () => void vi.spyOn(console, "error").mockImplementation(() => undefined);

describe("a database that does not answer", () => {
  // No test changes anything.
  beforeAll(begin);
  beforeEach(withoutErrorLog);

  test.each([...READS.map((path) => ["GET", path] as const), ...CHANGES.map(({ method, path, body }) => [method, path, body] as const)])(
    "%s %s: 503 with Retry-After, never an empty response",
    async (method, path, body?: unknown) => {
      const before = await everything();
      const answer = await withDatabase(failingAfter(0), method, path, body);
      expect({ status: answer.status, code: answer.body["code"], wait: answer.headers.get("retry-after") }).toEqual(unavailable);
      expect(await everything()).toEqual(before);
    },
  );

  test.each(READS)("GET %s, lost half-way: 503 or all of it", async (path) => {
    const whole = await withDatabase(env.DB, "GET", path);
    for (let trips = 1; trips < 5; trips += 1) {
      const answer = await withDatabase(failingAfter(trips), "GET", path);
      const result = { status: answer.status, body: answer.status === 200 ? answer.body : answer.body["code"] };
      expect([
        { status: 200, body: whole.body },
        { status: 503, body: "storage_unavailable" },
      ]).toContainEqual(result);
    }
  });
});

describe("a database that fails during a change", () => {
  beforeEach(begin);
  beforeEach(withoutErrorLog);

  test.each(CHANGES.map((change) => [change.method, change.path, change.body] as const))(
    "%s %s, lost half-way: no change or a complete one, which can be read again",
    async (method, path, body?: unknown) => {
      const before = await everything();
      for (let trips = 1; trips < 5; trips += 1) {
        const answer = await withDatabase(failingAfter(trips), method, path, body);
        if (answer.status < 300) return;
        expect(answer).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
        if (JSON.stringify(await everything()) !== JSON.stringify(before)) break;
      }
      const again = await withDatabase(env.DB, method, path, body);
      expect(again.status).toBe(200);
    },
  );

  test.each([
    ["/api/organizations", { id: "new", name: "New" }],
    ["/api/projects", { id: "new", organization_id: "org", name: "New" }],
  ])("POST %s uses one query: a created key is always returned", async (path, body) => {
    expect(await withDatabase(failingAfter(1), "POST", path, body)).toMatchObject({ status: 201 });
  });

  test("a rotation makes no query after the new version exists: its key and versions are returned", async () => {
    const answer = await withDatabase(failingAfter(3), "POST", "/api/projects/mine/keys/{key}/rotate", {});
    const { key, job: _, ...publicFields } = answer.body;
    expect({ status: answer.status, key }).toEqual({ status: 200, key: expect.stringMatching(/^qc_live_/u) });
    expect((await withDatabase(env.DB, "GET", "/api/projects/mine/keys/{key}")).body).toEqual(publicFields);
  });
});
