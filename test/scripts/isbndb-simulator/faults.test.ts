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

  test("an ordered daily refusal shows an empty day in its own headers only", async () => {
    await simulator.fault({ kind: "daily_quota" });
    expect((await simulator.get(BOOK)).headers.get("ratelimit")).toMatch(/"daily";r=0;/);
    expect((await simulator.get(BOOK)).headers.get("ratelimit")).toMatch(/"daily";r=14999;/);
  });

  test("a status comes with the headers and the text that were asked for", async () => {
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

describe("spoiled answers", () => {
  test("missing headers leave the answer right", async () => {
    await simulator.fault({ kind: "missing_headers" });
    const { headers } = await simulator.get(BOOK);
    expect([headers.get("ratelimit"), headers.get("ratelimit-policy")]).toEqual([null, null]);
  });

  test("a stale count is the one before the request", async () => {
    await simulator.fault({ kind: "stale_count" });
    expect((await simulator.get(BOOK)).headers.get("ratelimit")).toMatch(/"daily";r=15000;/);
  });

  test.for(["malformed_json", "cut_off_json"])("%s is billed and cannot be read", async (kind) => {
    await simulator.fault({ kind });
    const reply = await simulator.get(BOOK);
    expect(reply.status).toBe(200);
    expect(() => reply.json()).toThrow(SyntaxError);
    expect((await simulator.state()).spent).toBe(1);
  });

  test("cut-off JSON is the first half of the right answer", async () => {
    const whole = await simulator.get(BOOK);
    await simulator.fault({ kind: "cut_off_json" });
    const { text } = await simulator.get(BOOK);
    expect(whole.text.startsWith(text) && text.length < whole.text.length).toBe(true);
  });

  test("a reset connection fails the request after billing it, and the log knows of no answer", async () => {
    await simulator.fault({ kind: "reset_connection" });
    await expect(simulator.get(BOOK)).rejects.toThrow("terminated");
    expect((await simulator.state()).spent).toBe(1);
    expect((await simulator.control("GET", "/requests")).json()).toMatchObject([{ path: BOOK, status: null, billed: 1 }]);
  });

  test("a request that hangs after billing is on the count before its answer", async () => {
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

describe("which requests a fault meets", () => {
  test("it lets the first ones through and then strikes as often as it was told", async () => {
    await simulator.fault({ kind: "status", status: 500, after: 2, times: 2 });
    expect(await statuses(BOOK, BOOK, BOOK, BOOK, BOOK)).toEqual([200, 200, 500, 500, 200]);
    expect((await simulator.state()).faults).toEqual([]);
  });

  test("with no number of times it strikes until cleared", async () => {
    await simulator.fault({ kind: "status", status: 500, times: 0 });
    expect(await statuses(BOOK, BOOK, BOOK)).toEqual([500, 500, 500]);
    expect((await simulator.control("DELETE", "/faults")).json()).toMatchObject({ faults: [] });
    expect(await statuses(BOOK)).toEqual([200]);
  });

  test("it meets only its path and its method", async () => {
    await simulator.fault({ kind: "status", status: 500, path: "/author/Ada Abbott?page=2", method: "GET" });
    await simulator.fault({ kind: "status", status: 502, method: "POST" });
    expect(await statuses(BOOK, "/author/Ada%20Abbott?page=1", "/author/Ada%20Abbott?page=2")).toEqual([200, 200, 500]);
    expect((await simulator.batch(["9780132350884"])).status).toBe(502);
  });

  test("of several, one request meets the oldest that is due", async () => {
    await simulator.fault({ kind: "status", status: 500, after: 1 });
    await simulator.fault({ kind: "status", status: 502 });
    await simulator.fault({ kind: "status", status: 503 });
    expect(await statuses(BOOK, BOOK, BOOK, BOOK)).toEqual([502, 500, 503, 200]);
  });

  test("a request without the key meets none", async () => {
    await simulator.fault({ kind: "status", status: 500 });
    expect((await simulator.request("GET", BOOK)).status).toBe(401);
    expect(await statuses(BOOK)).toEqual([500]);
  });
});
