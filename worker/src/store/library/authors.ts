/** Authors, and the progress of their bibliographies: tables `authors`, `bibliographies`. */
import { stored } from "../database.ts";
import { hasMoved, shelfOf } from "./moved.ts";
import type { Shelves } from "./moved.ts";

/** One key for one name, regardless of spaces and case. */
export function authorKey(name: string): string {
  return name.normalize("NFC").trim().replaceAll(/\s+/gu, " ").toLowerCase();
}

export interface Author {
  readonly author_name: string;
  readonly work_count: number;
  readonly edition_count: number;
}

/** Recounts the books of the authors in a JSON list of `{author_key, name}`. */
export function countAuthors(db: D1Database, namesJson: string): D1PreparedStatement {
  const sql = `
    INSERT INTO authors (author_key, name, work_count, edition_count)
    SELECT named.author_key, named.name, count(DISTINCT b.work_key), count(*)
    FROM (SELECT value ->> 'author_key' AS author_key, min(value ->> 'name') AS name FROM json_each(?1) GROUP BY 1) AS named
    JOIN book_authors AS b ON b.author_key = named.author_key
    GROUP BY named.author_key
    ON CONFLICT (author_key) DO UPDATE SET work_count = excluded.work_count, edition_count = excluded.edition_count`;
  return db.prepare(sql).bind(namesJson);
}

/** Removes books, a JSON list of ISBNs, from their authors. First recounts the authors' books without them. */
export function takeFromAuthors(db: D1Database, isbnsJson: string): D1PreparedStatement[] {
  const recount = `
    UPDATE authors SET (work_count, edition_count) = (
      SELECT count(DISTINCT work_key), count(*) FROM book_authors AS b
      WHERE b.author_key = authors.author_key AND b.isbn13 NOT IN (SELECT value FROM json_each(?1)))
    WHERE author_key IN (SELECT author_key FROM book_authors WHERE isbn13 IN (SELECT value FROM json_each(?1)))`;
  return [
    db.prepare(recount).bind(isbnsJson),
    db.prepare(DELETE_EMPTY),
    db.prepare("DELETE FROM book_authors WHERE isbn13 IN (SELECT value FROM json_each(?))").bind(isbnsJson),
  ];
}

/** Counts the books of authors again, a JSON list of keys, and removes authors without books. */
export function recountAuthors(db: D1Database, keysJson: string): D1PreparedStatement[] {
  const recount = `
    UPDATE authors SET (work_count, edition_count) = (
      SELECT count(DISTINCT work_key), count(*) FROM book_authors AS b WHERE b.author_key = authors.author_key)
    WHERE author_key IN (SELECT value FROM json_each(?))`;
  return [db.prepare(recount).bind(keysJson), db.prepare(DELETE_EMPTY)];
}

const DELETE_EMPTY = "DELETE FROM authors WHERE edition_count = 0";

/** Authors with the most editions first, then by name. */
export async function topAuthors(shelves: Shelves, page: { offset: number; limit: number }): Promise<Author[]> {
  const db = await shelfOf(shelves, "books");
  const sql = "SELECT name AS author_name, work_count, edition_count FROM authors ORDER BY edition_count DESC, author_key LIMIT ? OFFSET ?";
  const { results } = await stored(async () => db.prepare(sql).bind(page.limit, page.offset).all<Author>());
  return results;
}

export interface Bibliography {
  readonly author_key: string;
  readonly name: string;
  readonly total: number | null;
  /** Results fetched from the first on without a gap, including unreadable ones. */
  readonly results_covered: number;
  readonly books_found: number;
  /** `truncated`: the provider has more results than it returns. `unknown`: the provider does not know the name. */
  readonly state: "open" | "complete" | "truncated" | "unknown";
  /** Epoch milliseconds. */
  readonly updated_at: number;
}

export async function findBibliography(shelves: Shelves, name: string): Promise<Bibliography | null> {
  const moved = await hasMoved(shelves, "bibliographies");
  const find = async (db: D1Database): Promise<Bibliography | null> => {
    const query = db.prepare("SELECT * FROM bibliographies WHERE author_key = ?").bind(authorKey(name));
    return stored(async () => query.first<Bibliography>());
  };
  return (await find(shelves.catalog)) ?? (moved ? null : find(shelves.db));
}

/**
 * Records the progress of a bibliography. If two calls run concurrently, the one that is behind changes nothing unless it reached the end.
 * A call that `restarts` replaces the earlier progress.
 */
export async function saveBibliography(db: D1Database, row: Bibliography, { restarts = false } = {}): Promise<void> {
  const sql = `
    INSERT INTO bibliographies (author_key, name, total, results_covered, books_found, state, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (author_key) DO UPDATE SET name = ?2, total = ?3, results_covered = ?4, books_found = ?5, state = ?6, updated_at = ?7
    WHERE ?8 OR ?6 <> 'open' OR ?4 >= results_covered`;
  const { author_key, name, total, results_covered, books_found, state, updated_at } = row;
  const query = db.prepare(sql).bind(author_key, name, total, results_covered, books_found, state, updated_at, restarts ? 1 : 0);
  await stored(async () => query.run(), { idempotent: true });
}
