import { describe, expect, test } from "vitest";
import { BOOK, startSimulator } from "./support.ts";

const simulator = startSimulator();

const DEFAULTS = {
  daily_limit: 15_000,
  rate_per_second: 3,
  max_batch: 1_000,
  billing: "per_request",
  dialect: "2026",
  unknown_percent: 2,
  latency_ms: 0,
  clock: null,
  authors: {},
  releases: {},
};

describe("the JSON control", () => {
  test("a reset restores the initial state", async () => {
    await simulator.set({ dialect: "2025", daily_limit: 3, clock: "2026-03-01T00:00:00Z", authors: { A: 1 } });
    await simulator.fault({ kind: "wrong_plan" });
    await simulator.spend(2);
    await simulator.get(BOOK);
    const state = (await simulator.control("POST", "/reset")).json();
    expect(state).toEqual({
      now: expect.any(String),
      day: expect.any(String),
      spent: 0,
      left: 15_000,
      requests: 0,
      billed_requests: 0,
      settings: DEFAULTS,
      faults: [],
      by_endpoint: {},
    });
    expect((await simulator.control("GET", "/requests")).json()).toEqual([]);
  });

  test("omitted settings stay, and null removes an author or a month", async () => {
    await simulator.set({ authors: { A: 1, B: 2 }, releases: { "2026-03": 5 } });
    const { settings } = await simulator.set({ daily_limit: 9, authors: { B: null, C: 0 } });
    expect(settings).toEqual({ ...DEFAULTS, rate_per_second: 0, daily_limit: 9, authors: { A: 1, C: 0 }, releases: { "2026-03": 5 } });
  });

  test("the log has path, cost and ISBNs of each request, newest last", async () => {
    await simulator.get("/author/Ada%20Abbott?page=2");
    await simulator.batch(["9780132350884", "9780547928227"]);
    await simulator.request("GET", "/key");
    const at = expect.stringMatching(/^\d{4}-\d{2}-\d{2}T.*Z$/);
    expect((await simulator.control("GET", "/requests?limit=10")).json()).toEqual([
      { at, method: "GET", path: "/author/Ada%20Abbott?page=2", status: 200, billed: 1 },
      { at, method: "POST", path: "/books", status: 200, billed: 1, isbns: ["9780132350884", "9780547928227"] },
      { at, method: "GET", path: "/key", status: 401, billed: 0 },
    ]);
    expect((await simulator.control("GET", "/requests?limit=1")).json()).toHaveLength(1);
  });

  test.for([
    ["PUT", "/settings", { daily_limit: -1 }, { field: "daily_limit", value: -1, expected: "a whole number from 0 to 10000000" }],
    ["PUT", "/settings", { billing: "free" }, { field: "billing", value: "free", expected: 'one of "per_request", "per_isbn"' }],
    ["PUT", "/settings", { clock: "noon" }, { field: "clock", value: "noon", expected: expect.stringContaining("ISO 8601") }],
    ["PUT", "/settings", { releases: { March: 3 } }, { field: "releases.March", value: 3, expected: 'a month such as "2026-03"' }],
    ["PUT", "/settings", { colour: 1 }, { field: "colour", value: 1, expected: "no such field" }],
    ["POST", "/spend", { calls: 0 }, { field: "calls", value: 0, expected: "a whole number from 1 to 10000000" }],
    [
      "POST",
      "/faults",
      { kind: "earthquake" },
      { field: "kind", value: "earthquake", expected: expect.stringContaining("one of status, ") },
    ],
    ["POST", "/faults", { kind: "status" }, { field: "status", expected: "a whole number from 200 to 599" }],
  ] as const)("%s %s with %j is refused with the field, the value and the accepted values", async ([method, path, body, problem]) => {
    const reply = await simulator.control(method, path, body);
    expect(reply.status).toBe(400);
    expect(reply.json()).toMatchObject({ error: "invalid", errors: [problem] });
  });

  test("a body that is not JSON is refused", async () => {
    const reply = await simulator.request("PUT", "/_simulator/settings", { body: "{", headers: { "content-type": "application/json" } });
    expect([reply.status, reply.json()]).toMatchObject([400, { errors: [{ field: "body", value: "{", expected: "valid JSON" }] }]);
  });
});

describe("the page", () => {
  test("shows the state with escaped values", async () => {
    await simulator.spend(1_234);
    await simulator.set({ authors: { "<script>alert(1)</script>": 4 } });
    const { status, headers, text } = await simulator.control("GET", "");
    expect([status, headers.get("content-type")]).toEqual([200, "text/html; charset=UTF-8"]);
    expect(text).toContain("<b>1,234</b>");
    expect(text).not.toContain("<script>");
  });

  test("its forms change settings and redirect to it", async () => {
    await simulator.set({ authors: { Old: 1 } });
    const replies = [
      await simulator.form("/_simulator/settings", {
        daily_limit: "77",
        dialect: "2025",
        clock: "",
        authors: "Jane Doe = 12\n",
        releases: "",
      }),
      await simulator.form("/_simulator/spend", { calls: "5" }),
      await simulator.form("/_simulator/faults", { kind: "status", status: "503", hang_ms: "1", path: "", after: "0", times: "2" }),
    ];
    expect(replies.map(({ status, headers }) => [status, headers.get("location")])).toEqual(
      Array.from({ length: 3 }, () => [303, "/_simulator"]),
    );
    expect(await simulator.state()).toMatchObject({
      spent: 5,
      settings: { daily_limit: 77, dialect: "2025", clock: null, authors: { "Jane Doe": 12 } },
      faults: [{ kind: "status", status: 503, times: 2 }],
    });
    await simulator.form("/_simulator/faults/clear", {});
    expect((await simulator.state()).faults).toEqual([]);
    expect((await simulator.form("/_simulator/reset", {})).status).toBe(303);
    expect((await simulator.state()).spent).toBe(0);
  });

  test("shows an invalid value with its field", async () => {
    const { status, text } = await simulator.form("/_simulator/settings", { daily_limit: "lots" });
    expect(status).toBe(400);
    expect(text).toContain("<code>daily_limit</code> must be a whole number from 0 to 10000000 (got <code>&quot;lots&quot;</code>)");
  });

  test("an unchanged settings form does not turn back the running clock", async () => {
    const before = await simulator.set({ clock: "2026-03-01T12:00:00Z" });
    await simulator.form("/_simulator/settings", { clock: "2026-03-01T12:00:00Z" });
    expect((await simulator.state()).now >= before.now).toBe(true);
  });
});
