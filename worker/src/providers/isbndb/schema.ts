/** Converts the provider's responses from parsed JSON. Null for an unknown shape. No I/O. No clock. */
import { z } from "zod";
import { type BookRecord, readBook } from "./book-record.ts";

export interface BooksPage {
  books: BookRecord[];
  /** Number of unreadable records. Unless it is 0, a book missing from `books` may still exist. */
  unreadable: number;
  /** Total number of results. Null if the provider does not report it. */
  total: number | null;
}

export interface AuthorPage extends BooksPage {
  name: string | null;
}

export interface KeyStatus {
  limit: number;
  spent: number;
  left: number;
}

const wholeNumber = z.union([
  z.int(),
  z
    .string()
    .regex(/^-?\d+$/u)
    .transform(Number),
]);
const count = wholeNumber.pipe(z.int().min(0)).nullable().catch(null);
const name = z.string().trim().min(1).nullable().catch(null);

// The documentation says `data`, live responses say `books`. Either may be an array or a keyed map.
const records = z
  .union([z.array(z.unknown()), z.record(z.string(), z.unknown()).transform((map) => Object.values(map))])
  .nullable()
  .catch(null);

const pageAnswer = z.object({ books: records, data: records, total: count });
const authorAnswer = z.object({ name, author: name });
const keyAnswer = z.object({ plan_limit: z.object({ total: wholeNumber, spent: wholeNumber, left: wholeNumber }) });

/** `POST /books`, `GET /search/books` */
export function readBooksPage(json: unknown): BooksPage | null {
  const parsed = pageAnswer.safeParse(json);
  if (!parsed.success) return null;
  const { total } = parsed.data;
  // A missing list counts as empty only if the provider reports a total of 0.
  const found = parsed.data.books ?? parsed.data.data ?? (total === 0 ? [] : null);
  if (found === null) return null;
  const books = found.map(readBook).filter((book) => book !== null);
  return { books, unreadable: found.length - books.length, total };
}

/** `GET /author/{name}` */
export function readAuthorPage(json: unknown): AuthorPage | null {
  const page = readBooksPage(json);
  const parsed = authorAnswer.safeParse(json);
  if (page === null || !parsed.success) return null;
  return { name: parsed.data.name ?? parsed.data.author, ...page };
}

/** `GET /key` */
export function readKeyAnswer(json: unknown): KeyStatus | null {
  const parsed = keyAnswer.safeParse(json);
  if (!parsed.success) return null;
  const { total, spent, left } = parsed.data.plan_limit;
  return { limit: total, spent, left };
}
