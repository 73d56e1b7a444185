/** Shared by the tests of the move: both databases, and writes as requests make them. */
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { saveBibliography } from "../../../worker/src/store/library/authors.ts";
import { saveBooks, saveMisses } from "../../../worker/src/store/library/books.ts";
import type { StoredBook } from "../../../worker/src/store/library/books.ts";
import { addTargets } from "../../../worker/src/store/library/harvest.ts";
import { CountedDatabase } from "../../../worker/src/store/statements.ts";
import { CATALOG_TABLES } from "../../support/catalog-tables.ts";
import { isbns, rereadMoves } from "../../support/worker.ts";

export const POOL = isbns(1, 9);
export const NAMES = ["Ada", "Bo", "Cy"];

export const shelves = (catalog = env.CATALOG) => {
  const db = new CountedDatabase(env.DB);
  return { db, catalog: new CountedDatabase(catalog, db) };
};
export const rowsOf = async (db: D1Database, table: string): Promise<Record<string, unknown>[]> =>
  (await db.prepare(`SELECT * FROM ${table} ORDER BY 1, 2`).all()).results;
export const contentsOf = async (db: D1Database) =>
  Object.fromEntries(await Promise.all(CATALOG_TABLES.map(async (table) => [table, await rowsOf(db, table)] as const)));

export async function empty(): Promise<void> {
  await env.DB.batch(CATALOG_TABLES.map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
  await env.CATALOG.batch([...CATALOG_TABLES, "moves"].map((table) => env.CATALOG.prepare(`DELETE FROM ${table}`)));
  await rereadMoves();
}

export const bookOf = (isbn13: string, title: string, authors: readonly string[]): StoredBook => ({
  isbn13,
  isbn10: null,
  title,
  authors,
  publisher: null,
  language: "en",
  date_published: "1999-05",
  pages: 7,
  binding: null,
  edition: null,
  subjects: ['a "quoted" one', "ü"],
  synopsis: null,
  image: null,
  msrp: 12.5,
  dewey_decimal: [],
});

export type Write = { type: "save"; isbns: string[]; title: string; authors: string[] } | { type: "miss"; isbns: string[] };
export type Other = { type: "bibliography"; name: string; covered: number } | { type: "targets"; isbns: string[]; priority: number };

export async function write(db: D1Database, operation: Write | Other, now: number): Promise<void> {
  switch (operation.type) {
    case "save":
      await saveBooks(
        db,
        operation.isbns.map((isbn) => bookOf(isbn, operation.title, operation.authors)),
        now,
      );
      break;
    case "miss":
      await saveMisses(db, operation.isbns, now);
      break;
    case "bibliography": {
      const { name, covered } = operation;
      const row = { author_key: name.toLowerCase(), name, total: null, results_covered: covered, books_found: covered } as const;
      await saveBibliography(db, { ...row, state: "open", updated_at: now }, { restarts: true });
      break;
    }
    case "targets":
      await addTargets(
        db,
        operation.isbns.map((isbn) => ({ kind: "isbn", target_key: isbn, name: isbn })),
        operation.priority,
        now,
      );
  }
}

/** Runs `other` before the nth transaction of `work`. */
export async function between(work: () => Promise<unknown>, other: () => Promise<unknown>, nth = 2): Promise<void> {
  const batch = env.CATALOG.batch.bind(env.CATALOG);
  let batches = 0;
  const spy = vi.spyOn(env.CATALOG, "batch").mockImplementation(async <Row>(statements: D1PreparedStatement[]) => {
    batches += 1;
    if (batches === nth) await other();
    return batch<Row>(statements);
  });
  await work();
  spy.mockRestore();
}
