/** Fills an empty catalog with about a hundred real books, dated two months ago. */
import { CURATED } from "../isbndb-simulator/curated.ts";
import type { Database } from "./runtime.ts";

/** Older than the Worker's cache lifetime, so that the first request still costs a call. */
const AGE_MS = 60 * 24 * 60 * 60 * 1_000;

const INSERT_BOOKS = `
  INSERT INTO books (isbn13, isbn10, title, authors, publisher, language, date_published, subjects, image, dewey_decimal, fetched_at)
  SELECT value ->> 'isbn13', value ->> 'isbn10', value ->> 'title', value ->> 'authors', value ->> 'publisher', value ->> 'language',
    value ->> 'date_published', value ->> 'subjects', value ->> 'image', '[]', ?2
  FROM json_each(?1)`;

const INSERT_NAMES = `
  INSERT INTO book_authors (author_key, isbn13, work_key)
  SELECT value ->> 'author_key', value ->> 'isbn13', value ->> 'work_key' FROM json_each(?1) WHERE true
  ON CONFLICT DO NOTHING`;

const COUNT_AUTHORS = `
  INSERT INTO authors (author_key, name, work_count, edition_count)
  SELECT value ->> 'author_key', min(value ->> 'name'), count(DISTINCT value ->> 'work_key'), count(*) FROM json_each(?1) GROUP BY 1`;

/** Catalog keys. They ignore spacing and case of an author, and subtitle, case and punctuation of a work. */
const authorKey = (name: string): string => name.normalize("NFC").trim().replaceAll(/\s+/gu, " ").toLowerCase();
const workKey = (title: string): string =>
  (title.split(/[:(]/u)[0] ?? title)
    .normalize("NFKD")
    .replaceAll(/[^\p{L}\p{N}]+/gu, " ")
    .trim()
    .toLowerCase();

/** Returns the number of added books. 0 if the catalog is not empty. */
export async function seedDemo(database: Database, now: number): Promise<number> {
  const first = await database.prepare("SELECT 1 FROM books LIMIT 1").first();
  if (first !== null) return 0;
  const books = [...CURATED.values()];
  const names = JSON.stringify(
    books.flatMap(({ isbn13, title, authors }) =>
      authors.map((name) => ({ isbn13, name, author_key: authorKey(name), work_key: workKey(title) })),
    ),
  );
  await database.batch([
    database.prepare(INSERT_BOOKS).bind(JSON.stringify(books), now - AGE_MS),
    database.prepare(INSERT_NAMES).bind(names),
    database.prepare(COUNT_AUTHORS).bind(names),
  ]);
  return books.length;
}
