/** Normalizes the provider's book records. No I/O. No clock. */
import { z } from "zod";
import { languageCode } from "./language.ts";

export interface BookRecord {
  isbn13: string;
  isbn10: string | null;
  title: string;
  authors: string[];
  publisher: string | null;
  /** ISO 639-1 */
  language: string | null;
  /** YYYY, YYYY-MM or YYYY-MM-DD, as precise as the provider's data. */
  date_published: string | null;
  pages: number | null;
  binding: string | null;
  edition: string | null;
  subjects: string[];
  synopsis: string | null;
  image: string | null;
  /** In the provider's unnamed currency. 0 is a reported price, not a missing one. */
  msrp: number | null;
  dewey_decimal: string[];
}

// Accepts numbers in text fields: a title of 1984, a dewey_decimal of 813.54, an unquoted isbn13.
const someText = z
  .union([z.string(), z.number()])
  .transform((value) => String(value).trim())
  .pipe(z.string().min(1));
const text = someText.nullable().catch(null);

/** Text that `read` understands. Otherwise null. */
const textRead = <T>(read: (value: string) => T | null) => someText.transform(read).nullable().catch(null);

/** An array, a keyed map or a single value. Nulls and repetitions are removed. */
const texts = z
  .unknown()
  .optional()
  .transform((value): string[] => {
    const members = typeof value === "object" && value !== null ? Object.values(value) : [value];
    return [...new Set(members.map((member) => text.parse(member)).filter((member) => member !== null))];
  });

// Omits `image_original`, because it expires after two hours.
const looseBook = z.object({
  isbn13: textRead(isbn13From),
  isbn10: textRead(isbn10From),
  isbn: text,
  title: text,
  title_long: text,
  authors: texts,
  publisher: text,
  language: textRead(languageCode),
  date_published: textRead(dateFrom),
  pages: textRead(pagesFrom),
  binding: text,
  edition: text,
  subjects: texts,
  synopsis: text,
  image: textRead(webAddressFrom),
  msrp: textRead(priceFrom),
  dewey_decimal: texts,
});

/** Returns null if the record is not a usable book, because ISBN-13 or title is missing. Every other field is optional. */
export function readBook(raw: unknown): BookRecord | null {
  const parsed = looseBook.safeParse(raw);
  if (!parsed.success) return null;
  const { isbn, title_long, ...book } = parsed.data;
  // `isbn` is deprecated. It is an ISBN-13 today and an ISBN-10 in older responses.
  const isbn13 = book.isbn13 ?? isbn13From(isbn ?? "");
  const title = book.title ?? title_long;
  if (isbn13 === null || title === null) return null;
  return { ...book, isbn13, isbn10: book.isbn10 ?? isbn10From(isbn ?? ""), title };
}

function isbn13From(value: string): string | null {
  const digits = value.replaceAll(/[\s-]/gu, "");
  return /^97[89]\d{10}$/u.test(digits) ? digits : null;
}

function isbn10From(value: string): string | null {
  const digits = value.replaceAll(/[\s-]/gu, "").toUpperCase();
  return /^\d{9}[\dX]$/u.test(digits) ? digits : null;
}

/** Drops only the invalid part: "2004-00-00" is 2004, "2004-02-31" is February 2004. */
function dateFrom(value: string): string | null {
  const [, year, month, day] = /^([12]\d{3})(?:-?(\d{2})(?:-?(\d{2}))?)?(?:[T ].*)?$/u.exec(value) ?? [];
  if (year === undefined) return null;
  if (month === undefined || Number(month) < 1 || Number(month) > 12) return year;
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  return day === undefined || Number(day) < 1 || Number(day) > lastDay ? `${year}-${month}` : `${year}-${month}-${day}`;
}

function pagesFrom(value: string): number | null {
  const pages = Number(/^(\d{1,6})(?:\.0+)?\s*(?:p|pp|pages)?\.?$/iu.exec(value)?.[1]);
  return pages > 0 ? pages : null;
}

function priceFrom(value: string): number | null {
  const amount = /^(?:[A-Z]{3}|\p{Sc})?\s*((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)\s*(?:[A-Z]{3}|\p{Sc})?$/u.exec(value)?.[1];
  return amount === undefined ? null : Number(amount.replaceAll(",", ""));
}

function webAddressFrom(value: string): string | null {
  return /^https?:\/\/\S+$/iu.test(value) ? value : null;
}
