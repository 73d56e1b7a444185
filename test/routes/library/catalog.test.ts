import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fault } from "../../library/support.ts";
import { ADMIN_TOKEN, freshLedger, get, ledger, post, put, setClock, simulator } from "../../support/worker.ts";
import { callWith } from "../support.ts";

beforeEach(async () => freshLedger());
afterEach(() => void vi.restoreAllMocks());

interface Record {
  readonly isbn13: string;
  readonly title: string;
  readonly authors?: readonly (string | null)[];
  readonly [field: string]: unknown;
}

/** Puts books into the catalog, as if from the provider. */
const hold = async (...records: Record[]): Promise<void> => {
  await fault({ kind: "status", status: 200, path: "/books", body: { total: records.length, data: records } });
  const { status, body } = await post("/api/enrich/batch-direct", { isbns: records.map(({ isbn13 }) => isbn13), refresh: true });
  expect({ status, enriched: body["enriched"] }).toEqual({ status: 200, enriched: records.length });
};

const [A, B, C, D] = ["9780201633610", "9780132350884", "9780134190440", "9780131103627"] as const;

describe("GET /api/books/{isbn}", () => {
  test("shows all data of the provider in one form", async () => {
    await hold({
      isbn13: A,
      isbn10: "0201633612",
      title: "Design Patterns",
      authors: ["Erich Gamma", null, "Richard Helm"],
      publisher: "Addison-Wesley",
      language: "English",
      date_published: 1994,
      pages: "395",
      binding: "Hardcover",
      edition: 1,
      subjects: { 0: "Computers", 1: "Software" },
      synopsis: "Capturing a wealth of experience…",
      image: "https://images.isbndb.com/covers/9780201633610.jpg",
      msrp: "54.99",
      dewey_decimal: "005.12",
    });
    const { status, body } = await get(`/api/books/${A}`);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        isbn13: A,
        isbn10: "0201633612",
        title: "Design Patterns",
        authors: ["Erich Gamma", "Richard Helm"],
        publisher: "Addison-Wesley",
        language: "en",
        date_published: "1994",
        pages: 395,
        binding: "Hardcover",
        edition: "1",
        subjects: ["Computers", "Software"],
        synopsis: "Capturing a wealth of experience…",
        image: "https://images.isbndb.com/covers/9780201633610.jpg",
        msrp: 54.99,
        dewey_decimal: ["005.12"],
        fetched_at: "2031-05-14T14:03:11Z",
      },
    });
  });

  test("missing data of the provider is null or an empty list, never absent and never 0", async () => {
    await hold({ isbn13: A, title: "Bare" });
    const nothing = { isbn10: null, publisher: null, language: null, date_published: null, pages: null, binding: null, edition: null };
    expect((await get(`/api/books/${A}`)).body).toEqual({
      ...nothing,
      isbn13: A,
      title: "Bare",
      authors: [],
      subjects: [],
      synopsis: null,
      image: null,
      msrp: null,
      dewey_decimal: [],
      fetched_at: "2031-05-14T14:03:11Z",
    });
  });

  test.each(["978-0-201-63361-0", "0201633612", "0-201-63361-2", " 9780201633610", "978%200%20201%2063361%200"])(
    "finds it as %j",
    async (isbn) => {
      await hold({ isbn13: A, title: "Design Patterns" });
      expect((await get(`/api/books/${isbn}`)).body).toMatchObject({ isbn13: A });
    },
  );

  test("shows an expired book too, free of charge", async () => {
    await hold({ isbn13: A, title: "Design Patterns" });
    await setClock("2031-12-30T12:00:00Z");
    await put("/api/quota/usage", { used: 13_000 });
    expect((await get(`/api/books/${A}`)).body).toMatchObject({ isbn13: A, fetched_at: "2031-05-14T14:03:11Z" });
    expect(await simulator.state()).toMatchObject({ spent: 0 });
  });

  test("of a missing book: 404 that names the route to fetch it, and nothing is spent", async () => {
    const { status, body } = await get("/api/books/0-8044-2957-X");
    expect({ status, body }).toMatchObject({
      status: 404,
      body: {
        code: "not_found",
        detail: "The book 9780804429573 is not in the catalog. Send POST /api/enrich/batch-direct to fetch it.",
      },
    });
    expect(await simulator.state()).toMatchObject({ requests: expect.any(Number), spent: 0 });
  });

  test.each([
    ["9780201633611", "has a wrong check digit for an ISBN-13"],
    ["hello", "must have 10 or 13 digits (the last of 10 may be X), with or without hyphens and spaces"],
    ["%27%20OR%201=1", "must have 10 or 13 digits (the last of 10 may be X), with or without hyphens and spaces"],
    ["%E0%A4%A", "must have 10 or 13 digits (the last of 10 may be X), with or without hyphens and spaces"],
  ])("of %j: 400 with the reason", async (isbn, reason) => {
    const { status, body } = await get<{ errors: { path: string; message: string }[] }>(`/api/books/${isbn}`);
    expect({ status, path: body.errors[0]?.path }).toEqual({ status: 400, path: "isbn" });
    expect(body.errors[0]?.message).toContain(reason);
  });

  test("of a text that is too long: 400", async () => {
    expect((await get(`/api/books/${"9".repeat(101)}`)).body).toMatchObject({ code: "invalid_request", errors: [{ path: "isbn" }] });
  });
});

describe("GET /api/authors/top", () => {
  const author = (author_name: string, work_count: number, edition_count: number) => ({ author_name, work_count, edition_count });

  const library = async (): Promise<void> =>
    hold(
      { isbn13: A, title: "Emma", authors: ["Jane Austen", "Zoe Late"] },
      { isbn13: B, title: "Emma: A Novel", authors: ["jane  AUSTEN"] },
      { isbn13: C, title: "Persuasion (Annotated)", authors: ["Jane Austen", "Ann Early"] },
      { isbn13: D, title: "Anonymous", authors: [] },
    );

  test("counts editions, and works by their title, ordered by editions, then by name", async () => {
    await library();
    const { status, body } = await get("/api/authors/top");
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        authors: [author("Jane Austen", 2, 3), author("Ann Early", 1, 1), author("Zoe Late", 1, 1)],
        pagination: { offset: 0, limit: 100, returned: 3 },
        query_duration_ms: expect.any(Number),
      },
    });
  });

  test("is paged by offset and limit", async () => {
    await library();
    expect((await get("/api/authors/top?offset=1&limit=1")).body).toMatchObject({
      authors: [author("Ann Early", 1, 1)],
      pagination: { offset: 1, limit: 1, returned: 1 },
    });
    expect((await get("/api/authors/top?offset=3")).body).toMatchObject({
      authors: [],
      pagination: { offset: 3, limit: 100, returned: 0 },
    });
    expect((await get("/api/authors/top?limit=1000")).body).toMatchObject({ pagination: { offset: 0, limit: 1_000, returned: 3 } });
  });

  test("of an empty catalog is an empty list", async () => {
    expect((await get("/api/authors/top")).body).toMatchObject({ authors: [], pagination: { offset: 0, limit: 100, returned: 0 } });
  });

  test("follows the provider when it names other authors", async () => {
    await library();
    await hold({ isbn13: A, title: "Emma", authors: ["Jane Austen", "New Name"] }, { isbn13: C, title: "Emma", authors: ["Jane Austen"] });
    expect((await get("/api/authors/top")).body).toMatchObject({ authors: [author("Jane Austen", 1, 3), author("New Name", 1, 1)] });
  });

  test("counts a book stored twice once", async () => {
    await library();
    await library();
    expect((await get("/api/authors/top")).body).toMatchObject({ authors: [author("Jane Austen", 2, 3), {}, {}] });
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=1001", "limit"],
    ["limit=-1", "limit"],
    ["limit=1.5", "limit"],
    ["limit=ten", "limit"],
    ["limit=1e2", "limit"],
    ["limit=0x10", "limit"],
    ["limit=", "limit"],
    ["limit=1&limit=2", "limit"],
    ["offset=-1", "offset"],
    ["offset=", "offset"],
    ["offset=%20", "offset"],
    ["offset=1;DROP%20TABLE%20books", "offset"],
    ["offset=10000001", "offset"],
    ["offset=99999999999999999999", "offset"],
  ])("%s: 400 that names the parameter", async (query, path) => {
    const { status, body } = await get<{ errors: { path: string }[] }>(`/api/authors/top?${query}`);
    expect({ status, paths: [...new Set(body.errors.map((error) => error.path.split(".")[0]))] }).toEqual({ status: 400, paths: [path] });
  });

  test("when the database fails: 503, never an empty list", async () => {
    await env.CATALOG.prepare("DROP TABLE authors").run();
    const { status, headers, body } = await get("/api/authors/top");
    expect({ status, code: body["code"], retry: headers.get("retry-after") }).toEqual({
      status: 503,
      code: "storage_unavailable",
      retry: "5",
    });
    await env.CATALOG.prepare("DROP TABLE books").run();
    expect((await get(`/api/books/${A}`)).status).toBe(503);
  });
});

describe("GET /health", () => {
  const away = { getByName: () => ({ status: async () => Promise.reject(new Error("the ledger's inside")) }) };

  const unavailable = { prepare: () => ({ all: async () => Promise.reject(new Error("away")) }) };

  test("is ok when the ledger and the databases answer", async () => {
    const { status, headers, body } = await get("/health", { token: null });
    expect({ status, body }).toEqual({ status: 200, body: { status: "ok", checks: { ledger: "ok", database: "ok", catalog: "ok" } } });
    expect(headers.get("cache-control")).toBe("no-store");
  });

  test.each([
    ["the main database", { DB: unavailable }, { ledger: "ok", database: "failing", catalog: "ok" }],
    ["the catalog", { CATALOG: unavailable }, { ledger: "ok", database: "ok", catalog: "failing" }],
  ])("is degraded, with 503, when %s does not answer", async (_, missing, checks) => {
    expect(await callWith(missing, "/health")).toMatchObject({ status: 503, body: { status: "degraded", checks } });
  });

  test("is degraded when the ledger does not answer, although its snapshot is available", async () => {
    await runDurableObjectAlarm(ledger());
    expect((await callWith({ QUOTA_LEDGER: away }, "/api/quota/status")).body).toMatchObject({ source: "snapshot" });
    const answer = await callWith({ QUOTA_LEDGER: away }, "/health");
    expect(answer).toMatchObject({ status: 503, body: { status: "degraded", checks: { ledger: "failing", database: "ok" } } });
    expect(answer.text).not.toContain("inside");
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });

  test("sends nothing to the provider if everything is fine", async () => {
    const before = await simulator.state();
    await get("/health");
    expect(await simulator.state()).toMatchObject({ requests: before.requests, spent: 0 });
  });

  test("needs no credentials, and ignores all", async () => {
    const answer = await callWith({}, "/health", { headers: { authorization: `Basic ${ADMIN_TOKEN}` } });
    expect(answer.status).toBe(200);
  });
});
