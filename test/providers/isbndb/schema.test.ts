import { describe, expect, it } from "vitest";
import { readAuthorPage, readBooksPage, readKeyAnswer } from "../../../worker/src/providers/isbndb/schema.ts";

const fox = { isbn13: "9780140328721", title: "Fantastic Mr. Fox" };
const matilda = { isbn13: "9780142410370", title: "Matilda" };
const isbnsOf = (page: { books: { isbn13: string }[] } | null) => page?.books.map((book) => book.isbn13);

describe("a page of books", () => {
  it.each([
    ["data", { total: 2, requested: 2, data: [fox, matilda] }],
    ["books", { total: 2, books: [fox, matilda] }],
    ["a keyed map", { total: "2", books: { "9780140328721": fox, "9780142410370": matilda } }],
    ["data with a null", { total: 2, books: null, data: [fox, matilda] }],
  ])("may come as %s", (_, json) => {
    const page = readBooksPage(json);
    expect(isbnsOf(page)).toEqual(["9780140328721", "9780142410370"]);
    expect(page).toMatchObject({ unreadable: 0, total: 2 });
  });

  it("loses only the unreadable records, and counts them", () => {
    const page = readBooksPage({ total: 5, data: [null, fox, { title: "No ISBN" }, "?", matilda] });
    expect(isbnsOf(page)).toEqual(["9780140328721", "9780142410370"]);
    expect(page).toMatchObject({ unreadable: 3, total: 5 });
  });

  it.each([
    ["an empty list", { total: 0, data: [] }, 0],
    ["a missing list with a total of 0", { total: 0 }, 0],
    ["an empty list without a total", { books: [] }, null],
  ])("is empty with %s", (_, json, total) => {
    expect(readBooksPage(json)).toEqual({ books: [], unreadable: 0, total });
  });

  it.each([
    ["a missing list", { total: 3 }],
    ["a list that is text", { total: 3, data: "many" }],
    ["an error instead of a response", { errorMessage: "Not Found" }],
    ["a bare list", [fox]],
    ["nothing", undefined],
  ])("is not a page with %s", (_, json) => {
    expect(readBooksPage(json)).toBeNull();
  });

  it.each([[-1], [1.5], ["lots"], [null], [undefined]])("has an unknown total with %j", (total) => {
    expect(readBooksPage({ total, data: [] })?.total).toBeNull();
  });
});

describe("an author's page", () => {
  it.each([
    [
      "2026",
      { author: "roald dahl", name: "Roald Dahl", books: [fox], total: 1, page: 1, page_size: 20 },
      { name: "Roald Dahl", total: 1 },
    ],
    ["2025", { author: "Roald Dahl", books: [fox] }, { name: "Roald Dahl", total: null }],
    ["no", { books: [fox] }, { name: null, total: null }],
  ])("is parsed in the form of %s", (_, json, expected) => {
    const page = readAuthorPage(json);
    expect(page).toMatchObject({ ...expected, unreadable: 0 });
    expect(isbnsOf(page)).toEqual(["9780140328721"]);
  });

  it("is not a page without books", () => {
    expect(readAuthorPage({ author: "Roald Dahl" })).toBeNull();
  });
});

describe("the key's plan", () => {
  it.each([[{ total: 15_000, spent: 120, left: 14_880 }], [{ total: "15000", spent: "120", left: "14880" }]])(
    "is parsed from %j",
    (plan_limit) => {
      expect(readKeyAnswer({ api_host: "api.premium.isbndb.com", plan_limit })).toEqual({ limit: 15_000, spent: 120, left: 14_880 });
    },
  );

  it.each([[{}], [{ plan_limit: { total: 15_000, left: 14_880 } }], [{ plan_limit: { total: 15_000, spent: null, left: 1 } }]])(
    "does not treat a missing number in %j as 0",
    (json) => {
      expect(readKeyAnswer(json)).toBeNull();
    },
  );
});
