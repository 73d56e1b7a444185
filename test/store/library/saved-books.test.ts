/** Books that two requests store concurrently. */
import { beforeEach, expect, test } from "vitest";
import { topAuthors } from "../../../worker/src/store/library/authors.ts";
import { findBooks, saveBooks } from "../../../worker/src/store/library/books.ts";
import { freshStart } from "../../support/worker.ts";
import { POOL, bookOf, shelves } from "./move-support.ts";

beforeEach(async () => freshStart());

test("a new book counts only for the authors of its last version", async () => {
  const { db, catalog } = shelves();
  const [isbn = ""] = POOL;
  await Promise.all(["J. Doe", "Jane Doe"].map(async (author) => saveBooks(catalog, [bookOf(isbn, "Tides", [author])], 10)));
  const [stored] = await findBooks({ db, catalog }, [isbn]);
  expect(await topAuthors({ db, catalog }, { offset: 0, limit: 10 })).toEqual([
    { author_name: stored?.authors[0], work_count: 1, edition_count: 1 },
  ]);
});
