/** Real editions. curated.json holds ISBN-13, title, authors, publisher, year and subject of each. Uncertain fields are null. */
import type { Book } from "./book.ts";
import editions from "./curated.json" with { type: "json" };
import { isbn10Of, stemOf } from "./isbn.ts";

const bookOf = (
  [, title = "", authors = "", publisher = "", year = "", subject = ""]: readonly string[],
  isbn13: string,
  stem: number,
): Book => ({
  title,
  title_long: title,
  isbn: isbn13,
  isbn13,
  isbn10: isbn10Of(stem),
  dewey_decimal: null,
  binding: null,
  publisher,
  language: "en",
  date_published: year,
  edition: null,
  pages: null,
  dimensions: null,
  dimensions_structured: null,
  image: `https://images.isbndb.com/covers/${isbn13}.jpg`,
  image_original: null,
  msrp: null,
  synopsis: null,
  authors: authors.split("; "),
  subjects: [subject],
});

/** Books by stem, in the order of the file. Throws for an ISBN with a wrong check digit. */
export const CURATED: ReadonlyMap<number, Book> = new Map(
  editions.map((edition) => {
    const [isbn13 = ""] = edition;
    const stem = stemOf(isbn13);
    if (stem === undefined) throw new Error(`curated ISBN "${isbn13}" has a wrong check digit`);
    return [stem, bookOf(edition, isbn13, stem)];
  }),
);
