import { beforeEach, describe, expect, test } from "vitest";
import type { QuotaLedger } from "../../worker/src/index.ts";
import { postWith } from "../routes/support.ts";
import { freshLedger, ledger, post, quotaStatus, setClock, simulator } from "../support/worker.ts";
import { countRows, failTable, failWrites, fault, healTable, healWrites, requestsArrived, sent, stableFields } from "./support.ts";

const AUTHOR = "Ines Sieben";
const TOMORROW = "2031-05-15T09:00:00Z";

interface Told {
  readonly errors: { readonly page: number; readonly code: string; readonly message: string; readonly path?: string }[];
  readonly [name: string]: unknown;
}

/** Seven pages of a hundred, unless a test says otherwise. */
const enrich = async (body: Record<string, unknown> = {}) =>
  post<Told>("/api/authors/enrich-bibliography", { author_name: AUTHOR, page_size: 100, ...body });

const wrote = async (books: number, name = AUTHOR): Promise<void> => {
  await simulator.control("PUT", "/settings", { authors: { [name]: books } });
};

const done = {
  author: AUTHOR,
  books_found: 700,
  already_existed: 0,
  enriched: 700,
  failed: 0,
  pages_fetched: 7,
  api_calls: 7,
  cached: false,
  complete: true,
  quota_exhausted: false,
  errors: [],
};

const cached = { ...done, already_existed: 700, enriched: 0, pages_fetched: 0, api_calls: 0, cached: true };

beforeEach(async () => {
  await freshLedger();
  await wrote(700);
});

describe("the provider fails", () => {
  const FAILURES: [string, Record<string, unknown>, string][] = [
    ["500", { kind: "status", status: 500 }, "upstream_error"],
    ["401", { kind: "status", status: 401 }, "upstream_error"],
    ["403 for the plan", { kind: "wrong_plan" }, "upstream_error"],
    ["cut-off JSON", { kind: "cut_off_json" }, "upstream_error"],
    ["too many per minute", { kind: "minute_quota" }, "pace_exceeded"],
    ["its daily limit", { kind: "daily_quota" }, "quota_exhausted"],
  ];

  test.each(FAILURES)("on page 3 with %s: the first two are stored and reported, and the third is next", async (_, kind, code) => {
    await fault({ ...kind, path: "/author/", after: 2 });
    const { status, body } = await enrich();
    expect({ status, body: stableFields(body) }).toEqual({
      status: 200,
      body: {
        ...done,
        books_found: 200,
        enriched: 200,
        pages_fetched: 2,
        api_calls: 3,
        complete: false,
        quota_exhausted: code === "quota_exhausted",
        next_page: 3,
        errors: [{ page: 3, code, message: expect.any(String) }],
      },
    });
    expect(body["quota"]).toMatchObject({ reserved: 0 });
    expect(await countRows("books")).toBe(200);
    await setClock(TOMORROW);
    expect((await enrich()).body).toMatchObject({ cached: false, pages_fetched: 5, complete: true, books_found: 500 });
  });

  test.each(FAILURES)("on page 1 with %s: an error, and nothing is stored", async (_, kind, code) => {
    await fault({ ...kind, path: "/author/" });
    const { status, body } = await enrich();
    expect({ status, body }).toMatchObject({ status: code === "upstream_error" ? 502 : 429, body: { code, calls_charged: 1 } });
    expect({ books: await countRows("books"), authors: await countRows("bibliographies") }).toEqual({ books: 0, authors: 0 });
  });

  test("with a 404 or an empty page inside a counted list: the received pages are stored, and the list is not complete", async () => {
    await fault({ kind: "status", status: 404, path: "/author/", after: 2 });
    const errors = [
      { page: 3, code: "provider_limit", message: "The provider returned 200 of 700 results, because its last page was empty or short." },
    ];
    expect(stableFields((await enrich()).body)).toEqual({
      ...done,
      books_found: 200,
      enriched: 200,
      pages_fetched: 3,
      api_calls: 3,
      complete: false,
      errors,
    });
    await fault({ kind: "status", status: 200, body: { author: AUTHOR, books: [], total: 700 }, path: "/author/", after: 2 });
    expect((await enrich({ refresh: true })).body).toMatchObject({ complete: false, errors });
    expect((await enrich({ refresh: true })).body).toMatchObject({ complete: true, errors: [] });
  });

  test("with records that cannot be read: they are counted as failed", async () => {
    const books = [{ isbn13: "9780201633610", title: "Design Patterns" }, { title: "Without an ISBN" }, null];
    await fault({ kind: "status", status: 200, body: { author: AUTHOR, books, total: 3 }, path: "/author/" });
    expect(stableFields((await enrich()).body)).toEqual({
      ...done,
      books_found: 3,
      enriched: 1,
      failed: 2,
      pages_fetched: 1,
      api_calls: 1,
    });
  });
});

describe("a store fails", () => {
  test("the database before anything is paid: 503, and nothing is sent", async () => {
    await failTable("bibliographies");
    const { status, body } = await enrich();
    expect({ status, body }).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
    expect(await sent()).toEqual([]);
    await healTable("bibliographies");
  });

  test("the database after page 1 was paid: 200 with the error, and the page is next", async () => {
    await failWrites("books");
    const { status, body } = await enrich();
    expect({ status, body: stableFields(body) }).toEqual({
      status: 200,
      body: {
        ...done,
        books_found: 100,
        enriched: 0,
        failed: 100,
        pages_fetched: 1,
        api_calls: 1,
        complete: false,
        next_page: 1,
        errors: [{ page: 1, code: "storage_unavailable", message: "The database did not answer." }],
      },
    });
    await healWrites("books");
    expect(stableFields((await enrich()).body)).toEqual(done);
  });

  test("the database after storing the books but before the progress: the page is requested again, not skipped", async () => {
    await enrich({ max_pages: 1 });
    await failWrites("bibliographies");
    expect((await enrich()).body).toMatchObject({
      enriched: 100,
      failed: 0,
      api_calls: 1,
      next_page: 2,
      errors: [{ page: 2, code: "storage_unavailable" }],
    });
    await healWrites("bibliographies");
    expect((await enrich()).body).toMatchObject({ pages_fetched: 6, already_existed: 100, complete: true });
    expect(await countRows("books")).toBe(700);
  });
});

describe("the ledger fails", () => {
  /** The real ledger, which grants this many reservations and is then unavailable. */
  const granting = (reservations: number): Record<string, unknown> => {
    const real = ledger();
    let left = reservations;
    const stub: Partial<Record<keyof QuotaLedger, unknown>> = {
      check: async (...args: Parameters<QuotaLedger["check"]>) => real.check(...args),
      commit: async (...args: Parameters<QuotaLedger["commit"]>) => real.commit(...args),
      reserve: async (...args: Parameters<QuotaLedger["reserve"]>) => {
        left -= 1;
        if (left < 0) throw new Error("away");
        return real.reserve(...args);
      },
    };
    return { QUOTA_LEDGER: { getByName: () => stub } };
  };
  const body = { author_name: AUTHOR, page_size: 100 };

  test("before the first page: 503, and nothing is sent", async () => {
    const answer = await postWith(granting(0), "/api/authors/enrich-bibliography", body);
    expect(answer).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
    expect(await sent()).toEqual([]);
  });

  test("between two pages: the paid calls are reported, and nothing more is sent", async () => {
    const answer = await postWith(granting(2), "/api/authors/enrich-bibliography", body);
    expect(answer).toMatchObject({
      status: 200,
      body: {
        enriched: 200,
        api_calls: 2,
        complete: false,
        quota_exhausted: false,
        next_page: 3,
        errors: [{ page: 3, code: "quota_unavailable" }],
      },
    });
    expect(await sent()).toHaveLength(2);
  });
});

describe("two concurrent calls for one author", () => {
  test("lose no book, and do not mark the list as complete too early", async () => {
    const answers = await Promise.all([enrich(), enrich()]);
    for (const { status, body } of answers) expect({ status, body }).toMatchObject({ status: 200, body: { complete: true, failed: 0 } });
    expect(await countRows("books")).toBe(700);
    expect((await simulator.state()).spent).toBe((await quotaStatus()).used);
    expect(stableFields((await enrich()).body)).toEqual(cached);
  });

  test("the slower one does not revert the faster one's progress", async () => {
    await fault({ kind: "hang_after_billing", hang_ms: 1_500, path: "/author/" });
    const slow = enrich({ max_pages: 1 });
    await requestsArrived(1);
    expect((await enrich()).body).toMatchObject({ complete: true });
    expect((await slow).body).toMatchObject({ pages_fetched: 1, complete: false, next_page: 2 });
    expect(stableFields((await enrich()).body)).toEqual(cached);
  });
});
