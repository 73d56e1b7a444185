import { beforeEach, describe, expect, test } from "vitest";
import { postWith } from "../routes/support.ts";
import { problemOf } from "../support/problems.ts";
import { freshStart, isbnNumber, isbns, post, put, quotaStatus, setClock, settings, simulator } from "../support/worker.ts";
import { countRows, failTable, failWrites, fault, healTable, healWrites, requestsArrived, sent, stableFields } from "./support.ts";

/** The provider knows these at every setting of `unknown_percent`. */
const PATTERNS = "9780201633610";
const CLEAN = "9780132350884";
const GO = "9780134190440";
/** With `unknown_percent` 100 the provider does not know these. */
const UNKNOWN = isbnNumber(1);

const enrich = async (body: Record<string, unknown>) => post("/api/enrich/batch-direct", body);

const counts = { requested: 0, found: 0, enriched: 0, cached: 0, not_found: [], invalid: [], failed: [], api_calls: 0 };

beforeEach(async () => {
  await freshStart();
  await simulator.control("PUT", "/settings", { unknown_percent: 100 });
});

describe("an unreadable record is a failure, not a miss", () => {
  const answer = { total: 2, requested: 3, data: [{ isbn13: PATTERNS, title: "Design Patterns" }, { title: null }] };
  const error = "one of the provider's 1 unreadable records may be this book";

  test("the books that may be in it fail, and are requested again", async () => {
    await fault({ kind: "status", status: 200, path: "/books", body: answer });
    const { status, body } = await enrich({ isbns: [PATTERNS, CLEAN, UNKNOWN] });
    expect({ status, body: stableFields(body) }).toEqual({
      status: 200,
      body: {
        ...counts,
        requested: 3,
        found: 1,
        enriched: 1,
        failed: [
          { isbn: CLEAN, error },
          { isbn: UNKNOWN, error },
        ],
        api_calls: 1,
      },
    });
    expect(stableFields((await enrich({ isbns: [PATTERNS, CLEAN, UNKNOWN] })).body)).toEqual({
      ...counts,
      requested: 3,
      found: 2,
      enriched: 1,
      cached: 1,
      not_found: [UNKNOWN],
      api_calls: 1,
    });
  });

  test("and is still a failure if the catalog fails as well", async () => {
    await fault({ kind: "status", status: 200, path: "/books", body: answer });
    await failWrites("books");
    const { body } = await enrich({ isbns: [PATTERNS, CLEAN] });
    expect(stableFields(body)).toMatchObject({
      found: 0,
      not_found: [],
      failed: [
        { isbn: PATTERNS, error: "found but not stored" },
        { isbn: CLEAN, error },
      ],
    });
  });
});

describe("the provider fails: 502, nothing is reported as not found, nothing is stored", () => {
  test.each([
    ["500", { kind: "status", status: 500 }, "provider_failed", "later"],
    ["503", { kind: "status", status: 503, headers: { "retry-after": "7" } }, "provider_failed", "later"],
    ["401", { kind: "status", status: 401 }, "key_refused", "no"],
    ["403 for the plan", { kind: "wrong_plan" }, "plan_refused", "no"],
    ["404", { kind: "status", status: 404 }, "not_found", "no"],
    ["cut-off JSON", { kind: "cut_off_json" }, "unreadable", "later"],
    ["malformed JSON", { kind: "malformed_json" }, "unreadable", "later"],
    ["a response of a different shape", { kind: "status", status: 200, body: { ok: true } }, "unreadable", "later"],
    ["a response that is too large", { kind: "too_large" }, "provider_failed", "later"],
  ])("%s", async (_, kind, outcome, retry) => {
    await fault({ ...kind, path: "/books" });
    const { status, headers, body } = await enrich({ isbns: [PATTERNS] });
    expect({ status, body }).toMatchObject({
      status: 502,
      body: { code: "upstream_error", outcome, retry, calls_charged: 1, quota: { used: 1, reserved: 0 } },
    });
    expect(body["detail"]).toMatch(/ 1 call was charged\.$/u);
    expect(headers.get("retry-after")).toBe("headers" in kind ? "7" : null);
    expect(JSON.stringify(body)).not.toMatch(/not.found"?: ?\[|simulator-key/u);
    expect({ books: await countRows("books"), misses: await countRows("missing_isbns") }).toEqual({ books: 0, misses: 0 });
    expect((await enrich({ isbns: [PATTERNS] })).body).toMatchObject({ enriched: 1, api_calls: 1 });
  });

  test("a timeout after the request was sent is charged, and a missing response is not a miss", async () => {
    await fault({ kind: "hang_after_billing", path: "/books", hang_ms: 3_000 });
    const { status, body } = await postWith({ ISBNDB_TIMEOUT_SECONDS: "1" }, "/api/enrich/batch-direct", { isbns: [PATTERNS] });
    expect({ status, body }).toMatchObject({ status: 502, body: { code: "upstream_error", outcome: "timed_out", calls_charged: 1 } });
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
    expect(await countRows("missing_isbns")).toBe(0);
  });
});

describe("the provider refuses", () => {
  test.each([
    ["in the current form", { kind: "daily_quota" }],
    ["in the older form, 403", { kind: "daily_403" }],
  ])("because of its daily limit, %s: 429 quota_exhausted, and the next request sends nothing", async (_, kind) => {
    await fault({ ...kind, path: "/books" });
    const { status, headers, body } = await enrich({ isbns: [PATTERNS] });
    expect({ status, body }).toMatchObject({
      status: 429,
      body: {
        type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
        code: "quota_exhausted",
        "violated-policies": ["daily"],
        calls_charged: 1,
        reset_at: "2031-05-15T00:00:00Z",
        quota: { remaining: 0 },
      },
    });
    expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(35_809);
    expect((await enrich({ isbns: [PATTERNS] })).body).toMatchObject({ code: "quota_exhausted", calls_charged: 0 });
    expect(await sent()).toHaveLength(1);
    await setClock("2031-05-15T00:10:00Z");
    expect((await enrich({ isbns: [PATTERNS] })).status).toBe(200);
  });

  test("because of its pace: 429 pace_exceeded, and the daily quota is not used up", async () => {
    await fault({ kind: "minute_quota", path: "/books", headers: { "retry-after": "2" } });
    const { status, headers, body } = await enrich({ isbns: [PATTERNS] });
    expect({ status, body }).toMatchObject({ status: 429, body: { code: "pace_exceeded", calls_charged: 1 } });
    expect(headers.get("retry-after")).toBe("2");
    expect(await quotaStatus()).toMatchObject({ used: 1, can_make_calls: true });
  });

  test("for yesterday, right after midnight: that is a pace limit, not today's end", async () => {
    await setClock("2031-05-15T00:00:30Z");
    await fault({ kind: "daily_quota", path: "/books" });
    const { status, headers, body } = await enrich({ isbns: [PATTERNS] });
    expect({ status, body }).toMatchObject({ status: 429, body: { code: "pace_exceeded", calls_charged: 1 } });
    expect(Number(headers.get("retry-after"))).toBeLessThanOrEqual(90);
    expect(await quotaStatus()).toMatchObject({ can_make_calls: true });
  });
});

describe("too little quota", () => {
  test("429 before anything is sent", async () => {
    await settings({ daily_limit: 150, safety_buffer: 0 });
    await put("/api/quota/usage", { used: 50 });
    const { status, headers, body } = await enrich({ isbns: isbns(0, 101) });
    expect({ status, body }).toMatchObject({
      status: 429,
      body: {
        code: "quota_exhausted",
        calls_needed: 101,
        calls_available: 100,
        calls_charged: 0,
        reset_at: "2031-05-15T00:00:00Z",
        quota: { used: 50, reserved: 0, remaining: 100 },
      },
    });
    expect(headers.get("ratelimit")).toBe('"daily";r=100;t=35809');
    expect(headers.get("ratelimit-policy")).toBe('"daily";q=150;w=86400');
    expect(await sent()).toEqual([]);
  });

  test("cached books do not need it", async () => {
    await simulator.control("PUT", "/settings", { unknown_percent: 0 });
    await enrich({ isbns: isbns(0, 100) });
    await settings({ daily_limit: 2, safety_buffer: 0 });
    expect((await enrich({ isbns: isbns(0, 101) })).body).toMatchObject({ cached: 100, enriched: 1, api_calls: 1 });
  });
});

describe("the database fails", () => {
  test("before the call: 503, and nothing is sent", async () => {
    await failTable("missing_isbns");
    const { status, headers, body } = await enrich({ isbns: [PATTERNS] });
    expect({ status, body }).toEqual({
      status: 503,
      body: problemOf("storage_unavailable", "The database did not answer."),
    });
    expect(headers.get("retry-after")).toBe("5");
    expect(await sent()).toEqual([]);
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 });
  });

  test("after the paid call: 200, the books have failed, and unknown ISBNs are not found", async () => {
    await failWrites("books");
    const { status, body } = await enrich({ isbns: [PATTERNS, UNKNOWN] });
    expect({ status, body: stableFields(body) }).toEqual({
      status: 200,
      body: {
        ...counts,
        requested: 2,
        failed: [{ isbn: PATTERNS, error: "found but not stored" }],
        not_found: [UNKNOWN],
        api_calls: 1,
      },
    });
    await healWrites("books");
    expect((await enrich({ isbns: [PATTERNS] })).body).toMatchObject({ enriched: 1, api_calls: 1 });
  });

  test("if only misses cannot be stored, the books are stored and reported", async () => {
    await failWrites("missing_isbns");
    const { status, body } = await enrich({ isbns: [PATTERNS, UNKNOWN] });
    expect({ status, body }).toMatchObject({ status: 200, body: { found: 1, enriched: 1, failed: [], not_found: [UNKNOWN] } });
    expect((await enrich({ isbns: [PATTERNS] })).body).toMatchObject({ cached: 1, api_calls: 0 });
  });

  test("completely during the call: the paid calls are still reported", async () => {
    await enrich({ isbns: [GO] });
    await simulator.control("PUT", "/settings", { latency_ms: 300 });
    const answer = enrich({ isbns: [PATTERNS, GO], include: "books" });
    await requestsArrived(2);
    await failTable("books");
    const { status, body } = await answer;
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { found: 1, cached: 1, failed: [{ isbn: PATTERNS }], api_calls: 1, books: [{ isbn13: GO }] },
    });
    await healTable("books");
  });

  test("the ledger fails: 503, and nothing is sent", async () => {
    const away = { getByName: () => ({ reserve: async () => Promise.reject(new Error("secret inside")) }) };
    const { status, body, text } = await postWith({ QUOTA_LEDGER: away }, "/api/enrich/batch-direct", { isbns: [PATTERNS] });
    expect({ status, body }).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
    expect(text).not.toContain("secret inside");
    expect(await sent()).toEqual([]);
  });
});
