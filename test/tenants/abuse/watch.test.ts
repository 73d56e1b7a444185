import { beforeEach, describe, expect, test } from "vitest";
import { env } from "cloudflare:workers";
import { call, concurrently, freshStart, get, isbns, setClock, simulator } from "../../support/worker.ts";
import { makeOrganization, makeProject, rows, stop } from "../../support/tenants/http.ts";
import { byWith, enrich, enrichWith } from "../../support/tenants/keys.ts";
import { asked, askedTwice, autoSuspendJobs, done, events, keepHouse, settled, suspended, usual } from "../../monitoring/support.ts";

let key: string;

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  ({
    api_key: { key },
  } = await makeProject("mine", {
    caps: { function_invocations_per_day: 300, db_queries_per_day: null },
    key: { name: "k", scopes: ["read", "enrich", "admin"] },
  }));
});

const counted = async () => rows("SELECT project_id, requests, errors, failures, probes FROM project_minutes ORDER BY minute, project_id");
const QUIET = { project_id: "mine", requests: 0, errors: 0, failures: 0, probes: 0 };

/** How one response was counted, with its status. */
const countedAs = async (method: string, path: string, body?: unknown, token = key, changed: Record<string, unknown> = {}) => {
  await rows("DELETE FROM project_minutes");
  const { status } = await byWith(changed, token, method, path, body);
  const [row = null] = await counted();
  return { status, row };
};

describe("counted requests", () => {
  test.each([
    ["an answer", "GET", "/api/authors/top", undefined, 200, { requests: 1 }],
    ["a missing book, which is a response too", "GET", "/api/books/9780201633610", undefined, 404, { requests: 1 }],
    [
      "an invalid body, before the key is looked up",
      "POST",
      "/api/enrich/batch-direct",
      { isbns: "none" },
      400,
      { requests: 1, errors: 1 },
    ],
    ["a wrong parameter", "GET", "/api/projects/mine/usage?days=x", undefined, 400, { requests: 1, errors: 1 }],
    ["another project: a probe", "GET", "/api/projects/other", undefined, 404, { probes: 1 }],
    ["an admin route: a probe", "GET", "/api/audit", undefined, 403, { probes: 1 }],
    ["a public route, which looks up no key", "GET", "/api/quota/status", undefined, 200, null],
    ["a route outside the key's scopes", "POST", "/api/projects/mine/database/query", { sql: "SELECT 1" }, 403, null],
  ])("%s", async (_, method, path, body, status, counts) => {
    expect(await countedAs(method, path, body)).toEqual({ status, row: counts && { ...QUIET, ...counts } });
  });

  test("a failure of the provider counts as an error", async () => {
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/author/", times: 0 });
    expect(await countedAs("POST", "/api/authors/enrich-bibliography", { author_name: "Jane Austen", max_pages: 1 })).toEqual({
      status: 502,
      row: { ...QUIET, requests: 1, errors: 1, failures: 1 },
    });
  });

  test("our own refusals do not count: a cap, a suspension, an unknown, a revoked or an expired key", async () => {
    const ended = await Promise.all(["revoked", "expired", "replaced"].map(async (id) => makeProject(id)));
    await rows("UPDATE api_keys SET revoked_at = 1 WHERE project_id = 'revoked'");
    await rows("UPDATE api_keys SET expires_at = 1 WHERE project_id = 'expired'");
    await rows("UPDATE api_key_versions SET expires_at = 1 WHERE key_id = ?", ended[2]?.api_key.id);
    await rows("DELETE FROM project_minutes");
    for (const { api_key } of ended) {
      expect((await enrichWith({}, api_key.key, [])).status).toBe(400);
      expect((await byWith({}, api_key.key, "GET", "/api/authors/top")).status).toBe(401);
    }
    await rows("UPDATE caps SET value = 0");
    expect((await enrichWith({}, key, isbns(0, 1))).status).toBe(429);
    await stop("mine", "admin");
    expect((await enrichWith({}, key, isbns(0, 1))).status).toBe(403);
    expect(await counted()).toEqual([]);
  });

  test("a request is answered although it cannot be counted", async () => {
    const db = new Proxy(env.DB, {
      get(target, name) {
        if (name === "prepare") {
          return (sql: string) => target.prepare(sql.includes("project_minutes") ? "SELECT * FROM nowhere" : sql);
        }
        return (Reflect.get(target, name) as CallableFunction).bind(target) as unknown;
      },
    });
    expect(await countedAs("GET", "/api/authors/top", undefined, key, { DB: db })).toEqual({ status: 200, row: null });
  });
});

describe("real requests", () => {
  const ask = async (count: number, right: number) =>
    concurrently(count, 20, async (index) => enrich(key, index < right ? isbns(0, 1) : []));

  /** This many requests, and this many successful ones, in each of two windows. */
  const twice = async (count: number, right: number) => {
    await setClock("2031-05-14T14:16:00Z");
    await ask(count, right);
    await setClock("2031-05-14T14:21:00Z");
    await ask(count, right);
  };
  const decisions = async (jobs: number) => (await settled(jobs)).map(({ result }) => (result as { decision: string }).decision);

  test("with more than half errors suspend a project if enforced, without counting our own refusals", async () => {
    await usual("mine", 100);
    await twice(101, 50);
    // The project is now over its cap. Its refusals count neither as requests nor as errors.
    await rows("UPDATE caps SET value = 0");
    await setClock("2031-05-14T14:22:00Z");
    expect((await ask(5, 5)).map(({ status }) => status)).toEqual([429, 429, 429, 429, 429]);
    await keepHouse("2031-05-14T14:25:03Z");
    expect(await decisions(1)).toEqual(["reported"]);
    expect([await suspended("mine"), await events()]).toEqual([[], ["abuse.detected mine"]]);
    const [job] = await autoSuspendJobs();
    expect(job?.payload).toEqual({
      project_id: "mine",
      pattern_type: "ERROR_SPIKE",
      metrics: {},
      enforce_action: false,
      as_of: "2031-05-14T14:25:00.000Z",
    });
    expect(job?.result).toMatchObject({
      metrics: { windows: [1, 2].map(() => ({ requests: 101, errors: 51, failures: 0, probes: 0 })) },
    });
  });

  test("with half errors suspend no project, nor do few requests, nor many in one window", async () => {
    await usual("mine", 100);
    await twice(100, 50);
    await keepHouse("2031-05-14T14:25:03Z");
    await setClock("2031-05-14T14:31:00Z");
    await ask(120, 0);
    await keepHouse("2031-05-14T14:35:00Z");
    expect(await autoSuspendJobs()).toEqual([]);
  });
});

describe("the detection", () => {
  const END = Math.floor(Date.parse("2031-05-14T14:05:00Z") / 60_000);

  test("finds each pattern once, and requests a job for each project, pattern and windows", async () => {
    const projects = ["excessive", "normal", "failing", "probing", "few", "newcomer", "stopped", "capped", "archived"];
    for (const id of projects) await makeProject(id);
    for (const id of projects.filter((each) => each !== "newcomer")) await usual(id, 100);
    await askedTwice("excessive", { requests: 1_001 }, END);
    await askedTwice("normal", { requests: 1_000, errors: 500, probes: 99 }, END);
    await askedTwice("failing", { requests: 100, errors: 51 }, END);
    await askedTwice("probing", { probes: 100 }, END);
    await askedTwice("few", { requests: 99, errors: 99 }, END);
    await askedTwice("newcomer", { requests: 9_000 }, END);
    for (const id of ["stopped", "capped", "archived"]) await askedTwice(id, { requests: 1_001 }, END);
    await stop("stopped", "abuse:ERROR_SPIKE");
    await stop("capped", "quota:realtime_connections");
    await call("DELETE", "/api/projects/archived");
    const first = await keepHouse("2031-05-14T14:05:00Z");
    expect(first.result).toMatchObject({ signals: { jobs: 0 }, abuse: { jobs: 4 } });
    const found = (await settled(4)).map(({ project_id, payload, result }) => [
      project_id,
      payload["pattern_type"],
      (result as { decision: string }).decision,
    ]);
    expect(found.toSorted(([a], [b]) => String(a).localeCompare(String(b)))).toEqual([
      ["capped", "EXCESSIVE_USAGE", "reported"],
      ["excessive", "EXCESSIVE_USAGE", "reported"],
      ["failing", "ERROR_SPIKE", "reported"],
      ["probing", "SUSPICIOUS_PATTERN", "reported"],
    ]);
    // The first check looks at the same two windows again. The second one looks at the later window and the next one.
    expect((await keepHouse("2031-05-14T14:06:30Z")).result).toMatchObject({ abuse: { jobs: 0 } });
    await asked("excessive", -1, { requests: 1_001 }, END);
    expect((await keepHouse("2031-05-14T14:10:00Z")).result).toMatchObject({ abuse: { jobs: 0 } });
  });

  test("suspends if configured, and spares a reactivated project until there are new windows", async () => {
    await usual("mine", 100);
    await askedTwice("mine", { requests: 1_001 }, END);
    await setClock("2031-05-14T14:05:00Z");
    const { detectAbuse } = await import("../../../worker/src/tenants/abuse/watch.ts");
    const { createDeps } = await import("../../../worker/src/deps.ts");
    const deps = createDeps({ ...env, ABUSE_ENFORCEMENT: "enforce" }, () => Date.now());
    expect(await detectAbuse(deps)).toEqual({ jobs: 1 });
    await settled(1);
    expect(await suspended("mine")).toEqual(["abuse:EXCESSIVE_USAGE"]);
    expect((await get("/api/authors/top", { token: key })).body).toMatchObject({
      code: "project_suspended",
      reasons: [{ reason: "abuse:EXCESSIVE_USAGE" }],
    });
    await call("POST", "/api/projects/mine/reactivate", { reason: "Talked to them" });
    expect(await detectAbuse(deps)).toEqual({ jobs: 0 });
    expect(await suspended("mine")).toEqual([]);
  });

  test("sums up past hours once, without flagged minutes, also after an outage of a day", async () => {
    const minute = (time: string) => Math.floor(Date.parse(time) / 60_000);
    const put = async (time: string, requests: number, flagged = 0) =>
      rows("INSERT INTO project_minutes VALUES (?, 'mine', ?, 1, 0, 0, ?)", minute(time), requests, flagged);
    await put("2031-05-13T15:00:00Z", 5);
    await put("2031-05-14T13:04:00Z", 10);
    await put("2031-05-14T13:05:00Z", 20);
    await put("2031-05-14T13:06:00Z", 30);
    await put("2031-05-14T13:30:00Z", 9_000, 1);
    await put("2031-05-14T14:00:00Z", 1);
    const hours = async () => (await rows("SELECT hour, requests, errors, windows FROM project_hours ORDER BY hour")).map(Object.values);
    const [yesterday, last] = [minute("2031-05-13T15:00:00Z") / 60, minute("2031-05-14T13:00:00Z") / 60];
    await keepHouse("2031-05-14T14:14:59Z");
    expect(await hours()).toEqual([[yesterday, 5, 1, 1]]);
    await keepHouse("2031-05-14T14:15:00Z");
    await put("2031-05-14T13:40:00Z", 500);
    await keepHouse("2031-05-14T14:20:00Z");
    expect(await hours()).toEqual([
      [yesterday, 5, 1, 1],
      [last, 60, 3, 2],
    ]);
  });

  test("ignores errors caused by an outage of the provider or the coordinator", async () => {
    const { findAbuseCandidates } = await import("../../../worker/src/store/abuse/rates.ts");
    const look = async () => {
      const rules = { minRequests: 100, factor: 10, hours: [0, 0] as const };
      const pair = { from: END - 10, middle: END - 5, to: END };
      return (await findAbuseCandidates(env.DB, pair, rules, Date.now(), 50)).map(({ project_id }) => project_id);
    };
    for (const id of ["other", "wrong"]) await makeProject(id);
    await askedTwice("mine", { requests: 100, errors: 60, failures: 60 }, END);
    expect(await look()).toEqual([]);
    await askedTwice("other", { requests: 50, errors: 26, failures: 26 }, END);
    await askedTwice("wrong", { requests: 100, errors: 100, failures: 49 }, END);
    expect(await look()).toEqual(["mine", "wrong"]);
    await rows("UPDATE project_minutes SET failures = failures + 2 WHERE project_id = 'wrong'");
    expect(await look()).toEqual([]);
  });

  test("reads no rows of projects without requests", async () => {
    const sql = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
      INSERT INTO projects (id, organization_id, name, changed_by, created_at, updated_at) SELECT 'p' || i, 'org', 'P', 'test', 1, 1 FROM n`;
    const hours = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
      INSERT INTO project_hours (project_id, hour, requests, errors, windows) SELECT 'p' || i, 538000, 1, 0, 1 FROM n`;
    await env.DB.batch([env.DB.prepare(sql), env.DB.prepare(hours)]);
    await usual("mine", 100);
    await askedTwice("mine", { requests: 1_001 }, END);
    const { findAbuseCandidates } = await import("../../../worker/src/store/abuse/rates.ts");
    const { meteredDb } = await import("../../store/support.ts");
    const { db, rowsRead } = meteredDb();
    const found = await findAbuseCandidates(
      db,
      { from: END - 10, middle: END - 5, to: END },
      { minRequests: 100, factor: 10, hours: [537_000, 537_924] },
      Date.now(),
      50,
    );
    expect({ found: found.length, few: rowsRead() < 60 ? "few" : rowsRead() }).toEqual({ found: 1, few: "few" });
  });

  test("deletes minutes after 2 days, hours after 30, signals after 90, decisions after 400", async () => {
    const at = Date.parse("2031-05-14T14:00:00Z");
    const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];
    for (const age of [1.9, 2.1, 29, 31, 89, 91, 399, 401]) {
      const then = at - age * day;
      await rows("INSERT INTO project_minutes VALUES (?, ?, 1, 0, 0, 0, 0)", Math.floor(then / minute), `${age}`);
      await rows("INSERT INTO project_hours VALUES (?, ?, 1, 0, 1)", `${age}`, Math.floor(then / hour));
    }
    for (const age of [401, 399, 91, 89, 31, 29, 2.1, 1.9]) {
      const then = at - age * day;
      await rows(
        "INSERT INTO abuse_detections VALUES (NULL, ?1, ?1, 'ERROR_SPIKE', ?2, ?2, 'normal', 'w', 'given', 1, '{}')",
        `${age}`,
        then,
      );
      const signal = "(source, key, status, project_id, metrics, enforce, started_at, received_at, outcome)";
      await rows(`INSERT INTO signals ${signal} VALUES ('api', ?1, 'firing', ?1, '{}', 1, ?2, ?2, 'no_pattern')`, `${age}`, then);
    }
    await setClock("2031-05-14T14:00:00Z");
    const { id } = (await call<{ id: string }>("POST", "/api/jobs", { type: "housekeeping", payload: { retention: true } })).body;
    expect((await done(id)).result).toMatchObject({ removed: { project_minutes: 7, project_hours: 5, abuse_detections: 1, signals: 3 } });
    const oldest = async (table: string, time: string) =>
      (await rows(`SELECT project_id FROM ${table} ORDER BY ${time} LIMIT 1`))[0]?.["project_id"];
    expect([
      await oldest("project_minutes", "minute"),
      await oldest("project_hours", "hour"),
      await oldest("abuse_detections", "at"),
      await oldest("signals", "received_at"),
    ]).toEqual(["1.9", "29", "399", "89"]);
  });
});
