import { problemOf } from "../support/problems.ts";
import { beforeEach, describe, expect, test } from "vitest";
import { postWith } from "../routes/support.ts";
import { AFTERNOON, freshStart, get, isbnNumber, isbns, post, put, setClock, simulator } from "../support/worker.ts";
import { daysAfter, sent, stableFields } from "./support.ts";

/** The provider knows these at every setting of `unknown_percent`. */
const PATTERNS = "9780201633610";
const CLEAN = "9780132350884";
const GO = "9780134190440";
/** With `unknown_percent` 100 the provider does not know these. */
const UNKNOWN = isbnNumber(1);
const ANOTHER = isbnNumber(2);

const enrich = async (body: Record<string, unknown>) => post("/api/enrich/batch-direct", body);

const counts = { requested: 0, found: 0, enriched: 0, cached: 0, not_found: [], invalid: [], failed: [], api_calls: 0 };

beforeEach(async () => {
  await freshStart();
  await simulator.control("PUT", "/settings", { unknown_percent: 100 });
});

describe("the accepted requests", () => {
  test("every notation of an ISBN is one book, requested once", async () => {
    const { status, body } = await enrich({
      isbns: ["978-0-13-235088-4", "0132350882", "0-13-235088-2", " 9780132350884 ", "0-8044-2957-x", "080442957X"],
    });
    expect({ status, body: stableFields(body) }).toEqual({
      status: 200,
      body: { ...counts, requested: 6, found: 1, enriched: 1, not_found: ["9780804429573"], api_calls: 1 },
    });
    expect((await sent()).map(({ isbns }) => isbns)).toEqual([[CLEAN, "9780804429573"]]);
  });

  test("invalid ISBNs are named with their reason, and the others are fetched", async () => {
    const { status, body } = await enrich({ isbns: [PATTERNS, "9780201633611", "hello"] });
    expect({ status, body: stableFields(body) }).toEqual({
      status: 200,
      body: {
        ...counts,
        requested: 3,
        found: 1,
        enriched: 1,
        invalid: [
          { isbn: "9780201633611", reason: "has a wrong check digit for an ISBN-13" },
          { isbn: "hello", reason: "must have 10 or 13 digits (the last of 10 may be X), with or without hyphens and spaces" },
        ],
        api_calls: 1,
      },
    });
  });

  test("if none is valid, each ISBN is named and nothing is spent", async () => {
    const { status, body } = await enrich({ isbns: ["9780201633611", "hello"] });
    expect({ status, body }).toEqual({
      status: 400,
      body: problemOf("invalid_request", "None of the ISBNs is valid. No request was sent to the provider.", {
        errors: [
          { path: "isbns.0", message: "has a wrong check digit for an ISBN-13", value: "9780201633611" },
          {
            path: "isbns.1",
            message: "must have 10 or 13 digits (the last of 10 may be X), with or without hyphens and spaces",
            value: "hello",
          },
        ],
      }),
    });
    expect(await sent()).toEqual([]);
  });

  test.each([
    ["1,001 ISBNs", { isbns: isbns(0, 1_001) }, ["isbns"]],
    ["an empty list", { isbns: [] }, ["isbns"]],
    ["no list", {}, ["isbns"]],
    ["a text for the list", { isbns: PATTERNS }, ["isbns"]],
    ["a number for an ISBN", { isbns: [PATTERNS, 9_780_132_350_884] }, ["isbns.1"]],
    ["null for an ISBN", { isbns: [null] }, ["isbns.0"]],
    ["an endless ISBN", { isbns: ["9".repeat(101)] }, ["isbns.0"]],
    ["a word for refresh", { isbns: [PATTERNS], refresh: "yes" }, ["refresh"]],
    ["something else to include", { isbns: [PATTERNS], include: "authors" }, ["include"]],
    ["a field that does not exist", { isbns: [PATTERNS], force: true }, ["force"]],
    ["a list for the body", [PATTERNS], ["body"]],
    ["several mistakes", { isbns: [], refresh: 1 }, ["isbns", "refresh"]],
  ])("%s: 400 that names the field, and nothing is spent", async (_, body, paths) => {
    const answer = await post<{ code: string; errors: { path: string }[] }>("/api/enrich/batch-direct", body);
    expect(answer.status).toBe(400);
    expect({ code: answer.body.code, paths: answer.body.errors.map(({ path }) => path) }).toEqual({ code: "invalid_request", paths });
    expect(await sent()).toEqual([]);
  });

  test("1,000 ISBNs are one request", async () => {
    await simulator.control("PUT", "/settings", { unknown_percent: 0 });
    const { body } = await enrich({ isbns: isbns(0, 1_000) });
    expect(body).toMatchObject({ requested: 1_000, found: 1_000, enriched: 1_000, api_calls: 1 });
  });
});

describe("books in the catalog are free", () => {
  test("for 30 days, and then requested again", async () => {
    expect((await enrich({ isbns: [PATTERNS] })).body).toMatchObject({ enriched: 1, cached: 0, api_calls: 1 });
    await setClock(daysAfter(AFTERNOON, 29.99));
    const { body } = await enrich({ isbns: [PATTERNS, "0-201-63361-2"] });
    expect(stableFields(body)).toEqual({ ...counts, requested: 2, found: 1, cached: 1 });
    expect(body["quota"]).toMatchObject({ used: 0 });
    await setClock(daysAfter(AFTERNOON, 30));
    expect((await enrich({ isbns: [PATTERNS] })).body).toMatchObject({ enriched: 1, cached: 0, api_calls: 1 });
    expect(await sent()).toHaveLength(2);
  });

  test("a known miss is not requested again for 7 days", async () => {
    expect(stableFields((await enrich({ isbns: [UNKNOWN] })).body)).toEqual({
      ...counts,
      requested: 1,
      not_found: [UNKNOWN],
      api_calls: 1,
    });
    await setClock(daysAfter(AFTERNOON, 6.99));
    expect(stableFields((await enrich({ isbns: [UNKNOWN] })).body)).toEqual({ ...counts, requested: 1, not_found: [UNKNOWN] });
    await setClock(daysAfter(AFTERNOON, 7));
    await simulator.control("PUT", "/settings", { unknown_percent: 0 });
    expect((await enrich({ isbns: [UNKNOWN] })).body).toMatchObject({ enriched: 1, not_found: [], api_calls: 1 });
    expect(stableFields((await enrich({ isbns: [UNKNOWN] })).body)).toEqual({ ...counts, requested: 1, found: 1, cached: 1 });
  });

  test("only missing books are requested, and found includes enriched and cached ones", async () => {
    await enrich({ isbns: [PATTERNS] });
    await enrich({ isbns: [UNKNOWN] });
    const { body } = await enrich({ isbns: [CLEAN, PATTERNS, UNKNOWN, GO, ANOTHER] });
    expect(body).toMatchObject({ requested: 5, found: 3, enriched: 2, cached: 1 });
    expect((await sent()).at(-1)?.isbns).toEqual([CLEAN, GO, ANOTHER]);
  });

  test("refresh requests all of them again, including misses", async () => {
    await enrich({ isbns: [PATTERNS, UNKNOWN] });
    const { body } = await enrich({ isbns: [PATTERNS, UNKNOWN], refresh: true });
    expect(stableFields(body)).toEqual({ ...counts, requested: 2, found: 1, enriched: 1, not_found: [UNKNOWN], api_calls: 1 });
    expect((await sent()).map(({ isbns }) => isbns)).toEqual([
      [PATTERNS, UNKNOWN],
      [PATTERNS, UNKNOWN],
    ]);
  });

  test("also when no call is left, and when the ledger is unavailable", async () => {
    await enrich({ isbns: [PATTERNS] });
    await put("/api/quota/usage", { used: 13_000 });
    expect((await enrich({ isbns: [PATTERNS] })).status).toBe(200);
    const away = { getByName: () => ({ status: async () => Promise.reject(new Error("away")) }) };
    const { status, body } = await postWith({ QUOTA_LEDGER: away }, "/api/enrich/batch-direct", { isbns: [PATTERNS] });
    expect({ status, body }).toMatchObject({ status: 200, body: { found: 1, cached: 1, api_calls: 0 } });
  });
});

describe("include=books", () => {
  test("adds the found books to the response, in the requested order, whether enriched or cached", async () => {
    await enrich({ isbns: [GO] });
    const { body } = await enrich({ isbns: [PATTERNS, UNKNOWN, GO, CLEAN], include: "books" });
    const books = body["books"] as Record<string, unknown>[];
    expect(books.map(({ isbn13 }) => isbn13)).toEqual([PATTERNS, GO, CLEAN]);
    expect(books[0]).toEqual({
      isbn13: PATTERNS,
      isbn10: "0201633612",
      title: "Design Patterns: Elements of Reusable Object-Oriented Software",
      authors: ["Erich Gamma", "Richard Helm", "Ralph Johnson", "John Vlissides"],
      publisher: "Addison-Wesley",
      language: "en",
      date_published: "1994",
      pages: null,
      binding: null,
      edition: null,
      subjects: ["Computers"],
      synopsis: null,
      image: "https://images.isbndb.com/covers/9780201633610.jpg",
      msrp: null,
      dewey_decimal: [],
      fetched_at: "2031-05-14T14:03:11Z",
    });
    expect((await get(`/api/books/${PATTERNS}`)).body).toEqual(books[0]);
  });

  test("is empty if no book was found", async () => {
    expect((await enrich({ isbns: [UNKNOWN], include: "books" })).body).toMatchObject({ found: 0, books: [] });
  });

  test("without it the response has no books", async () => {
    expect((await enrich({ isbns: [PATTERNS] })).body).not.toHaveProperty("books");
  });
});

test("every response that spent calls has the rate-limit fields and the current quota", async () => {
  const { headers, body } = await enrich({ isbns: [PATTERNS] });
  expect(headers.get("ratelimit")).toBe('"daily";r=12999;t=35809');
  expect(body["quota"]).toMatchObject({ used: 1, reserved: 0, remaining: 12_999, callers: [{ caller: "enrich.batch", used: 1 }] });
  expect(body["duration_ms"]).toEqual(expect.any(Number));
});
