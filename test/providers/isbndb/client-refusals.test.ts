import { afterEach, describe, expect, it, vi } from "vitest";
import { createIsbndbClient } from "../../../worker/src/providers/isbndb/index.ts";
import { API_KEY, countHeaders, hang, stage, START, stream } from "./support.ts";

afterEach(() => vi.restoreAllMocks());

describe("a refusal", () => {
  it.each([
    ["message", 429, { message: "Daily quota exceeded, please try again later" }, "day_over"],
    ["message", 429, { message: "Per minute quota exceeded, please try again later" }, "wait"],
    ["errorMessage", 404, { errorMessage: "Not Found" }, "not_found"],
    ["error_message", 403, { message: null, error_message: "daily hits reached" }, "day_over"],
    ["message of older responses", 403, { message: "Forbidden" }, "plan_refused"],
  ])("is recognized by its %s (%i)", async (_, status, json, meaning) => {
    const { client, reports, onOutcome } = stage(() => Response.json(json, { status, headers: countHeaders }));
    const answer = await client.books(["9780140328721"], { onOutcome });
    expect(answer).toMatchObject({ value: null, report: { outcome: { meaning, sent: "yes" }, daily: { left: 14_880 } } });
    expect(reports).toEqual([answer.report]);
  });

  it("in plain text is recognized too, and in a page of HTML it is not", async () => {
    const bare = stage(() => new Response("Daily hits reached\n", { status: 403 }));
    expect((await bare.client.key()).report.outcome).toMatchObject({
      meaning: "day_over",
      detail: "the provider responded with 403: Daily hits reached",
    });
    const html = stage(() => new Response("<html>daily limit reached</html>", { status: 403 }));
    expect((await html.client.key()).report.outcome).toMatchObject({ meaning: "plan_refused", detail: "the provider responded with 403" });
  });

  it("of older responses ends the daily quota if the header reports no remaining calls", async () => {
    const { client } = stage(() =>
      Response.json({ message: "Limit Exceeded" }, { status: 429, headers: { ratelimit: '"daily";r=0;t=36000' } }),
    );
    expect((await client.key()).report.outcome).toMatchObject({ meaning: "day_over", retry: "after_reset", retryAfterSeconds: 36_000 });
  });

  it("by a redirect is a failure of the provider", async () => {
    const { client } = stage(() => new Response(null, { status: 302, headers: { location: "https://elsewhere.test/" } }));
    expect((await client.key()).report.outcome).toMatchObject({ meaning: "provider_failed", retry: "no" });
  });

  it.each([
    ["30", 30],
    ["Tue, 30 Dec 2025 14:01:01 GMT", 60],
  ])("has a pause with Retry-After %j", async (field, seconds) => {
    const { client } = stage(() => new Response(null, { status: 503, headers: { "retry-after": field } }));
    expect((await client.key()).report).toMatchObject({
      receivedAt: START + 1000,
      outcome: { meaning: "provider_failed", retryAfterSeconds: seconds },
    });
  });

  it.each([
    ["breaks off", "break"],
    ["stops midway", "hang"],
  ] as const)("counts by its status when its body %s", async (_, then) => {
    const { client, reports, onOutcome } = stage(() => new Response(stream('{"message": "Daily', then).body, { status: 429 }), {
      timeoutMs: 30,
    });
    const answer = await client.key({ onOutcome });
    expect(answer.report.outcome).toMatchObject({ meaning: "wait", sent: "yes", detail: "the provider responded with 429" });
    expect(reports).toEqual([answer.report]);
  });

  it("is read up to 64 KB only", async () => {
    const { body, state } = stream(JSON.stringify({ message: "daily hits reached", padding: "x".repeat(65_536) }), "hang");
    const { client } = stage(() => new Response(body, { status: 403 }));
    expect((await client.key()).report.outcome.meaning).toBe("plan_refused");
    expect(state.cancelled).toBe(true);
  });

  it("never repeats the key, not even in part", async () => {
    const { client } = stage(() => Response.json({ message: `${"x".repeat(290)} ${API_KEY} is not a key` }, { status: 401 }));
    const { outcome } = (await client.key()).report;
    expect(outcome.meaning).toBe("key_refused");
    expect(outcome.detail).not.toContain(API_KEY.slice(0, 4));
  });
});

describe("no answer", () => {
  it("in time is charged as maybe sent", async () => {
    const { client, reports, onOutcome } = stage(hang, { timeoutMs: 30 });
    const answer = await client.key({ onOutcome });
    expect(answer).toEqual({
      value: null,
      report: {
        endpoint: "key",
        status: null,
        outcome: {
          meaning: "timed_out",
          sent: "maybe",
          retry: "later",
          retryAfterSeconds: null,
          detail: "sent, but no response arrived in time",
        },
        requestedAt: START,
        receivedAt: START + 1000,
        daily: null,
        rate: null,
      },
    });
    expect(reports).toEqual([answer.report]);
  });

  it("because the connection was lost is charged as maybe sent", async () => {
    const { client, reports, onOutcome } = stage(() => Promise.reject(new TypeError("Network connection lost.")));
    const answer = await client.key({ onOutcome });
    expect(answer).toMatchObject({ value: null, report: { outcome: { meaning: "connection_lost", sent: "maybe" } } });
    expect(reports).toEqual([answer.report]);
  });
});

describe("never sent", () => {
  it("happens after the deadline, but not at it", async () => {
    const { client, requests, reports, onOutcome } = stage(() => Response.json({}));
    const answer = await client.key({ onOutcome, deadline: START - 1 });
    expect(answer).toMatchObject({
      value: null,
      report: { requestedAt: START, receivedAt: START, outcome: { meaning: "never_sent", sent: "no", retry: "later" } },
    });
    expect(reports).toEqual([answer.report]);
    expect(requests).toEqual([]);
    await client.key({ deadline: START + 1000 });
    expect(requests).toHaveLength(1);
  });

  it.each([
    ["a name of 151 characters", "é".repeat(151)],
    ["an empty name", " "],
    ["a name that a URL parser would resolve", ".."],
    ["a name with an unpaired surrogate", "Dahl \uD83E"],
  ])("is %s", async (_, name) => {
    const { client, requests, reports, onOutcome } = stage(() => Response.json({}));
    const answer = await client.author(name, 1, 20, { onOutcome });
    expect(answer).toMatchObject({ value: null, report: { outcome: { meaning: "never_sent", sent: "no", retry: "no" } } });
    expect(reports).toEqual([answer.report]);
    expect(requests).toEqual([]);
  });

  it("happens for a subject of 151 characters, but not for a name of 150 of any byte length", async () => {
    const { client, requests } = stage(() => Response.json({}));
    expect((await client.released({ month: "2025-02", subject: "x".repeat(151), page: 1, pageSize: 1 })).report.outcome.detail).toContain(
      "150 characters",
    );
    expect(requests).toEqual([]);
    await client.author("🦊".repeat(150), 1, 20);
    expect(requests).toHaveLength(1);
  });
});

describe("an invalid argument of our own code throws", () => {
  it.each([
    ["no ISBN", "isbns must contain at least one ISBN", { ask: "books" }],
    ["page 0", "page must be a whole number from 1 (got 0)", { ask: "author", page: 0 }],
    ["half a page", "page must be a whole number from 1 (got 1.5)", { ask: "author", page: 1.5 }],
    ["an empty page", "pageSize must be a whole number from 1 to 1000 (got 0)", { ask: "author", pageSize: 0 }],
    ["a page of 1,001", "pageSize must be a whole number from 1 to 1000 (got 1001)", { ask: "author", pageSize: 1001 }],
    ["a month in a different form", "month must be YYYY-MM (got 2025-2)", { ask: "released", month: "2025-2" }],
    ["an impossible month", "month must be YYYY-MM (got 2025-13)", { ask: "released", month: "2025-13" }],
  ] as const)("%s: %s", async (_, message, { ask, ...given }) => {
    const { client, requests } = stage(() => Response.json({}));
    const { page, pageSize, month } = { page: 1, pageSize: 20, month: "2025-02", ...given };
    const calls = {
      books: () => client.books([]),
      author: () => client.author("Dahl", page, pageSize),
      released: () => client.released({ month, page, pageSize }),
    };
    await expect(calls[ask]()).rejects.toThrow(message);
    expect(requests).toEqual([]);
  });

  it("an invalid address, and a key that a header cannot contain, which is not quoted", () => {
    const create = (baseUrl: string, apiKey: string) => () => createIsbndbClient({ baseUrl, apiKey, clock: () => START });
    expect(create("provider", API_KEY)).toThrow();
    expect(create("https://provider.test", `${API_KEY}\n`)).toThrow(/^apiKey must consist of visible ASCII characters$/u);
    expect(create("https://provider.test", "")).toThrow("apiKey");
  });
});
