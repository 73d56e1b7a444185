/** Books that two requests store concurrently. */
import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import { saveBooks } from "../../worker/src/store/library/books.ts";
import type { StoredBook } from "../../worker/src/store/library/books.ts";
import { topAuthors } from "../../worker/src/store/library/authors.ts";
import { freshStart } from "../support/worker.ts";

const NOW = Date.parse("2031-05-14T14:03:11Z");

beforeEach(async () => freshStart());

const bookBy = (author: string): StoredBook => ({
  isbn13: "9780134685991",
  isbn10: null,
  title: "Tides",
  authors: [author],
  publisher: null,
  language: null,
  date_published: null,
  pages: null,
  binding: null,
  edition: null,
  subjects: [],
  synopsis: null,
  image: null,
  msrp: null,
  dewey_decimal: [],
});

test("a new book counts only for the authors of its last version", async () => {
  const { db, catalog } = createDeps(env, () => NOW);
  await Promise.all([saveBooks(catalog, [bookBy("J. Doe")], NOW), saveBooks(catalog, [bookBy("Jane Doe")], NOW)]);
  const stored = await env.CATALOG.prepare("SELECT authors ->> 0 AS author FROM books").first<{ author: string }>();
  expect(await topAuthors({ db, catalog }, { offset: 0, limit: 10 })).toEqual([
    { author_name: stored?.author, work_count: 1, edition_count: 1 },
  ]);
});
