/** Authors and how far their bibliographies were fetched: tables `authors`, `bibliographies`. */
import { stored } from "./database.ts";

/** One key for one name, however it is spaced or cased. */
export function authorKey(name: string): string {
  return name.normalize("NFC").trim().replaceAll(/\s+/gu, " ").toLowerCase();
}

export interface Author {
  readonly author_name: string;
  readonly work_count: number;
  readonly edition_count: number;
}

/** Recounts the authors named in a JSON list of `{author_key, name}`, from the books that the catalogue holds of them. */
export function countAuthors(db: D1Database, namesJson: string): D1PreparedStatement {
  const sql = `
    INSERT INTO authors (author_key, name, work_count, edition_count)
    SELECT named.author_key, named.name, count(DISTINCT held.work_key), count(*)
    FROM (SELECT value ->> 'author_key' AS author_key, min(value ->> 'name') AS name FROM json_each(?1) GROUP BY 1) AS named
    JOIN book_authors AS held ON held.author_key = named.author_key
    GROUP BY named.author_key
    ON CONFLICT (author_key) DO UPDATE SET work_count = excluded.work_count, edition_count = excluded.edition_count`;
  return db.prepare(sql).bind(namesJson);
}

/** Authors with the most editions first, names deciding between equals. */
export async function topAuthors(db: D1Database, page: { offset: number; limit: number }): Promise<Author[]> {
  const sql = "SELECT name AS author_name, work_count, edition_count FROM authors ORDER BY edition_count DESC, author_key LIMIT ? OFFSET ?";
  const { results } = await stored(async () => db.prepare(sql).bind(page.limit, page.offset).all<Author>());
  return results;
}

export interface Bibliography {
  readonly author_key: string;
  readonly name: string;
  readonly total: number | null;
  /** Results fetched from the first on, without a gap, unreadable ones included. */
  readonly results_covered: number;
  readonly books_found: number;
  /** `truncated`: all that the provider gives, but not all it has. `unknown`: the provider does not know the name. */
  readonly state: "open" | "complete" | "truncated" | "unknown";
  /** Epoch milliseconds. */
  readonly updated_at: number;
}

export async function findBibliography(db: D1Database, name: string): Promise<Bibliography | null> {
  const query = db.prepare("SELECT * FROM bibliographies WHERE author_key = ?").bind(authorKey(name));
  return stored(async () => query.first<Bibliography>());
}

export async function saveBibliography(db: D1Database, row: Bibliography): Promise<void> {
  const sql = `
    INSERT INTO bibliographies (author_key, name, total, results_covered, books_found, state, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (author_key) DO UPDATE SET name = ?2, total = ?3, results_covered = ?4, books_found = ?5, state = ?6, updated_at = ?7`;
  const query = db.prepare(sql).bind(row.author_key, row.name, row.total, row.results_covered, row.books_found, row.state, row.updated_at);
  await stored(async () => query.run());
}
