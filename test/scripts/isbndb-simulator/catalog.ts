import { describe, expect, test } from "vitest";
import { z } from "zod";
import { CURATED } from "../../../scripts/isbndb-simulator/curated.ts";
import { isbn10Of, isbn13Of, stemOf } from "../../../scripts/isbndb-simulator/isbn.ts";
import { isbnNumber, isbns, startSimulator } from "./support.ts";

const simulator = startSimulator();

const listedSchema = z.looseObject({
  isbn13: z.string(),
  authors: z.array(z.string()),
  date_published: z.string(),
  subjects: z.array(z.string()),
});
const pageSchema = z.looseObject({ total: z.int(), books: z.array(listedSchema).default([]), data: z.array(listedSchema).default([]) });

type Listed = z.infer<typeof listedSchema>;
type Page = z.infer<typeof pageSchema>;

const weighted = (isbn13: string): number =>
  Array.from(isbn13).reduce((sum, digit, place) => sum + Number(digit) * (place % 2 === 0 ? 1 : 3), 0);

const allOf = async (path: string, field: "books" | "data", pages: number): Promise<Listed[]> => {
  const listed: Listed[] = [];
  for (let page = 1; page <= pages; page += 1) {
    listed.push(...(await simulator.get(`${path}${path.includes("?") ? "&" : "?"}pageSize=1000&page=${page}`)).read(pageSchema)[field]);
  }
  return listed;
};

const knownOfThousand = async (unknown_percent: number): Promise<number> => {
  await simulator.set({ unknown_percent });
  return (await simulator.batch(isbns(1_000))).read(pageSchema).total;
};

describe("the curated books", () => {
  test("are about a hundred distinct ISBNs with correct check digits", () => {
    const isbn13s = [...CURATED.values()].map(({ isbn13 }) => isbn13);
    expect(isbn13s.length).toBeGreaterThanOrEqual(100);
    expect(new Set(isbn13s).size).toBe(isbn13s.length);
    expect(isbn13s.filter((isbn13) => !/^97[89]\d{10}$/.test(isbn13) || weighted(isbn13) % 10 !== 0)).toEqual([]);
  });

  test("are on their authors' pages and never unknown", async () => {
    await simulator.set({ unknown_percent: 100 });
    const { books } = (await simulator.get("/author/j.r.r.%20tolkien")).read(pageSchema);
    expect(books).toContainEqual(expect.objectContaining({ isbn13: "9780547928227", title: "The Hobbit", authors: ["J.R.R. Tolkien"] }));
    expect((await simulator.get("/book/9780547928227")).status).toBe(200);
  });
});

describe("ISBN arithmetic", () => {
  test("reads ten and thirteen digits, hyphens, spaces and a final X", () => {
    const stem = stemOf("9780132350884") ?? 0;
    expect([stemOf("0-13-235088-2"), stemOf("978 0 13 235088 4"), isbn13Of(stem), isbn10Of(stem)]).toEqual([
      stem,
      stem,
      "9780132350884",
      "0132350882",
    ]);
    expect(isbn10Of(stemOf("080442957X") ?? 0)).toBe("080442957X");
  });

  test("refuses wrong check digits and other lengths, and has no ISBN-10 for 979", () => {
    expect(["9780132350885", "0132350883", "978013235088", "x", ""].map(stemOf)).toEqual(Array.from({ length: 5 }, () => undefined));
    expect(isbn10Of(979_10_00_00_000)).toBeNull();
  });
});

describe("the generated books", () => {
  test("are the same for each time and kind of request", async () => {
    const { data } = (await simulator.batch(isbns(200))).read(pageSchema);
    await simulator.harness.getWorker().evictDurableObject("SimulatedAccount", { name: "subscription" });
    expect((await simulator.batch(isbns(200))).read(pageSchema).data).toEqual(data);
    for (const book of data.slice(0, 5)) expect((await simulator.get(`/book/${book.isbn13}`)).json()).toEqual({ book });
  });

  test("are never unknown at 0 percent, always at 100, and two percent by default", async () => {
    expect([await knownOfThousand(0), await knownOfThousand(100)]).toEqual([1_000, 0]);
    expect(Math.abs((await knownOfThousand(2)) - 980)).toBeLessThan(20);
  });
});

describe("authors", () => {
  test.for(["Ada Abbott", "Wanda Ziegler", "Neil Gaiman"])("the books of %s have the same author when fetched by ISBN", async (name) => {
    await simulator.set({ authors: { [name]: 30 } });
    const { books, total } = (await simulator.get(`/author/${encodeURIComponent(name)}?pageSize=100`)).read(pageSchema);
    expect([books.length, total]).toEqual([30, 30]);
    const { data } = (await simulator.batch(books.map(({ isbn13 }) => isbn13))).read(pageSchema);
    expect(data).toEqual(books);
    expect(data.filter(({ authors }) => !authors.includes(name))).toEqual([]);
  });

  test("an arbitrary name has books by that name", async () => {
    const { books, total } = (await simulator.get("/author/Xavier%20Unheard?pageSize=1000")).read(pageSchema);
    expect(total).toBeGreaterThan(0);
    expect(books).toHaveLength(total);
    expect(books.filter(({ authors }) => authors[0] !== "Xavier Unheard")).toEqual([]);
  });

  test("can have any number of books, and without books return 404", async () => {
    await simulator.set({ authors: { "Test Person": 2_345, "Gone Person": 0 } });
    const listed = await allOf("/author/Test%20Person", "books", 4);
    expect(new Set(listed.map(({ isbn13 }) => isbn13)).size).toBe(2_345);
    expect((await simulator.get("/author/Gone%20Person")).status).toBe(404);
    expect((await simulator.get("/author/Nobody%20Else")).status).toBe(404);
  });

  test("with more than ten thousand books show at most ten thousand", async () => {
    await simulator.set({ authors: { "Busy Person": 12_000 } });
    const page = async (number: number): Promise<Page> =>
      (await simulator.get(`/author/Busy%20Person?pageSize=1000&page=${number}`)).read(pageSchema);
    expect(await page(10)).toMatchObject({ total: 12_000, books: { length: 1_000 } });
    expect(await page(11)).toMatchObject({ total: 12_000, books: { length: 0 } });
  });
});

describe("months", () => {
  const MARCH = "/search/books?publishedFrom=2026-03-01&publishedTo=2026-03-31";

  test("have the configured number of distinct books of that month, equal when fetched by ISBN", async () => {
    await simulator.set({ releases: { "2026-03": 1_234 } });
    const listed = await allOf(MARCH, "data", 3);
    expect(new Set(listed.map(({ isbn13 }) => isbn13)).size).toBe(1_234);
    expect(listed.filter(({ date_published: date }) => !date.startsWith("2026-03-"))).toEqual([]);
    const sample = listed.slice(0, 50);
    expect((await simulator.batch(sample.map(({ isbn13 }) => isbn13))).read(pageSchema).data).toEqual(sample);
  });

  test("are the same for both forms of a month", async () => {
    const totals = [];
    for (const path of [MARCH, "/search/books?publishedFrom=2026-03&publishedTo=2026-03"]) {
      totals.push((await simulator.get(path)).read(pageSchema).total);
    }
    expect(new Set(totals).size).toBe(1);
  });

  test("have a subset of their books in one subject", async () => {
    const everything = await allOf(MARCH, "data", 3);
    const physics = await allOf(`${MARCH}&subject=Physics`, "data", 1);
    expect(physics.length).toBeGreaterThan(0);
    expect(physics.filter(({ subjects }) => !subjects.includes("Physics"))).toEqual([]);
    const known = new Set(everything.map(({ isbn13 }) => isbn13));
    expect(physics.filter(({ isbn13 }) => !known.has(isbn13))).toEqual([]);
    expect(everything.filter(({ subjects }) => subjects.includes("Physics"))).toHaveLength(physics.length);
  });

  test("add up to their year", async () => {
    const totalOf = async (from: string, to: string): Promise<number> =>
      (await simulator.get(`/search/books?publishedFrom=${from}&publishedTo=${to}&pageSize=1`)).read(pageSchema).total;
    let sum = 0;
    for (let month = 1; month <= 12; month += 1) {
      const name = `2025-${String(month).padStart(2, "0")}`;
      sum += await totalOf(name, name);
    }
    expect(await totalOf("2025", "2025")).toBe(sum);
  });

  test("are narrowed to days", async () => {
    const { data } = (await simulator.get("/search/books?publishedFrom=2025-03-30&publishedTo=2025-04-02&pageSize=1000")).read(pageSchema);
    expect(new Set(data.map(({ date_published: date }) => date))).toEqual(new Set(["2025-04-01", "2025-04-02"]));
  });
});

test("each ISBN of all lists is a valid ISBN-13", async () => {
  const listed = [
    ...(await allOf("/search/books?publishedFrom=2024-02&publishedTo=2024-02", "data", 1)),
    ...(await allOf("/author/Ada%20Abbott", "books", 1)),
    ...(await allOf("/author/Some%20One", "books", 1)),
  ];
  expect(listed.filter(({ isbn13 }) => stemOf(isbn13) === undefined)).toEqual([]);
  expect(stemOf(isbnNumber(7))).toBeDefined();
});
