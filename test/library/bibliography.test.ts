import { beforeEach, describe, expect, test } from "vitest";
import { AFTERNOON, freshLedger, get, post, put, quotaStatus, setClock, settings, simulator } from "../support/worker.ts";
import { countRows, daysAfter, pagesSent, sent, stableFields } from "./support.ts";

const AUTHOR = "Ines Sieben";
const TOMORROW = "2031-05-15T09:00:00Z";

interface Told {
  readonly errors: { readonly page: number; readonly code: string; readonly message: string; readonly path?: string }[];
  readonly [name: string]: unknown;
}

/** Seven pages of a hundred, unless a test says otherwise. */
const enrich = async (body: Record<string, unknown> = {}) =>
  post<Told>("/api/authors/enrich-bibliography", { author_name: AUTHOR, page_size: 100, ...body });

const wrote = async (books: number, name = AUTHOR): Promise<void> => {
  await simulator.control("PUT", "/settings", { authors: { [name]: books } });
};

/** This many calls are left today. */
const leave = async (calls: number): Promise<void> => settings({ daily_limit: calls, safety_buffer: 0 });

const done = {
  author: AUTHOR,
  books_found: 700,
  already_existed: 0,
  enriched: 700,
  failed: 0,
  pages_fetched: 7,
  api_calls: 7,
  cached: false,
  complete: true,
  quota_exhausted: false,
  errors: [],
};

const cached = { ...done, already_existed: 700, enriched: 0, pages_fetched: 0, api_calls: 0, cached: true };

beforeEach(async () => {
  await freshLedger();
  await wrote(700);
});

describe("an author of exactly seven pages", () => {
  test("costs seven calls, no eighth, and then nothing for 30 days", async () => {
    const { status, headers, body } = await enrich();
    expect({ status, body: stableFields(body) }).toEqual({ status: 200, body: done });
    expect(body["quota"]).toMatchObject({ used: 7, reserved: 0, callers: [{ caller: "enrich.bibliography", used: 7 }] });
    expect(headers.get("ratelimit")).toBe('"daily";r=12993;t=35809');
    expect(await pagesSent()).toEqual(["1 of 100", "2 of 100", "3 of 100", "4 of 100", "5 of 100", "6 of 100", "7 of 100"]);
    expect(await countRows("books")).toBe(700);

    expect(stableFields((await enrich()).body)).toEqual(cached);
    await setClock(daysAfter(AFTERNOON, 29.99));
    expect(stableFields((await enrich({ author_name: "  ines   SIEBEN " })).body)).toEqual(cached);
    expect(await sent()).toHaveLength(7);

    await setClock(daysAfter(AFTERNOON, 30));
    expect(stableFields((await enrich()).body)).toEqual({ ...done, already_existed: 700, enriched: 0 });
    expect(await sent()).toHaveLength(14);
  });

  test("with two calls left: two pages are stored, and the next day pays for the other five", async () => {
    await leave(2);
    const first = await enrich();
    expect({ status: first.status, body: stableFields(first.body) }).toEqual({
      status: 200,
      body: {
        ...done,
        books_found: 200,
        enriched: 200,
        pages_fetched: 2,
        api_calls: 2,
        complete: false,
        quota_exhausted: true,
        next_page: 3,
        errors: [
          {
            page: 3,
            code: "quota_exhausted",
            message: "This request needs 1 call, but no calls remain today (2 of 2 used). The next day begins at 2031-05-15T00:00:00Z.",
          },
        ],
      },
    });
    expect(first.body["quota"]).toMatchObject({ used: 2, remaining: 0 });
    expect(await countRows("books")).toBe(200);

    const refused = await enrich();
    expect({ status: refused.status, body: refused.body }).toMatchObject({
      status: 429,
      body: { code: "quota_exhausted", calls_needed: 5, calls_available: 0, calls_charged: 0 },
    });

    await setClock(TOMORROW);
    await leave(5);
    expect(stableFields((await enrich()).body)).toEqual({ ...done, books_found: 500, enriched: 500, pages_fetched: 5, api_calls: 5 });
    expect(stableFields((await enrich()).body)).toEqual(cached);
    expect(await pagesSent()).toEqual(["1 of 100", "2 of 100", "3 of 100", "4 of 100", "5 of 100", "6 of 100", "7 of 100"]);
    expect(await countRows("books")).toBe(700);
  });

  test("can be fetched in parts: max_pages", async () => {
    expect((await enrich({ max_pages: 3 })).body).toMatchObject({
      pages_fetched: 3,
      complete: false,
      quota_exhausted: false,
      next_page: 4,
    });
    expect((await enrich({ max_pages: 3 })).body).toMatchObject({
      pages_fetched: 3,
      complete: false,
      quota_exhausted: false,
      next_page: 7,
    });
    const last = await enrich({ max_pages: 3 });
    expect(stableFields(last.body)).toEqual({ ...done, books_found: 100, enriched: 100, pages_fetched: 1, api_calls: 1 });
    expect(stableFields((await enrich()).body)).toEqual(cached);
  });

  test("continues with another page size without a gap", async () => {
    await enrich({ max_pages: 2 });
    expect((await enrich({ page_size: 150, max_pages: 2 })).body).toMatchObject({ next_page: 4, complete: false, already_existed: 50 });
    expect((await enrich({ page_size: 80 })).body).toMatchObject({ complete: true });
    expect((await pagesSent()).slice(2)).toEqual(["2 of 150", "3 of 150", "6 of 80", "7 of 80", "8 of 80", "9 of 80"]);
    expect(await countRows("books")).toBe(700);
    expect(stableFields((await enrich()).body)).toEqual(cached);
  });

  test("refresh starts again, and is not complete until it reaches the end", async () => {
    await enrich();
    const part = await enrich({ refresh: true, max_pages: 2 });
    expect(part.body).toMatchObject({ cached: false, already_existed: 200, enriched: 0, api_calls: 2, complete: false, next_page: 3 });
    expect((await enrich()).body).toMatchObject({ cached: false, api_calls: 5, complete: true });
  });

  test("a list that grew is fetched as far as possible", async () => {
    await enrich({ max_pages: 2 });
    await wrote(850);
    expect((await enrich()).body).toMatchObject({ pages_fetched: 7, books_found: 650, complete: true });
    expect(await countRows("books")).toBe(850);
  });
});

describe("the plan is checked first", () => {
  test("nothing affordable: 429 with the number of pages known to be needed, before anything is sent", async () => {
    await enrich({ max_pages: 1 });
    await put("/api/quota/usage", { used: 13_000 });
    expect((await enrich()).body).toMatchObject({ code: "quota_exhausted", calls_needed: 6, calls_available: 0, calls_charged: 0 });
    expect((await enrich({ max_pages: 4 })).body).toMatchObject({ calls_needed: 4 });
    expect((await enrich({ refresh: true })).body).toMatchObject({ calls_needed: 7 });
    expect((await enrich({ author_name: "Never Seen" })).body).toMatchObject({ calls_needed: 1 });
    expect(await sent()).toHaveLength(1);
  });

  test("less than the plan: exactly the affordable pages", async () => {
    await enrich({ max_pages: 1 });
    await leave(4);
    const { status, body } = await enrich();
    expect({ status, body }).toMatchObject({ status: 200, body: { api_calls: 3, complete: false, quota_exhausted: true, next_page: 5 } });
    expect(await simulator.state()).toMatchObject({ spent: 4 });
    expect(await quotaStatus()).toMatchObject({ used: 4, reserved: 0, remaining: 0 });
  });

  test("cached results need no quota", async () => {
    await enrich();
    await put("/api/quota/usage", { used: 13_000 });
    expect(stableFields((await enrich()).body)).toEqual(cached);
  });
});

describe("the provider returns at most 10,000 results", () => {
  const message = "The provider returned 9900 of 12000 results, because pages of 300 cannot go beyond result 10000.";
  const limited = {
    ...done,
    books_found: 9_900,
    enriched: 9_900,
    pages_fetched: 33,
    api_calls: 33,
    complete: false,
    errors: [{ page: 34, code: "provider_limit", message }],
  };

  test("12,000 in pages of 300: 33 pages, and the response explains why it is not complete", async () => {
    await wrote(12_000);
    expect(stableFields((await enrich({ page_size: 300, max_pages: 100 })).body)).toEqual(limited);
    expect((await pagesSent()).at(-1)).toBe("33 of 300");
    const again = { ...limited, already_existed: 9_900, enriched: 0, pages_fetched: 0, api_calls: 0, cached: true };
    expect(stableFields((await enrich({ page_size: 300, max_pages: 100 })).body)).toEqual(again);
    expect(await sent()).toHaveLength(33);
  });

  test("a page size that cannot reach the next result ends the list without a call", async () => {
    await wrote(12_000);
    expect((await enrich({ page_size: 700, max_pages: 13 })).body).toMatchObject({ books_found: 9_100, complete: false, next_page: 14 });
    await put("/api/quota/usage", { used: 13_000 });
    expect((await enrich({ page_size: 910 })).body).toMatchObject({
      cached: true,
      api_calls: 0,
      complete: false,
      errors: [{ page: 11, code: "provider_limit" }],
      quota: { used: 13_000 },
    });
  });
});

describe("the responses of 2025 have no total", () => {
  beforeEach(async () => {
    await simulator.control("PUT", "/settings", { dialect: "2025" });
  });

  test("a page that is not full is the last", async () => {
    await wrote(250);
    expect(stableFields((await enrich()).body)).toEqual({ ...done, books_found: 250, enriched: 250, pages_fetched: 3, api_calls: 3 });
    expect((await enrich()).body).toMatchObject({ cached: true, books_found: 250 });
  });

  test("after full pages an empty one is, and one page at a time is planned", async () => {
    await wrote(200);
    expect((await enrich({ max_pages: 1 })).body).toMatchObject({ complete: false, next_page: 2 });
    await put("/api/quota/usage", { used: 13_000 });
    expect((await enrich()).body).toMatchObject({ code: "quota_exhausted", calls_needed: 1 });
    await put("/api/quota/usage", { used: 1 });
    expect((await enrich()).body).toMatchObject({ complete: true, books_found: 100, pages_fetched: 2, api_calls: 2 });
    expect((await enrich()).body).toMatchObject({ cached: true, books_found: 200 });
  });

  test("a daily limit between pages is recognized in those responses too, and no page is lost", async () => {
    await simulator.control("PUT", "/settings", { daily_limit: 2 });
    const { status, body } = await enrich();
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { books_found: 200, pages_fetched: 2, api_calls: 3, complete: false, quota_exhausted: true, next_page: 3 },
    });
    expect((await enrich()).status).toBe(429);
  });
});

describe("an author unknown to the provider", () => {
  const unknown = {
    ...done,
    author: "Nobody Known",
    books_found: 0,
    enriched: 0,
    pages_fetched: 1,
    api_calls: 1,
    errors: [{ page: 1, code: "author_not_found", message: "The provider does not know this author." }],
  };

  test("is complete without books, and not requested again for 7 days", async () => {
    expect(stableFields((await enrich({ author_name: "Nobody Known" })).body)).toEqual(unknown);
    await setClock(daysAfter(AFTERNOON, 6.99));
    const { body } = await enrich({ author_name: "nobody known" });
    expect(stableFields(body)).toEqual({ ...unknown, pages_fetched: 0, api_calls: 0, cached: true });
    await setClock(daysAfter(AFTERNOON, 7));
    await wrote(30, "Nobody Known");
    expect((await enrich({ author_name: "Nobody Known" })).body).toMatchObject({ cached: false, books_found: 30, errors: [] });
  });
});

describe("the accepted requests", () => {
  test.each([
    ["no name", { author_name: undefined }, ["author_name"]],
    ["an empty name", { author_name: " \t" }, ["author_name"]],
    ["a name that is too long", { author_name: "x".repeat(151) }, ["author_name"]],
    ["a name that would change the URL", { author_name: ".." }, ["author_name"]],
    ["half a character", { author_name: "Ines \ud800" }, ["author_name"]],
    ["a control character", { author_name: "Ines\u0000Sieben" }, ["author_name"]],
    ["a number for the name", { author_name: 7 }, ["author_name"]],
    ["max_pages 0", { max_pages: 0 }, ["max_pages"]],
    ["max_pages 101", { max_pages: 101 }, ["max_pages"]],
    ["half a page", { max_pages: 1.5 }, ["max_pages"]],
    ["page_size 0", { page_size: 0 }, ["page_size"]],
    ["page_size 1,001", { page_size: 1_001 }, ["page_size"]],
    ["a word for page_size", { page_size: "100" }, ["page_size"]],
    ["a word for refresh", { refresh: "no" }, ["refresh"]],
    ["something unknown", { pages: 1 }, ["pages"]],
  ])("%s: 400 that names the field", async (_, change, paths) => {
    const { status, body } = await enrich(change);
    expect({ status, paths: body.errors.map(({ path }) => path) }).toEqual({ status: 400, paths });
    expect(await sent()).toEqual([]);
  });

  test("names with slashes, percent signs and letters of every script reach the provider unchanged", async () => {
    for (const author_name of ["A/C 100% & Söhne?", "Фёдор Достоевский", "村上 春樹", "../etc/passwd"]) {
      await wrote(3, author_name);
      expect((await enrich({ author_name })).body).toMatchObject({ author: author_name, books_found: 3, complete: true });
    }
  });

  test("without the other fields: ten pages of a thousand", async () => {
    const { body } = await post("/api/authors/enrich-bibliography", { author_name: AUTHOR });
    expect(body).toMatchObject({ books_found: 700, api_calls: 1, complete: true });
    expect(await pagesSent()).toEqual(["1 of 1000"]);
    expect((await get("/api/authors/top?limit=1")).body).toMatchObject({ authors: [{ author_name: AUTHOR, edition_count: 700 }] });
  });
});
