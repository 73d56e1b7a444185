import { describe, expect, it } from "vitest";
import { type BookRecord, readBook } from "../../../worker/src/providers/isbndb/book-record.ts";

const bare: BookRecord = {
  isbn13: "9780140328721",
  isbn10: null,
  title: "Fantastic Mr. Fox",
  authors: [],
  publisher: null,
  language: null,
  date_published: null,
  pages: null,
  binding: null,
  edition: null,
  subjects: [],
  synopsis: null,
  image: null,
  msrp: null,
  dewey_decimal: [],
};
const minimal = { isbn13: "9780140328721", title: "Fantastic Mr. Fox" };

describe("a book record", () => {
  it("keeps the documented fields, except those that expire or are deprecated", () => {
    const record = readBook({
      title: "Fantastic Mr. Fox",
      title_long: "Fantastic Mr. Fox: A Puffin Book",
      isbn: "9780140328721",
      isbn13: "9780140328721",
      isbn10: "0140328726",
      authors: ["Roald Dahl", "Quentin Blake"],
      publisher: "Puffin",
      language: "en",
      date_published: "1988-10-01",
      pages: 96,
      binding: "Paperback",
      edition: "Reprint",
      subjects: ["Foxes", "Fiction"],
      synopsis: "Three farmers, one fox.",
      image: "https://images.isbndb.com/covers/87/21/9780140328721.jpg",
      image_original: "https://images.isbndb.com/expiring.jpg",
      msrp: 6.99,
      dewey_decimal: ["823.914"],
      dimensions: "7.8 x 5.1 inches",
    });
    expect(record).toEqual({
      isbn13: "9780140328721",
      isbn10: "0140328726",
      title: "Fantastic Mr. Fox",
      authors: ["Roald Dahl", "Quentin Blake"],
      publisher: "Puffin",
      language: "en",
      date_published: "1988-10-01",
      pages: 96,
      binding: "Paperback",
      edition: "Reprint",
      subjects: ["Foxes", "Fiction"],
      synopsis: "Three farmers, one fox.",
      image: "https://images.isbndb.com/covers/87/21/9780140328721.jpg",
      msrp: 6.99,
      dewey_decimal: ["823.914"],
    });
  });

  it("needs only an ISBN-13 and a title", () => {
    expect(readBook(minimal)).toEqual(bare);
  });

  it("treats null and malformed values in every other field as unknown", () => {
    const fields = Object.keys(bare).filter((field) => field !== "isbn13" && field !== "title");
    const filledWith = (value: unknown) => ({ ...minimal, ...Object.fromEntries(fields.map((field) => [field, value])) });
    expect(readBook(filledWith(null))).toEqual(bare);
    expect(readBook(filledWith({}))).toEqual(bare);
    expect(readBook(filledWith(false))).toEqual(bare);
  });

  it.each([
    ["no ISBN-13", { title: "Fantastic Mr. Fox" }],
    ["an ISBN-13 of other digits", { ...minimal, isbn13: "1234567890123" }],
    ["an ISBN-10 only", { isbn: "0140328726", title: "Fantastic Mr. Fox" }],
    ["no title", { isbn13: "9780140328721", title: "  " }],
    ["null", null],
    ["text", "Fantastic Mr. Fox"],
    ["a list", [minimal]],
  ])("is unreadable with %s", (_, raw) => {
    expect(readBook(raw)).toBeNull();
  });
});

describe("a loose field", () => {
  it.each([
    ["isbn13", 9780140328721, { isbn13: "9780140328721" }],
    ["isbn13", "978-0-14-032872-1", { isbn13: "9780140328721" }],
    ["isbn10", "0-8044-2957-x", { isbn10: "080442957X" }],
    ["isbn10", "9780140328721", { isbn10: null }],
    ["title", 1984, { title: "1984" }],
    ["authors", ["Roald Dahl", null, " ", "Roald Dahl", 7], { authors: ["Roald Dahl", "7"] }],
    ["authors", { 0: "Roald Dahl", 2: "Quentin Blake" }, { authors: ["Roald Dahl", "Quentin Blake"] }],
    ["authors", "Roald Dahl", { authors: ["Roald Dahl"] }],
    ["dewey_decimal", "823.914", { dewey_decimal: ["823.914"] }],
    ["dewey_decimal", [823.914, 813], { dewey_decimal: ["823.914", "813"] }],
    ["language", "English", { language: "en" }],
    ["edition", 3, { edition: "3" }],
    ["pages", "96", { pages: 96 }],
    ["pages", "320 pages", { pages: 320 }],
    ["pages", "320 p.", { pages: 320 }],
    ["pages", 0, { pages: null }],
    ["pages", -1, { pages: null }],
    ["pages", 12.5, { pages: null }],
    ["pages", "many", { pages: null }],
    ["msrp", "19.95", { msrp: 19.95 }],
    ["msrp", "$1,299.00", { msrp: 1299 }],
    ["msrp", "USD 6.99", { msrp: 6.99 }],
    ["msrp", 0, { msrp: 0 }],
    ["msrp", -5, { msrp: null }],
    ["msrp", "call us", { msrp: null }],
    ["image", "images/fox.jpg", { image: null }],
    ["image", "javascript:alert(1)", { image: null }],
    ["date_published", 1988, { date_published: "1988" }],
    ["date_published", "1988", { date_published: "1988" }],
    ["date_published", "1988-10", { date_published: "1988-10" }],
    ["date_published", "1988-10-01", { date_published: "1988-10-01" }],
    ["date_published", "1988-10-01T00:00:01Z", { date_published: "1988-10-01" }],
    ["date_published", 19_881_001, { date_published: "1988-10-01" }],
    ["date_published", "2004-00-00", { date_published: "2004" }],
    ["date_published", "2004-13", { date_published: "2004" }],
    ["date_published", "2004-02-29", { date_published: "2004-02-29" }],
    ["date_published", "2005-02-29", { date_published: "2005-02" }],
    ["date_published", "0000", { date_published: null }],
    ["date_published", "soon", { date_published: null }],
  ])("%s may be %j", (field, value, expected) => {
    expect(readBook({ ...minimal, [field]: value })).toEqual({ ...bare, ...expected });
  });

  it("isbn, deprecated, replaces a missing one of either length", () => {
    expect(readBook({ title: "Fantastic Mr. Fox", isbn: "9780140328721" })).toEqual(bare);
    expect(readBook({ ...minimal, isbn: "0140328726" })).toEqual({ ...bare, isbn10: "0140328726" });
  });

  it("title_long, deprecated, replaces a missing title", () => {
    expect(readBook({ isbn13: "9780140328721", title: null, title_long: "Fantastic Mr. Fox" })).toEqual(bare);
  });
});
