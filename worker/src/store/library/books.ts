/** Books and known misses: tables `books`, `missing_isbns`, `book_authors`. */
import { jsonChunks, stored } from "../database.ts";
import { authorKey, countAuthors, recountAuthors, takeFromAuthors } from "./authors.ts";
import { hasMoved } from "./moved.ts";
import type { Shelves } from "./moved.ts";

export interface StoredBook {
  readonly isbn13: string;
  readonly isbn10: string | null;
  readonly title: string;
  readonly authors: readonly string[];
  readonly publisher: string | null;
  readonly language: string | null;
  readonly date_published: string | null;
  readonly pages: number | null;
  readonly binding: string | null;
  readonly edition: string | null;
  readonly subjects: readonly string[];
  readonly synopsis: string | null;
  readonly image: string | null;
  readonly msrp: number | null;
  readonly dewey_decimal: readonly string[];
}

/** A book in the catalog, with the time of the provider's response in epoch milliseconds. */
export interface CatalogBook extends StoredBook {
  readonly fetched_at: number;
}

type BookRow = Omit<CatalogBook, "authors" | "subjects" | "dewey_decimal"> & { authors: string; subjects: string; dewey_decimal: string };

const texts = (json: string): string[] => JSON.parse(json) as string[];

function fromRow(row: BookRow): CatalogBook {
  return { ...row, authors: texts(row.authors), subjects: texts(row.subjects), dewey_decimal: texts(row.dewey_decimal) };
}

/** Epoch milliseconds. */
interface Since {
  readonly books: number;
  readonly misses: number;
}

interface Fresh {
  readonly books: ReadonlySet<string>;
  readonly misses: ReadonlySet<string>;
}

/** Which of these ISBNs are in the catalog as books or misses newer than the given times. */
export async function freshIsbns(shelves: Shelves, isbns: readonly string[], since: Since): Promise<Fresh> {
  const moved = await hasMoved(shelves, "books");
  const fresh = await freshIn(shelves.catalog, isbns, since);
  const others = moved ? [] : isbns.filter((isbn) => !fresh.books.has(isbn));
  if (others.length === 0) return fresh;
  const old = await freshIn(shelves.db, others, since);
  return { books: new Set([...fresh.books, ...old.books]), misses: new Set([...fresh.misses, ...old.misses]) };
}

/** The one round trip returns only ISBNs that are not fresh books, so that a thousand known ones cost little more than one. */
async function freshIn(db: D1Database, isbns: readonly string[], since: Since): Promise<Fresh> {
  const sql = `SELECT given.value AS isbn13,
      EXISTS (SELECT 1 FROM missing_isbns m WHERE m.isbn13 = given.value AND m.missed_at > ?3) AS missed
    FROM json_each(?1) AS given WHERE NOT EXISTS (SELECT 1 FROM books b WHERE b.isbn13 = given.value AND b.fetched_at > ?2)`;
  const query = db.prepare(sql).bind(JSON.stringify(isbns), since.books, since.misses);
  const requested = new Set(isbns);
  const results = await stored(async () => {
    const rows = (await query.all<{ isbn13: string; missed: number }>()).results;
    // Requested books that are absent from the result count as fresh. A result about other books would therefore mark all as fresh.
    if (rows.some(({ isbn13 }) => !requested.has(isbn13))) throw new Error("The catalog returned books that were not requested");
    return rows;
  });
  const unknown = new Set(results.map(({ isbn13 }) => isbn13));
  return {
    books: new Set(isbns.filter((isbn) => !unknown.has(isbn))),
    misses: new Set(results.filter(({ missed }) => missed === 1).map(({ isbn13 }) => isbn13)),
  };
}

/** Books by ISBN-13, in no particular order, without unknown ones. */
export async function findBooks(shelves: Shelves, isbns: readonly string[]): Promise<CatalogBook[]> {
  const moved = await hasMoved(shelves, "books");
  const found = await findIn(shelves.catalog, isbns);
  const known = new Set(found.map(({ isbn13 }) => isbn13));
  const others = moved ? [] : isbns.filter((isbn) => !known.has(isbn));
  return others.length === 0 ? found : [...found, ...(await findIn(shelves.db, others))];
}

async function findIn(db: D1Database, isbns: readonly string[]): Promise<CatalogBook[]> {
  const query = db.prepare("SELECT * FROM books WHERE isbn13 IN (SELECT value FROM json_each(?))").bind(JSON.stringify(isbns));
  const { results } = await stored(async () => query.all<BookRow>());
  return results.map(fromRow);
}

interface Saved {
  /** Number of these books that existed before. */
  readonly existed: number;
}

/** Books per transaction. Only their JSON is in memory at a time: 128 MB are shared by all requests of an instance. */
const SLICE = 100;

/**
 * Stores books with their authors and counts, and removes them from the missing ISBNs. Each slice is one transaction. After a failure the
 * earlier slices stay stored. With `replace` false, existing books do not change.
 */
export async function saveBooks(db: D1Database, books: readonly StoredBook[], now: number, { replace = true } = {}): Promise<Saved> {
  if (books.length === 0) return { existed: 0 };
  const isbns = JSON.stringify(books.map(({ isbn13 }) => isbn13));
  const existing = db.prepare("SELECT isbn13 FROM books WHERE isbn13 IN (SELECT value FROM json_each(?))").bind(isbns);
  // Removed first: if the books cannot be stored, they must be fetched again.
  const found = db.prepare("DELETE FROM missing_isbns WHERE isbn13 IN (SELECT value FROM json_each(?))").bind(isbns);
  const [before] = await stored(async () => db.batch<{ isbn13: string }>([existing, found]), { idempotent: true });
  const known = new Set((before?.results ?? []).map(({ isbn13 }) => isbn13));
  const saved = replace ? books : books.filter(({ isbn13 }) => !known.has(isbn13));
  for (let from = 0; from < saved.length; from += SLICE) await saveSlice(db, saved.slice(from, from + SLICE), known, now);
  return { existed: books.filter(({ isbn13 }) => known.has(isbn13)).length };
}

/**
 * New books have no authors to remove, which saves statements. Another request or the move may have stored one of them since the look-up. Then the
 * slice is stored again like known books.
 */
async function saveSlice(db: D1Database, books: readonly StoredBook[], known: ReadonlySet<string>, now: number): Promise<void> {
  const isbns = books.map(({ isbn13 }) => isbn13);
  const given = JSON.stringify(isbns.filter((isbn) => !known.has(isbn)));
  const arrived = db.prepare(ARRIVED).bind(given);
  const replaced = isbns.filter((isbn) => known.has(isbn));
  const [found] = await stored(async () => db.batch([arrived, ...saveStatements(db, books, replaced, now)]), { idempotent: true });
  if (found?.results.length === 0) return;
  const again = [
    db.prepare("DELETE FROM missing_isbns WHERE isbn13 IN (SELECT value FROM json_each(?))").bind(given),
    ...saveStatements(db, books, isbns, now),
  ];
  await stored(async () => db.batch(again), { idempotent: true });
}

const ARRIVED = `
  SELECT value FROM json_each(?1)
  WHERE EXISTS (SELECT 1 FROM books b WHERE b.isbn13 = value) OR EXISTS (SELECT 1 FROM missing_isbns m WHERE m.isbn13 = value)`;

/** `replaced`: ISBNs that may have authors. */
function saveStatements(db: D1Database, books: readonly StoredBook[], replaced: readonly string[], now: number): D1PreparedStatement[] {
  const names = books.flatMap(({ isbn13, title, authors }) =>
    authors.map((name) => ({ isbn13, name, author_key: authorKey(name), work_key: workKey(title) })),
  );
  return [
    ...jsonChunks(books).map((chunk) => db.prepare(UPSERT_BOOKS).bind(chunk, now)),
    ...(replaced.length > 0 ? takeFromAuthors(db, JSON.stringify(replaced)) : []),
    ...jsonChunks(names).flatMap((chunk) => [db.prepare(INSERT_BOOK_AUTHORS).bind(chunk), countAuthors(db, chunk)]),
  ];
}

/** Key of a work, shared by its editions: the title without subtitle, case and punctuation. */
function workKey(title: string): string {
  const main = title.split(/[:(]/u)[0] ?? title;
  const folded = main
    .normalize("NFKD")
    .replaceAll(/[^\p{L}\p{N}]+/gu, " ")
    .trim()
    .toLowerCase();
  return folded === "" ? title.toLowerCase() : folded;
}

const COLUMNS = [
  "isbn10",
  "title",
  "authors",
  "publisher",
  "language",
  "date_published",
  "pages",
  "binding",
  "edition",
  "subjects",
  "synopsis",
  "image",
  "msrp",
  "dewey_decimal",
] as const satisfies (keyof StoredBook)[];

const UPSERT_BOOKS = `
  INSERT INTO books (isbn13, ${COLUMNS.join(", ")}, fetched_at)
  SELECT value ->> 'isbn13', ${COLUMNS.map((column) => `value ->> '${column}'`).join(", ")}, ?2 FROM json_each(?1) WHERE true
  ON CONFLICT (isbn13) DO UPDATE SET ${COLUMNS.map((column) => `${column} = excluded.${column}`).join(", ")}, fetched_at = excluded.fetched_at`;

const INSERT_BOOK_AUTHORS = `
  INSERT INTO book_authors (author_key, isbn13, work_key)
  SELECT value ->> 'author_key', value ->> 'isbn13', value ->> 'work_key' FROM json_each(?1) WHERE true
  ON CONFLICT DO NOTHING`;

/** Records that the provider does not know these ISBNs. */
export async function saveMisses(db: D1Database, isbns: readonly string[], now: number): Promise<void> {
  if (isbns.length === 0) return;
  const sql = `INSERT INTO missing_isbns (isbn13, missed_at) SELECT value, ?2 FROM json_each(?1) WHERE true
    ON CONFLICT (isbn13) DO UPDATE SET missed_at = excluded.missed_at`;
  const query = db.prepare(sql).bind(JSON.stringify(isbns), now);
  await stored(async () => query.run(), { idempotent: true });
}

/** Books per removal. */
const REMOVED = 500;

/**
 * Removes the books that were fetched longest ago. Returns their number and the catalog's size afterwards, without the space of removed rows. Works
 * in a full database: the first statements free the space for the others.
 */
export async function removeOldestBooks(db: D1Database): Promise<{ removed: number; bytes: number }> {
  const oldest = `SELECT isbn13, fetched_at FROM books ORDER BY fetched_at, rowid LIMIT ${REMOVED}`;
  const named = `SELECT DISTINCT author_key FROM book_authors WHERE isbn13 IN (SELECT isbn13 FROM (${oldest}))`;
  const [books, authors] = await stored(async () => db.batch<Record<string, unknown>>([db.prepare(oldest), db.prepare(named)]));
  const [chosen, keys] = [JSON.stringify(books?.results ?? []), JSON.stringify(authors?.results.map(({ author_key }) => author_key))];
  // A book that was fetched again since then stays.
  const removed = `SELECT b.isbn13 FROM json_each(?1) JOIN books AS b ON b.isbn13 = value ->> 'isbn13' WHERE b.fetched_at = value ->> 'fetched_at'`;
  const results = await stored(async () =>
    db.batch([
      db.prepare(`DELETE FROM book_authors WHERE isbn13 IN (${removed})`).bind(chosen),
      db.prepare(`DELETE FROM books WHERE isbn13 IN (${removed}) RETURNING 1`).bind(chosen),
      ...recountAuthors(db, keys),
    ]),
  );
  return { removed: results[1]?.results.length ?? 0, bytes: results.at(-1)?.meta.size_after ?? 0 };
}
