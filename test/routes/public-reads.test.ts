/** Anonymous reads are cheap: the OpenAPI document is built once, and answers about the quota are shared for a second. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { QuotaLedger } from "../../worker/src/index.ts";
import { call, freshLedger, get, post } from "../support/worker.ts";
import { callWith } from "./support.ts";

beforeEach(async () => freshLedger());
afterEach(() => void vi.restoreAllMocks());

const anonymous = { token: null } as const;

describe("the OpenAPI document", () => {
  test("is the same text each time, and not sent again to a client that has it", async () => {
    const [first, second] = [await callWith({}, "/openapi.json"), await callWith({}, "/openapi.json")];
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[0-9a-f]{64}"$/u);
    expect([second.text, second.headers.get("etag")]).toEqual([first.text, etag]);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      expect(await callWith({}, "/openapi.json", { headers: { "if-none-match": known } })).toMatchObject({ status: 304, text: "" });
    }
    expect((await callWith({}, "/openapi.json", { headers: { "if-none-match": '"other"' } })).status).toBe(200);
  });

  test("is built once", async () => {
    await get("/openapi.json", anonymous);
    const parse = vi.spyOn(JSON, "stringify");
    await get("/openapi.json", anonymous);
    expect(parse.mock.results.every(({ value }) => String(value).length < 10_000)).toBe(true);
  });
});

describe("anonymous reads of the quota", () => {
  const reads = { "/api/quota/status": "status", "/health": "status", "/": "overview" } as const;

  test.each(Object.entries(reads))("fifty of %s ask the ledger once, and again a second later", async (path, method) => {
    const asked = vi.spyOn(QuotaLedger.prototype, method);
    for (let index = 0; index < 50; index += 1) expect((await get(path, anonymous)).status).toBe(200);
    expect(asked).toHaveBeenCalledTimes(1);
    vi.setSystemTime(Date.now() + 1_000);
    await get(path, anonymous);
    expect(asked).toHaveBeenCalledTimes(2);
  });

  test("are never older than a second, and the administrator's are current", async () => {
    const used = async (options?: typeof anonymous) => (await get("/api/quota/status", options)).body["used"];
    expect(await used(anonymous)).toBe(0);
    await post("/api/quota/reservations", { calls: 5, id: "r" });
    await post("/api/quota/reservations/r/commit");
    expect([await used(), await used(anonymous)]).toEqual([5, 0]);
    vi.setSystemTime(Date.now() + 1_000);
    expect(await used(anonymous)).toBe(5);
  });

  test("do not keep a failure", async () => {
    const status = vi.spyOn(QuotaLedger.prototype, "status").mockRejectedValue(new Error("away"));
    expect((await get("/health", anonymous)).status).toBe(503);
    status.mockRestore();
    vi.setSystemTime(Date.now() + 1_000);
    expect((await get("/health", anonymous)).status).toBe(200);
  });
});

describe("a reservation whose answer is lost", () => {
  const reservedBy = async (body: object) => {
    const reserve = vi.spyOn(QuotaLedger.prototype, "reserve");
    reserve.mockImplementationOnce(async function lost(this: QuotaLedger, ...given) {
      reserve.mockRestore();
      await this.reserve(...given);
      throw new Error("the connection broke");
    });
    expect((await callWith({}, "/api/quota/reservations", requestOf(body))).status).toBe(503);
    return (await get<{ reserved: number }>("/api/quota/status")).body.reserved;
  };
  const requestOf = (body: object) => {
    const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}`, "content-type": "application/json" };
    return { method: "POST", headers, body: JSON.stringify(body) };
  };

  test("is released if the client does not know its id", async () => expect(await reservedBy({ calls: 7 })).toBe(0));

  test("stays reserved for a retry with its id", async () => {
    expect(await reservedBy({ calls: 7, id: "mine" })).toBe(7);
    expect(await post("/api/quota/reservations", { calls: 7, id: "mine" })).toMatchObject({ status: 201, body: { calls: 7 } });
  });
});

describe("an optional body may be empty", () => {
  const empty = (): ReadableStream => new Blob([]).stream();

  test.each([
    ["application/json", null],
    ["application/json", ""],
    ["application/json", "stream"],
    ["text/plain", ""],
    ["text/plain", "stream"],
    ["application/x-www-form-urlencoded", ""],
    ["application/octet-stream", "stream"],
  ])("with the type %s and the body %j", async (type, body) => {
    await post("/api/quota/reservations", { calls: 3, id: "r" });
    const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}`, "content-type": type };
    const init = { method: "POST", headers, ...(body === null ? {} : { body: body === "stream" ? empty() : body }) };
    expect(await callWith({}, "/api/quota/reservations/r/commit", init)).toMatchObject({ status: 200, body: { charged: 3 } });
  });

  test("but a required one may not", async () => {
    const answer = await call("POST", "/api/quota/reservations", "");
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  });
});
