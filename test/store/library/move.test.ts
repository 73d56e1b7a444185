/** The move of the catalog, interrupted anywhere, while books arrive: nothing is lost, and the newer row stays. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { array, assert, asyncProperty, constantFrom, integer, oneof, record, subarray } from "fast-check";
import { findBibliography } from "../../../worker/src/store/library/authors.ts";
import { findBooks, freshIsbns } from "../../../worker/src/store/library/books.ts";
import { moveCatalog } from "../../../worker/src/store/library/move.ts";
import { watchedDb } from "../../support/tenants/keys.ts";
import { freshStart } from "../../support/worker.ts";
import { NAMES, POOL, between, contentsOf, empty, shelves, write } from "./move-support.ts";
import type { Other, Write } from "./move-support.ts";

const SOAK = env.TEST_SOAK === "true";
const RUNS = SOAK ? 300 : 25;

beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

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
