import { expect, test } from "vitest";
import { z } from "zod";
import { startSimulator } from "./support.ts";

const simulator = startSimulator();

const record = z.record(z.string(), z.unknown());
const looseBook = z.looseObject({ authors: z.array(z.unknown()), language: z.string() });
const looseList = z.object({ books: z.union([z.array(looseBook), z.record(z.string(), looseBook)]) });

type LooseBook = z.infer<typeof looseBook>;

const typesOf = (books: readonly LooseBook[], field: string): string[] =>
  [...new Set(books.map((book) => (book[field] === null ? "null" : typeof book[field])))].toSorted();

const listOf = (books: LooseBook[] | Record<string, LooseBook>): LooseBook[] => Object.values(books);

test("the 2025 dialect has books instead of data, and no total for an author", async () => {
  await simulator.set({ dialect: "2025" });
  const found = (await simulator.get("/search/books?publishedFrom=2021-05&publishedTo=2021-05")).read(record);
  expect(Object.keys(found).toSorted()).toEqual(["books", "total"]);
  const author = (await simulator.get("/author/Ada%20Abbott")).read(record);
  expect(Object.keys(author).toSorted()).toEqual(["author", "books", "name", "page", "page_size"]);
});

test("fields of the 2025 dialect have varying types", async () => {
  await simulator.set({ dialect: "2025" });
  const reply = await simulator.get("/search/books?publishedFrom=2021-05&publishedTo=2021-05&pageSize=300");
  const books = listOf(reply.read(looseList).books);
  expect({
    pages: typesOf(books, "pages"),
    msrp: typesOf(books, "msrp"),
    date: typesOf(books, "date_published"),
    dewey: typesOf(books, "dewey_decimal"),
    nullAuthors: books.some(({ authors }) => authors.includes(null)),
    languages: [...new Set(books.map(({ language }) => language))].toSorted(),
  }).toEqual({
    pages: ["number", "string"],
    msrp: ["number", "string"],
    date: ["number", "string"],
    dewey: ["null", "string"],
    nullAuthors: true,
    languages: ["English", "French", "German", "Spanish"],
  });
});

test("in the 2025 dialect some lists are keyed maps, with the same books", async () => {
  await simulator.set({ dialect: "2025" });
  const shapes = new Set<boolean>();
  for (let month = 1; month <= 12; month += 1) {
    const name = `2021-${String(month).padStart(2, "0")}`;
    const { books } = (await simulator.get(`/search/books?publishedFrom=${name}&publishedTo=${name}&pageSize=3`)).read(looseList);
    shapes.add(Array.isArray(books));
    expect(listOf(books)).toHaveLength(3);
  }
  expect(shapes).toEqual(new Set([false, true]));
});

test("in the 2025 dialect errors have errorMessage or message, and a search without results returns 404", async () => {
  await simulator.set({ dialect: "2025" });
  expect((await simulator.get("/book/9780306406158")).json()).toEqual({ errorMessage: "Not Found" });
  expect((await simulator.request("GET", "/key")).json()).toEqual({ message: "Full authentication is required to access this resource" });
  const nothing = await simulator.get("/search/books?publishedFrom=2021-05&publishedTo=2021-05&subject=zzzz");
  expect([nothing.status, nothing.json()]).toEqual([404, { errorMessage: "Not Found" }]);
});
