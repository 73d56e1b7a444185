import { describe, expect, test } from "vitest";
import { BOOK, DAILY, MINUTE, startSimulator } from "./support.ts";

const simulator = startSimulator();

const same = (message: string) => ({ message, error_message: message });

const statuses = async (...paths: string[]): Promise<number[]> => {
  const seen = [];
  for (const path of paths) seen.push((await simulator.get(path)).status);
  return seen;
};

describe("refusals and failures on demand", () => {
  test.for([
    [{ kind: "daily_quota" }, 429, same(DAILY), 0],
    [{ kind: "daily_403" }, 403, same("daily hits reached"), 0],
    [{ kind: "minute_quota" }, 429, same(MINUTE), 0],
    [{ kind: "wrong_plan" }, 403, same("Your subscription plan does not include this API host"), 1],
    [{ kind: "too_large" }, 500, same("Response payload size exceeded maximum allowed payload size"), 1],
    [{ kind: "status", status: 500 }, 500, same("Internal Server Error"), 1],
    [{ kind: "status", status: 404, body: { errorMessage: "Not Found" } }, 404, { errorMessage: "Not Found" }, 1],
    [{ kind: "hang_before_billing", hang_ms: 0 }, 504, same("Gateway Timeout"), 0],
    [{ kind: "stale_count" }, 200, expect.objectContaining({ book: expect.anything() }), 1],
    [{ kind: "missing_headers" }, 200, expect.objectContaining({ book: expect.anything() }), 1],
    [{ kind: "hang_after_billing", hang_ms: 1 }, 200, expect.objectContaining({ book: expect.anything() }), 1],
  ] as const)("%j answers %i", async ([fault, status, body, spent]) => {
    await simulator.fault(fault);
    const reply = await simulator.get(BOOK);
    expect([reply.status, reply.json()]).toEqual([status, body]);
    expect(await simulator.state()).toMatchObject({ spent, faults: [] });
    expect((await simulator.get(BOOK)).status).toBe(200);
  });

  test("a daily refusal by a fault shows no remaining calls, but only in its own headers", async () => {
    await simulator.fault({ kind: "daily_quota" });
    expect((await simulator.get(BOOK)).headers.get("ratelimit")).toMatch(/"daily";r=0;/);
    expect((await simulator.get(BOOK)).headers.get("ratelimit")).toMatch(/"daily";r=14999;/);
  });

  test("a status has the headers and text of its fault", async () => {
    await simulator.fault({ kind: "status", status: 503, body: "<h1>down</h1>", headers: { "retry-after": "2" } });
    const { status, headers, text } = await simulator.get(BOOK);
    expect([status, headers.get("retry-after"), headers.get("content-type"), text]).toEqual([
      503,
      "2",
      "text/html; charset=utf-8",
      "<h1>down</h1>",
    ]);
  });
});

describe("damaged responses", () => {
  test("missing headers", async () => {
    await simulator.fault({ kind: "missing_headers" });
    const { headers } = await simulator.get(BOOK);
    expect([headers.get("ratelimit"), headers.get("ratelimit-policy")]).toEqual([null, null]);
  });

  test("a stale count is from before the request", async () => {
    await simulator.fault({ kind: "stale_count" });
    expect((await simulator.get(BOOK)).headers.get("ratelimit")).toMatch(/"daily";r=15000;/);
  });

  test.for(["malformed_json", "cut_off_json"])("%s is billed and unreadable", async (kind) => {
    await simulator.fault({ kind });
    const reply = await simulator.get(BOOK);
    expect(reply.status).toBe(200);
    expect(() => reply.json()).toThrow(SyntaxError);
    expect((await simulator.state()).spent).toBe(1);
  });

  test("cut-off JSON is the first half of the correct response", async () => {
    const whole = await simulator.get(BOOK);
    await simulator.fault({ kind: "cut_off_json" });
    const { text } = await simulator.get(BOOK);
    expect(whole.text.startsWith(text) && text.length < whole.text.length).toBe(true);
  });

  test("a reset connection fails after billing, and the log has no status", async () => {
    await simulator.fault({ kind: "reset_connection" });
    await expect(simulator.get(BOOK)).rejects.toThrow("terminated");
    expect((await simulator.state()).spent).toBe(1);
    expect((await simulator.control("GET", "/requests")).json()).toMatchObject([{ path: BOOK, status: null, billed: 1 }]);
  });

  test("a request that hangs after billing is counted before its response", async () => {
    await simulator.fault({ kind: "hang_after_billing", hang_ms: 600_000 });
    const abandon = new AbortController();
    const { url } = await simulator.harness.listen();
    const hanging = fetch(new URL(BOOK, url), { headers: { authorization: "simulator-key" }, signal: abandon.signal });
    await expect.poll(async () => (await simulator.state()).spent).toBe(1);
    abandon.abort();
    await expect(hanging).rejects.toThrow("aborted");
    expect((await simulator.control("GET", "/requests")).json()).toMatchObject([{ path: BOOK, status: null, billed: 1 }]);
  });
});

describe("requests that a fault affects", () => {
  test("after and times limit the affected requests", async () => {
    await simulator.fault({ kind: "status", status: 500, after: 2, times: 2 });
    expect(await statuses(BOOK, BOOK, BOOK, BOOK, BOOK)).toEqual([200, 200, 500, 500, 200]);
    expect((await simulator.state()).faults).toEqual([]);
  });

  test("times 0 affects all requests until the fault is cleared", async () => {
    await simulator.fault({ kind: "status", status: 500, times: 0 });
    expect(await statuses(BOOK, BOOK, BOOK)).toEqual([500, 500, 500]);
    expect((await simulator.control("DELETE", "/faults")).json()).toMatchObject({ faults: [] });
    expect(await statuses(BOOK)).toEqual([200]);
  });

  test("only requests with its path and method", async () => {
    await simulator.fault({ kind: "status", status: 500, path: "/author/Ada Abbott?page=2", method: "GET" });
    await simulator.fault({ kind: "status", status: 502, method: "POST" });
    expect(await statuses(BOOK, "/author/Ada%20Abbott?page=1", "/author/Ada%20Abbott?page=2")).toEqual([200, 200, 500]);
    expect((await simulator.batch(["9780132350884"])).status).toBe(502);
  });

  test("a request meets the oldest due fault", async () => {
    await simulator.fault({ kind: "status", status: 500, after: 1 });
    await simulator.fault({ kind: "status", status: 502 });
    await simulator.fault({ kind: "status", status: 503 });
    expect(await statuses(BOOK, BOOK, BOOK, BOOK)).toEqual([502, 500, 503, 200]);
  });

  test("a request without the key meets no fault", async () => {
    await simulator.fault({ kind: "status", status: 500 });
    expect((await simulator.request("GET", BOOK)).status).toBe(401);
    expect(await statuses(BOOK)).toEqual([500]);
  });
});
