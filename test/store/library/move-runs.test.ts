/** Single runs of the move: their size, their end, and rows that arrive at the wrong moment. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { findBooks } from "../../../worker/src/store/library/books.ts";
import { moveCatalog } from "../../../worker/src/store/library/move.ts";
import { freshStart } from "../../support/worker.ts";
import { POOL, between, contentsOf, empty, rowsOf, shelves, write } from "./move-support.ts";

beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

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
