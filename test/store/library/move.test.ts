/** The move of the catalog, interrupted anywhere, while books arrive: nothing is lost, and the newer row stays. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { array, assert, asyncProperty, constantFrom, integer, oneof, record, subarray } from "fast-check";
import { findBibliography, saveBibliography } from "../../../worker/src/store/library/authors.ts";
import { findBooks, freshIsbns, saveBooks, saveMisses } from "../../../worker/src/store/library/books.ts";
import type { StoredBook } from "../../../worker/src/store/library/books.ts";
import { addTargets } from "../../../worker/src/store/library/harvest.ts";
import { moveCatalog } from "../../../worker/src/store/library/move.ts";
import { CountedDatabase } from "../../../worker/src/store/statements.ts";
import { watchedDb } from "../../support/tenants/keys.ts";
import { freshStart, isbns, rereadMoves } from "../../support/worker.ts";

const SOAK = env.TEST_SOAK === "true";
const RUNS = SOAK ? 300 : 25;
const POOL = isbns(1, 9);
const NAMES = ["Ada", "Bo", "Cy"];
const TABLES = ["books", "book_authors", "authors", "missing_isbns", "bibliographies", "harvest_targets", "harvest_runs"] as const;

beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

const shelves = (catalog = env.CATALOG) => {
  const db = new CountedDatabase(env.DB);
  return { db, catalog: new CountedDatabase(catalog, db) };
};
const rowsOf = async (db: D1Database, table: string): Promise<Record<string, unknown>[]> =>
  (await db.prepare(`SELECT * FROM ${table} ORDER BY 1, 2`).all()).results;
const contentsOf = async (db: D1Database) =>
  Object.fromEntries(await Promise.all(TABLES.map(async (table) => [table, await rowsOf(db, table)] as const)));

async function empty(): Promise<void> {
  const deletions = ["book_authors", "books", "authors", "missing_isbns", "bibliographies", "harvest_targets", "harvest_runs"];
  await env.DB.batch(deletions.map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
  await env.CATALOG.batch([...deletions, "moves"].map((table) => env.CATALOG.prepare(`DELETE FROM ${table}`)));
  await rereadMoves();
}

const bookOf = (isbn13: string, title: string, authors: readonly string[]): StoredBook => ({
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

const save = record({
  type: constantFrom("save" as const),
  isbns: subarray(POOL, { minLength: 1 }),
  title: constantFrom("One", "Two: a subtitle", "Three"),
  authors: subarray(NAMES),
});
const miss = record({ type: constantFrom("miss" as const), isbns: subarray(POOL, { minLength: 1 }) });
const bibliography = record({
  type: constantFrom("bibliography" as const),
  name: constantFrom(...NAMES),
  covered: integer({ min: 0, max: 9 }),
});
const targets = record({
  type: constantFrom("targets" as const),
  isbns: subarray(POOL, { minLength: 1 }),
  priority: integer({ min: 0, max: 9 }),
});
const stored = oneof(save, miss, bibliography, targets);
/** A run between the two transactions of a save. */
const race = record({
  type: constantFrom("race" as const),
  with: save,
  chunks: integer({ min: 1, max: 9 }),
  rowsPerChunk: integer({ min: 1, max: 9 }),
});
const move = record({
  type: constantFrom("move" as const),
  chunks: integer({ min: 1, max: 4 }),
  rowsPerChunk: integer({ min: 1, max: 4 }),
  fault: constantFrom("none" as const, "none" as const, "before" as const, "after" as const, "twice" as const),
});

type Write = { type: "save"; isbns: string[]; title: string; authors: string[] } | { type: "miss"; isbns: string[] };
type Other = { type: "bibliography"; name: string; covered: number } | { type: "targets"; isbns: string[]; priority: number };

/** The contents of a single database after the same writes. */
class Model {
  readonly books = new Map<string, { title: string; authors: readonly string[]; fetched_at: number }>();
  readonly misses = new Map<string, number>();
  readonly bibliographies = new Map<string, number>();
  readonly targets = new Set<string>();

  apply(write: Write | Other, now: number): void {
    switch (write.type) {
      case "save":
        for (const isbn of write.isbns) {
          this.books.set(isbn, { title: write.title, authors: write.authors, fetched_at: now });
          this.misses.delete(isbn);
        }
        break;
      case "miss":
        for (const isbn of write.isbns) this.misses.set(isbn, now);
        break;
      case "bibliography":
        this.bibliographies.set(write.name, write.covered);
        break;
      case "targets":
        for (const isbn of write.isbns) this.targets.add(isbn);
    }
  }
}

async function write(db: D1Database, operation: Write | Other, now: number): Promise<void> {
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

/** A run that ends after some chunks, loses one before or after its transaction, or meets another run on the same chunks. */
async function moveSome(
  operation: { chunks: number; rowsPerChunk: number; fault: "none" | "before" | "after" | "twice" },
  now: number,
): Promise<void> {
  const { fault, chunks, rowsPerChunk } = operation;
  const bounds = { chunks, rowsPerChunk };
  if (fault === "before" || fault === "after") {
    let batches = 0;
    const isLast = (): boolean => (batches += 1) === bounds.chunks;
    const { db } = watchedDb((trip) => (trip.some((sql) => sql.includes("INTO moves")) && isLast() ? fault : null), env.CATALOG);
    await moveCatalog(shelves(db), now, bounds).catch(() => undefined);
    return;
  }
  const runs = fault === "twice" ? [1, 2] : [1];
  await Promise.all(runs.map(async () => moveCatalog(shelves(), now, bounds)));
}

/** Runs `other` before the nth transaction of `work`. */
async function between(work: () => Promise<unknown>, other: () => Promise<unknown>, nth = 2): Promise<void> {
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

/** Every read gives the same as a single database, before, during and after the move. */
async function checkReads({ books, misses, bibliographies }: Model): Promise<void> {
  const found = await findBooks(shelves(), POOL);
  const seen = found.map(({ isbn13, title, authors, fetched_at }) => [isbn13, { title, authors, fetched_at }] as const);
  expect(new Map(seen)).toEqual(books);
  const fresh = await freshIsbns(shelves(), POOL, { books: 0, misses: 0 });
  expect([...fresh.books].toSorted()).toEqual([...books.keys()].toSorted());
  expect([...fresh.misses].filter((isbn) => !fresh.books.has(isbn)).toSorted()).toEqual(
    [...misses.keys()].filter((isbn) => !books.has(isbn)).toSorted(),
  );
  const covered = await Promise.all(NAMES.map(async (name) => (await findBibliography(shelves(), name))?.results_covered));
  expect(covered).toEqual(NAMES.map((name) => bibliographies.get(name)));
}

test("converges to the contents of a single database, after any interruption", async () => {
  const property = asyncProperty(
    array(stored, { maxLength: 8 }),
    array(oneof(move, race, stored), { maxLength: 14 }),
    async (before, during) => {
      await empty();
      const model = new Model();
      let now = 1_000;
      for (const operation of before) {
        now += 10;
        await write(env.DB, operation, now);
        model.apply(operation, now);
      }
      const old = await contentsOf(env.DB);
      await checkReads(model);
      for (const operation of during) {
        now += 10;
        if (operation.type === "move") await moveSome(operation, now);
        else if (operation.type === "race") {
          await between(
            async () => write(env.CATALOG, operation.with, now),
            async () => moveSome({ ...operation, fault: "none" }, now),
          );
          model.apply(operation.with, now);
        } else {
          await write(env.CATALOG, operation, now);
          model.apply(operation, now);
        }
        await checkReads(model);
      }
      for (let rounds = 0; !(await moveCatalog(shelves(), now, { chunks: 2, rowsPerChunk: 2 })).done; rounds += 1) {
        expect(rounds).toBeLessThan(40);
      }
      await checkReads(model);

      const moved = await contentsOf(env.CATALOG);
      expect(new Map(moved["books"]?.map(({ isbn13, fetched_at }) => [isbn13, fetched_at]))).toEqual(
        new Map([...model.books].map(([isbn, { fetched_at }]) => [isbn, fetched_at])),
      );
      const links = [...model.books].flatMap(([isbn, { authors }]) => authors.map((name) => `${name.toLowerCase()} ${isbn}`));
      expect(moved["book_authors"]?.map(({ author_key, isbn13 }) => `${String(author_key)} ${String(isbn13)}`)).toEqual(links.toSorted());
      const recounted = `SELECT author_key, count(DISTINCT work_key) AS work_count, count(*) AS edition_count FROM book_authors GROUP BY 1 ORDER BY 1`;
      expect(moved["authors"]?.map(({ name: _, ...counts }) => counts)).toEqual((await env.CATALOG.prepare(recounted).all()).results);
      expect(moved["missing_isbns"]).toEqual(
        [...model.misses].map(([isbn13, missed_at]) => ({ isbn13, missed_at })).toSorted((a, b) => (a.isbn13 < b.isbn13 ? -1 : 1)),
      );
      expect(moved["harvest_targets"]?.map(({ target_key }) => target_key)).toEqual([...model.targets].toSorted());
      // The release before can be deployed again.
      expect(await contentsOf(env.DB)).toEqual(old);
    },
  );
  await assert(property, { numRuns: RUNS, seed: 31, ...(SOAK ? { seed: Date.now() } : {}) });
}, 600_000);

test("needs fewer than 500 statements in a run, and moves 10,000 books in one", async () => {
  await empty();
  const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)";
  const synopsis = "'about ' || i || printf('%.*c', 1200, 'x')";
  await env.DB.batch([
    env.DB.prepare(`${numbers} INSERT INTO books (isbn13, title, authors, subjects, synopsis, dewey_decimal, fetched_at)
      SELECT '978' || (1000000000 + i), 'Title ' || i, '[]', '[]', ${synopsis}, '[]', i FROM n`),
    env.DB.prepare(`${numbers} INSERT INTO book_authors (author_key, isbn13, work_key)
      SELECT 'author ' || (i % 700), '978' || (1000000000 + i), 'title ' || i FROM n`),
    env.DB.prepare(`${numbers} INSERT INTO authors (author_key, name, work_count, edition_count)
      SELECT 'author ' || (i % 700), 'Author ' || (i % 700), count(*), count(*) FROM n GROUP BY 1`),
  ]);
  const both = shelves();
  const first = await moveCatalog(both, 5);
  expect(first.done).toBe(false);
  expect(first.moved.books).toBeGreaterThanOrEqual(10_000);
  expect(both.db.statements).toBeLessThan(500);
  const second = await moveCatalog(shelves(), 6);
  expect(second.done).toBe(true);
  const [old, moved] = [await contentsOf(env.DB), await contentsOf(env.CATALOG)];
  expect(moved).toEqual(old);
  // Then it costs a look.
  const idle = shelves();
  expect(await moveCatalog(idle, 7)).toEqual({ moved: {}, done: true });
  expect(idle.db.statements).toBe(1);
});

test("stays done if a slower run repeats an earlier chunk", async () => {
  await empty();
  await write(env.DB, { type: "targets", isbns: POOL, priority: 1 }, 10);
  await between(
    async () => moveCatalog(shelves(), 20, { chunks: 1, rowsPerChunk: 1 }),
    async () => moveCatalog(shelves(), 30),
    1,
  );
  expect(await env.CATALOG.prepare("SELECT count(*) AS n FROM moves WHERE done_at = 30").first("n")).toBe(5);
});

test("does not bring back a miss whose book arrived first", async () => {
  await empty();
  await write(env.DB, { type: "miss", isbns: POOL.slice(0, 2) }, 10);
  await write(env.CATALOG, { type: "save", isbns: POOL.slice(0, 1), title: "One", authors: [] }, 20);
  await moveCatalog(shelves(), 30);
  expect(await rowsOf(env.CATALOG, "missing_isbns")).toEqual([{ isbn13: POOL[1], missed_at: 10 }]);
});

test("is done in its first run if there is nothing to move", async () => {
  await empty();
  expect(await moveCatalog(shelves(), 5)).toMatchObject({ done: true });
  expect(await env.CATALOG.prepare("SELECT count(*) AS n FROM moves WHERE done_at = 5").first("n")).toBe(5);
});

test("picks up rows that the release before adds ahead of the cursor, and leaves later ones", async () => {
  await empty();
  await write(env.DB, { type: "save", isbns: POOL.slice(2, 6), title: "One", authors: ["Ada"] }, 10);
  await moveCatalog(shelves(), 20, { chunks: 5, rowsPerChunk: 2 });
  const [behind = "", ahead = ""] = [POOL[0], POOL[8]];
  await write(env.DB, { type: "save", isbns: [behind, ahead], title: "Two", authors: ["Bo"] }, 30);
  expect((await findBooks(shelves(), [behind, ahead])).map(({ title }) => title)).toEqual(["Two", "Two"]);
  await moveCatalog(shelves(), 40);
  // The book behind the cursor costs another call when it is requested.
  expect((await findBooks(shelves(), POOL)).map(({ isbn13 }) => isbn13).toSorted()).toEqual([...POOL.slice(2, 6), ahead].toSorted());
});
