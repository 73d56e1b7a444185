/** Two formats of the same result: as documented ("2026") and as seen by clients ("2025"). No I/O, no clock. */
import type { Book } from "./book.ts";
import { mixText } from "./hash.ts";
import { MINUTE_QUOTA } from "./results.ts";
import type { Answer, Result } from "./results.ts";
import type { Dialect } from "./settings.ts";

const LANGUAGE_NAMES: Record<string, string> = { en: "English", es: "Spanish", fr: "French", de: "German" };

const looseDate = (date: string, seed: number): string | number => {
  switch (seed % 4) {
    case 0:
      return Number(date.slice(0, 4));
    case 1:
      return date.slice(0, 4);
    case 2:
      return date.slice(0, 7);
    default:
      return date;
  }
};

/** Varies the field types as seen by clients. The variation depends only on the ISBN. */
const loosen = (book: Book) => {
  const seed = mixText(book.isbn13);
  return {
    ...book,
    msrp: book.msrp === null || seed % 3 === 0 ? book.msrp : book.msrp.toFixed(2),
    pages: book.pages === null || seed % 2 === 0 ? book.pages : String(book.pages),
    date_published: looseDate(book.date_published, seed >>> 4),
    authors: seed % 5 === 0 ? [...book.authors, null] : book.authors,
    dewey_decimal: book.dewey_decimal?.[0] ?? null,
    language: book.language === null ? null : (LANGUAGE_NAMES[book.language] ?? book.language),
  };
};

/** Every fourth list is a map from position to book. */
const looseList = (books: Book[]) => {
  const loose = books.map(loosen);
  const keyed = books[0] !== undefined && mixText(`list ${books[0].isbn13}`) % 4 === 0;
  return keyed ? Object.fromEntries(loose.map((book, place) => [String(place), book])) : loose;
};

/** Statuses of the gateway, which uses `message`. The application uses `errorMessage`. */
const GATEWAY_STATUSES: ReadonlySet<number> = new Set([401, 403, 429]);

const messageIn2025 = (message: string): string => (message === MINUTE_QUOTA ? "Limit Exceeded" : message);

const format2025 = (result: Result): Answer => {
  switch (result.kind) {
    case "book":
      return { status: 200, body: { book: loosen(result.book) } };
    case "bulk":
      return { status: 200, body: { total: result.books.length, requested: result.requested, data: result.books.map(loosen) } };
    case "found":
      return result.total === 0
        ? { status: 404, body: { errorMessage: "Not Found" } }
        : { status: 200, body: { total: result.total, books: looseList(result.books) } };
    case "author":
      return {
        status: 200,
        body: { author: result.name, name: result.name, books: looseList(result.books), page: result.page, page_size: result.pageSize },
      };
    case "plain":
      return { status: 200, body: result.body };
    case "error":
      return GATEWAY_STATUSES.has(result.status)
        ? { status: result.status, body: { message: messageIn2025(result.message) } }
        : { status: result.status, body: { errorMessage: result.message } };
  }
};

const format2026 = (result: Result): Answer => {
  switch (result.kind) {
    case "book":
      return { status: 200, body: { book: result.book } };
    case "bulk":
      return { status: 200, body: { total: result.books.length, requested: result.requested, data: result.books } };
    case "found":
      return { status: 200, body: { data: result.books, total: result.total, page: result.page, page_size: result.pageSize } };
    case "author": {
      const { name, books, total, page, pageSize } = result;
      return { status: 200, body: { author: name, name, books, total, page, page_size: pageSize } };
    }
    case "plain":
      return { status: 200, body: result.body };
    case "error":
      return { status: result.status, body: { message: result.message, error_message: result.message } };
  }
};

export const formatResult = (result: Result, dialect: Dialect): Answer => (dialect === "2025" ? format2025(result) : format2026(result));
