/** The catalog of each release that kept it in the main database moves completely to its own database, and stays readable throughout. */
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { right } from "../support/tenants/http.ts";
import { get, isbnNumber, post } from "../support/worker.ts";
import { RELEASES } from "./releases.ts";
import { moveAll, upgradedFrom } from "./support.ts";
import { CATALOG_TABLES } from "../support/catalog-tables.ts";

afterAll(() => void vi.restoreAllMocks());

/** All rows, each as SQLite shows it, so that types count too. */
async function contents(db: D1Database): Promise<Record<string, unknown>> {
  const read = CATALOG_TABLES.map(async (table) => {
    const { results: columns } = await db.prepare(`SELECT name FROM pragma_table_info('${table}') ORDER BY name`).all<{ name: string }>();
    const row = columns.map(({ name }) => `'${name} ' || typeof(${name}) || ' ' || quote(${name})`).join(" || char(10) || ");
    const { results } = await db.prepare(`SELECT ${row} AS row FROM ${table} ORDER BY 1`).all<{ row: string }>();
    return [table, results.map((each) => each.row)] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

const KNOWN = [1, 2, 3, 4].map((n) => isbnNumber(n));
const overview = async (): Promise<unknown> => [
  right(await get<{ authors: unknown }>("/api/authors/top")).authors,
  right(await get("/api/harvest/status")),
  right(await get(`/api/books/${KNOWN[0]}`)),
];

describe.each(RELEASES.filter(({ catalog }) => catalog === undefined))("from $name", (release) => {
  beforeAll(async () => upgradedFrom(release));

  test("everything is readable before the move", async () => {
    const { body } = await post("/api/enrich/batch-direct", { isbns: KNOWN, include: "books" });
    expect(body).toMatchObject({ cached: 4, api_calls: 0, books: KNOWN.map((isbn13) => ({ isbn13 })) });
    expect(await env.CATALOG.prepare("SELECT count(*) AS n FROM books").first("n")).toBe(0);
  });

  test("all rows move, none changes, and the old ones stay", async () => {
    const before = { old: await contents(env.DB), shown: await overview() };
    await moveAll();
    expect(await contents(env.CATALOG)).toEqual(before.old);
    expect(await contents(env.DB)).toEqual(before.old);
    expect(await overview()).toEqual(before.shown);
    expect((before.old["books"] as unknown[]).length).toBeGreaterThanOrEqual(4);
  });

  test("known books stay free without the old tables, and new ones are counted on", async () => {
    await env.DB.batch(["book_authors", "books", "authors", "missing_isbns"].map((table) => env.DB.prepare(`DROP TABLE ${table}`)));
    const before = await env.CATALOG.prepare("SELECT count(*) AS n FROM books").first<number>("n");
    const known = await post("/api/enrich/batch-direct", { isbns: KNOWN });
    expect(known).toMatchObject({ status: 200, body: { cached: 4, api_calls: 0 } });
    const more = await post("/api/enrich/batch-direct", { isbns: [401, 402, 403].map((n) => isbnNumber(n)) });
    expect(more).toMatchObject({ status: 200, body: { enriched: 3, api_calls: 1 } });
    expect(await env.CATALOG.prepare("SELECT count(*) AS n FROM books").first("n")).toBe((before ?? 0) + 3);
    const author = { author_name: "Ursula K. Le Guin", max_pages: 2, page_size: 3 };
    expect(await post("/api/authors/enrich-bibliography", author)).toMatchObject({ status: 200, body: { api_calls: 2, next_page: 4 } });
    const recounted = "SELECT author_key, count(DISTINCT work_key), count(*) FROM book_authors GROUP BY 1 ORDER BY 1";
    const counted = "SELECT author_key, work_count, edition_count FROM authors ORDER BY 1";
    expect(await env.CATALOG.prepare(counted).raw()).toEqual(await env.CATALOG.prepare(recounted).raw());
  });
});
