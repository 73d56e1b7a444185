/** A full catalog only stops saving. The maximum size keeps the newest books. */
import { createScheduledController } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import worker from "../../worker/src/index.ts";
import { maintainCatalog } from "../../worker/src/library/catalog-size.ts";
import { ended } from "../jobs/support.ts";
import type { Job } from "../jobs/support.ts";
import { fillDatabase } from "../support/full-database.ts";
import { by, enrich } from "../support/tenants/keys.ts";
import { makeOrganization, makeProject, right } from "../support/tenants/http.ts";
import { ADMIN_TOKEN, freshStart, get, isbnNumber, isbns, post, quotaStatus, simulator } from "../support/worker.ts";
import { countRows, sent } from "./support.ts";

beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

const batch = async (given: readonly string[]) => post("/api/enrich/batch-direct", { isbns: given, include: "books" });
const fillCatalog = (): void => fillDatabase(() => true, env.CATALOG);
const lostBooks = async (): Promise<number> =>
  Number(/^catalog_books_not_stored_total (\d+)$/mu.exec((await get<string>("/metrics", { token: ADMIN_TOKEN })).body)?.[1]);

describe("with a full catalog", () => {
  test("a batch answers with the paid books, says that they are not stored, and counts them", async () => {
    await batch(isbns(1, 1));
    const before = await lostBooks();
    fillCatalog();
    const { status, body } = await batch(isbns(1, 3));
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { found: 3, enriched: 2, cached: 1, failed: [], api_calls: 1, warnings: [{ code: "catalog_full" }] },
    });
    expect((body["books"] as { isbn13: string }[]).map(({ isbn13 }) => isbn13)).toEqual(isbns(1, 3));
    expect((await lostBooks()) - before).toBe(2);
    expect(await countRows("books")).toBe(1);
    expect((await batch(isbns(1, 1))).body).not.toHaveProperty("warnings");
  });

  test.each([
    ["/api/authors/enrich-bibliography", { author_name: "Ines Sieben", page_size: 10 }],
    ["/api/books/enrich-new-releases", { start_month: "2025-11", end_month: "2025-12" }],
  ])("%s stops after one call, with the reason", async (path, request) => {
    await simulator.control("PUT", "/settings", { authors: { "Ines Sieben": 40 } });
    fillCatalog();
    const { status, body } = await post(path, request);
    expect({ status, body }).toMatchObject({ status: 200, body: { api_calls: 1, complete: false, errors: [{ code: "catalog_full" }] } });
    expect(body["failed"]).toBeGreaterThan(0);
  });

  test("the harvest stops with the reason and makes no call", async () => {
    await post("/api/harvest/targets", { isbns: isbns(1, 5), authors: ["Ines Sieben"] });
    fillCatalog();
    expect((await post("/api/harvest/run")).body).toMatchObject({ stopped: "catalog_full", calls: 0, targets: 0 });
    const { id } = right(await post<{ id: string }>("/api/jobs", { type: "harvest", payload: {} }));
    expect(await ended(id)).toMatchObject({ status: "completed", result: { run: { stopped: "catalog_full", calls: 0 }, next: null } });
    expect(await sent()).toEqual([]);
    vi.restoreAllMocks();
    expect((await post("/api/harvest/run")).body).toMatchObject({ stopped: "nothing_due", targets: 6 });
  });

  // The room for a run is checked at its start, so another request may use it up.
  test.each([[{ isbns: isbns(1, 5) }], [{ authors: ["Ines Sieben"] }]])(
    "a harvest of %j that fills it stops after one call",
    async (targets) => {
      await post("/api/harvest/targets", targets);
      fillDatabase(async () => (await sent()).length > 0, env.CATALOG);
      const { body } = await post<{ id: string }>("/api/harvest/run");
      expect(body).toMatchObject({ stopped: "catalog_full", calls: 1, targets: 0 });
      expect(await sent()).toHaveLength(1);
    },
  );

  test("admissions, usage, jobs and the sweep work", async () => {
    await makeOrganization("org");
    const { api_key } = await makeProject("shop");
    fillCatalog();
    expect((await enrich(api_key.key, isbns(1, 1))).status).toBe(200);
    expect((await by(api_key.key, "POST", "/api/quota/reservations", { calls: 2 })).status).toBe(201);
    const events = [{ id: "e1", project_id: "shop", type: "storage_uploads_per_day", quantity: 3 }];
    expect((await post("/api/usage/events", { events })).body).toMatchObject({ results: [{ result: "counted" }] });
    await worker.scheduled(createScheduledController({ cron: "0 * * * *", scheduledTime: new Date("2031-05-14T11:00:00Z") }), env);
    await worker.scheduled(createScheduledController({ cron: "*/5 * * * *", scheduledTime: new Date("2031-05-14T11:35:00Z") }), env);
    const { jobs } = (await get<{ jobs: Job[] }>("/api/jobs")).body;
    const states = await Promise.all(jobs.map(async ({ id, type }) => `${type} ${(await ended(id)).status}`));
    expect(states.toSorted()).toEqual(["check_usage_limits completed", "housekeeping completed"]);
    expect(await get("/api/projects/shop/usage")).toMatchObject({ status: 200 });
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 2 });
  });
});

describe("CATALOG_MAX_MB", () => {
  /** Books of about 2 KB. The later ones were fetched later. */
  async function addBooks(count: number): Promise<void> {
    const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
    await env.CATALOG.batch([
      env.CATALOG.prepare(`${numbers} INSERT INTO books (isbn13, title, authors, subjects, synopsis, dewey_decimal, fetched_at)
        SELECT '978' || ((i * 7919) % 99991), 'Title ' || i, '[]', '[]', printf('%.*c', 2000, 'x'), '[]', i FROM n`),
      env.CATALOG.prepare(
        `${numbers} INSERT INTO book_authors SELECT 'even', '978' || ((i * 7919) % 99991), 'w' || i FROM n WHERE i % 2 = 0`,
      ),
      env.CATALOG.prepare(`${numbers} INSERT INTO book_authors SELECT 'a' || (i / 100), '978' || ((i * 7919) % 99991), 'w' || i FROM n`),
      env.CATALOG.prepare(
        "INSERT INTO authors SELECT author_key, author_key, count(DISTINCT work_key), count(*) FROM book_authors GROUP BY 1",
      ),
    ]);
  }
  const size = async (): Promise<number> => (await env.CATALOG.prepare("SELECT 1").run()).meta.size_after;
  const depsWith = (megabytes: string) => createDeps({ ...env, CATALOG_MAX_MB: megabytes }, () => Date.now());

  test("removes the books that were fetched longest ago until the rest fits, with their authors", async () => {
    await addBooks(6_000);
    expect(await size()).toBeGreaterThan(10_000_000);
    const { removed } = await maintainCatalog(depsWith("5"));
    expect(await size()).toBeLessThanOrEqual(5_000_000);
    expect(await size()).toBeGreaterThan(3_000_000);
    const { results } = await env.CATALOG.prepare("SELECT fetched_at FROM books ORDER BY 1").all<{ fetched_at: number }>();
    expect(results.map(({ fetched_at }) => fetched_at)).toEqual(Array.from({ length: 6_000 - removed }, (_, n) => removed + n + 1));
    const recounted = "SELECT author_key, count(DISTINCT work_key), count(*) FROM book_authors GROUP BY 1 ORDER BY 1";
    const counted = "SELECT author_key, work_count, edition_count FROM authors ORDER BY 1";
    expect(await env.CATALOG.prepare(counted).raw()).toEqual(await env.CATALOG.prepare(recounted).raw());
    expect(
      await env.CATALOG.prepare("SELECT count(*) AS n FROM book_authors WHERE isbn13 NOT IN (SELECT isbn13 FROM books)").first("n"),
    ).toBe(0);
  });

  test("removes a bounded number at a time, and the next job continues", async () => {
    await addBooks(14_000);
    const deps = depsWith("1");
    expect((await maintainCatalog(deps)).removed).toBe(12_500);
    expect(deps.catalog.statements).toBeLessThan(500);
    expect((await maintainCatalog(depsWith("1"))).removed).toBeGreaterThan(0);
    expect(await size()).toBeLessThanOrEqual(1_000_000);
  });

  test("removes nothing below the maximum, or without one", async () => {
    await addBooks(1_000);
    expect((await maintainCatalog(depsWith("9"))).removed).toBe(0);
    expect((await maintainCatalog(depsWith("0"))).removed).toBe(0);
    expect(await countRows("books")).toBe(1_000);
  });

  test("frees space for the paid books of a full catalog", async () => {
    await addBooks(3_000);
    fillDatabase(async () => (await countRows("books")) > 2_000, env.CATALOG);
    expect((await batch([isbnNumber(1)])).body).toMatchObject({ warnings: [{ code: "catalog_full" }] });
    await maintainCatalog(depsWith("3"));
    const again = await batch([isbnNumber(1)]);
    expect(again.body).toMatchObject({ enriched: 1 });
    expect(again.body).not.toHaveProperty("warnings");
    expect((await batch([isbnNumber(1)])).body).toMatchObject({ cached: 1, api_calls: 0 });
  });
});
