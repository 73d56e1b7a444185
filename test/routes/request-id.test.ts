import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ADMIN_TOKEN, call, freshStart, get } from "../support/worker.ts";
import { callWith } from "./support.ts";

beforeAll(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

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

  test("without one, each response gets a new id", async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, async () => (await get("/health")).headers.get("x-request-id")));
    expect(new Set(ids).size).toBe(5);
  });

  test("is in the log line of its request, which holds no credentials", async () => {
    const line = vi.spyOn(console, "log").mockImplementation(() => undefined);
    await callWith({}, "/api/authors/top?limit=x", { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "x-request-id": "find-me" } });
    const logged = line.mock.calls.map(([text]) => String(text));
    const request = { method: "GET", path: "/api/authors/top", version: env.DEPLOYMENT.id };
    const ids = { request_id: "find-me", trace_id: expect.stringMatching(/^[\da-f]{32}$/u) as string };
    expect(logged.map((text) => JSON.parse(text) as unknown)).toEqual([
      { level: "info", message: "request", ...ids, ...request, status: 400, code: "invalid_request", duration_ms: 0 },
    ]);
    expect(logged.join()).not.toContain(ADMIN_TOKEN);
  });
});
