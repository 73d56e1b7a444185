import { afterEach, describe, expect, it, vi } from "vitest";
import { API_KEY, countHeaders, fox, stage, START, stream } from "./support.ts";

afterEach(() => vi.restoreAllMocks());

const page = { total: 1, data: [fox] };

describe("a request", () => {
  it("for many books is one POST of JSON, with the bare key and no redirect followed", async () => {
    const { client, requests } = stage(() => Response.json(page));
    await client.books(["9780140328721", "9780142410370"]);
    expect(requests).toEqual([
      {
        url: "https://provider.test/books",
        init: {
          method: "POST",
          redirect: "manual",
          cache: "no-store",
          signal: expect.any(AbortSignal),
          headers: { authorization: API_KEY, accept: "application/json", "content-type": "application/json" },
          body: '{"isbns":["9780140328721","9780142410370"]}',
        },
      },
    ]);
  });

  it("goes to the address of each method, below any base", async () => {
    const { client, requests } = stage(() => Response.json({}), { baseUrl: "http://localhost:8788/isbndb/" });
    await client.author("AC/DC & Søn?", 2, 1000);
    await client.released({ month: "2025-02", page: 1, pageSize: 100 });
    await client.released({ month: "2025-02", subject: "Science & fiction", page: 3, pageSize: 1 });
    await client.key();
    expect(requests.map(({ url, init }) => `${init.method} ${url}`)).toEqual([
      "GET http://localhost:8788/isbndb/author/AC%2FDC%20%26%20S%C3%B8n%3F?page=2&pageSize=1000",
      "GET http://localhost:8788/isbndb/search/books?publishedFrom=2025-02&publishedTo=2025-02&page=1&pageSize=100",
      "GET http://localhost:8788/isbndb/search/books?publishedFrom=2025-02&publishedTo=2025-02&page=3&pageSize=1&subject=Science+%26+fiction",
      "GET http://localhost:8788/isbndb/key",
    ]);
  });

  it("is accepted by the runtime", async () => {
    const { client, requests } = stage(() => Response.json(page));
    await client.books(["9780140328721"]);
    const [{ url, init } = { url: "", init: {} }] = requests;
    expect(new Request(url, init).headers.get("authorization")).toBe(API_KEY);
  });
});

describe("a good answer", () => {
  it("returns the value, the report and the provider's count", async () => {
    const { client, reports, onOutcome } = stage(() =>
      Response.json({ plan_limit: { total: 15_000, spent: 120, left: 14_880 } }, { headers: countHeaders }),
    );
    const answer = await client.key({ onOutcome });
    expect(answer).toEqual({
      value: { limit: 15_000, spent: 120, left: 14_880 },
      report: {
        endpoint: "key",
        status: 200,
        outcome: { meaning: "ok", sent: "yes", retry: "no", retryAfterSeconds: null, detail: "the provider responded with 200" },
        requestedAt: START,
        receivedAt: START + 1000,
        daily: { left: 14_880, limit: 15_000, resetSeconds: 36_000 },
        rate: { left: 179, resetSeconds: 60 },
      },
    });
    expect(reports).toEqual([answer.report]);
  });

  it.each([
    ["2026", { total: 1, requested: 2, data: [fox] }],
    ["2025, as a keyed map", { total: 1, books: { [fox.isbn13]: fox } }],
  ])("is parsed in the form of %s", async (_, json) => {
    const { client } = stage(() => Response.json(json));
    expect((await client.books(["9780140328721"])).value).toMatchObject({
      books: [{ title: "Fantastic Mr. Fox" }],
      unreadable: 0,
      total: 1,
    });
  });

  it("without books is a value too", async () => {
    const { client } = stage(() => Response.json({ total: 0, requested: 1, data: [] }));
    expect((await client.books(["9780140328721"])).value).toEqual({ books: [], unreadable: 0, total: 0 });
  });

  it("of an author keeps the name", async () => {
    const { client } = stage(() => Response.json({ author: "Roald Dahl", books: [fox] }));
    expect((await client.author("roald dahl", 1, 20)).value).toMatchObject({ name: "Roald Dahl", total: null });
  });

  it("without headers has an unknown count, not 0", async () => {
    const { client } = stage(() => Response.json(page));
    expect((await client.books(["9780140328721"])).report).toMatchObject({ daily: null, rate: null });
  });

  it("with malformed headers is still a valid response", async () => {
    const { client } = stage(() => Response.json(page, { headers: { ratelimit: '"daily";r=', "ratelimit-policy": "???" } }));
    expect((await client.books(["9780140328721"])).report).toMatchObject({ outcome: { meaning: "ok" }, daily: null, rate: null });
  });
});

describe("onOutcome", () => {
  it("reports a 2xx before its body has arrived", async () => {
    const body = new TransformStream<Uint8Array, Uint8Array>();
    const { client, reports, onOutcome } = stage(() => new Response(body.readable, { headers: countHeaders }));
    const answer = client.books(["9780140328721"], { onOutcome });
    await vi.waitFor(() => expect(reports).toHaveLength(1));
    expect(reports[0]).toMatchObject({ outcome: { meaning: "ok", sent: "yes" }, daily: { left: 14_880 } });
    const writer = body.writable.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(page)));
    await writer.close();
    expect((await answer).value?.books).toHaveLength(1);
    expect(reports).toHaveLength(1);
  });

  it("that throws leaves no body open and is not called again", async () => {
    const { body, state } = stream("{", "hang");
    const { client } = stage(() => new Response(body));
    const onOutcome = vi.fn<() => void>(() => {
      throw new Error("the caller's own fault");
    });
    await expect(client.books(["9780140328721"], { onOutcome })).rejects.toThrow("the caller's own fault");
    expect(onOutcome).toHaveBeenCalledTimes(1);
    expect(state.cancelled).toBe(true);
  });
});

describe("an unreadable 2xx", () => {
  it.each([
    ["breaks off", () => stream('{"total":1,"data":[', "break").body],
    ["ends too early", () => stream('{"total":1,"data":[', "end").body],
    ["is not JSON", () => "<html>"],
    ["has an unknown shape", () => '{"errorMessage":"Not Found"}'],
    ["is missing", () => null],
  ])("that %s is charged like a valid one", async (_, body) => {
    const { client, reports, onOutcome } = stage(() => new Response(body(), { headers: countHeaders }));
    const answer = await client.books(["9780140328721"], { onOutcome });
    expect(answer).toMatchObject({
      value: null,
      report: { outcome: { meaning: "unreadable", sent: "yes", retry: "later" }, daily: { left: 14_880 } },
    });
    expect(reports.map((report) => report.outcome)).toMatchObject([{ meaning: "ok", sent: "yes" }]);
  });

  it("that stops before its end is cancelled by the timeout", async () => {
    const { body, state } = stream('{"total":1,"data":[', "hang");
    const { client, reports, onOutcome } = stage(() => new Response(body), { timeoutMs: 30 });
    const answer = await client.books(["9780140328721"], { onOutcome });
    expect(answer).toMatchObject({ value: null, report: { outcome: { meaning: "unreadable", sent: "yes" } } });
    expect(reports).toHaveLength(1);
    expect(state.cancelled).toBe(true);
  });
});
