import { beforeEach, describe, expect, test } from "vitest";
import { freshStart, get, setClock, simulator } from "../support/worker.ts";
import { countRows, failWrites, fault, healWrites, stableFields } from "./support.ts";
import { TOMORROW, enrich, requestedPages, appeared, done } from "./new-releases-support.ts";

beforeEach(async () => {
  await freshStart();
  await appeared({ "2025-11": 1_200, "2025-12": 40 });
});

describe("months × subjects × pages", () => {
  test("every page of every month is fetched once, and paid once", async () => {
    const { status, headers, body } = await enrich();
    expect({ status, body: stableFields(body) }).toEqual({ status: 200, body: done });
    expect(body).not.toHaveProperty("resume");
    expect(body["quota"]).toMatchObject({ used: 3, reserved: 0, callers: [{ caller: "enrich.new-releases", used: 3 }] });
    expect(headers.get("ratelimit")).toBe('"daily";r=12997;t=35809');
    expect(await requestedPages()).toEqual(["2025-11 1", "2025-11 2", "2025-12 1"]);
    expect(await countRows("books")).toBe(1_240);
  });

  test("each subject is requested in each month", async () => {
    const { body } = await enrich({ subjects: ["Fiction", "Poetry"] });
    expect(body).toMatchObject({ months_processed: 2, api_calls: 4, complete: true });
    expect(await requestedPages()).toEqual(["2025-11 Fiction 1", "2025-11 Poetry 1", "2025-12 Fiction 1", "2025-12 Poetry 1"]);
  });

  test("months continue across the end of a year", async () => {
    await appeared({ "2026-01": 1, "2026-02": 1 });
    expect((await enrich({ start_month: "2025-12", end_month: "2026-02" })).body).toMatchObject({ months_processed: 3, api_calls: 3 });
    expect(await requestedPages()).toEqual(["2025-12 1", "2026-01 1", "2026-02 1"]);
  });

  test("no month has more pages than max_pages_per_month", async () => {
    expect((await enrich({ max_pages_per_month: 1 })).body).toMatchObject({ total_books_found: 1_040, api_calls: 2, complete: true });
    expect(await requestedPages()).toEqual(["2025-11 1", "2025-12 1"]);
  });

  test("no page goes beyond result 10,000, and the response reports the missing results", async () => {
    await fault({ kind: "status", status: 200, times: 10, path: "/search/books", body: { total: 12_000, data: fullPage() } });
    const { body } = await enrich({ max_pages_per_month: 100 });
    expect(body).toMatchObject({ api_calls: 11, complete: true, months_processed: 2 });
    expect(body.errors).toEqual([
      {
        month: "2025-11",
        code: "provider_limit",
        message: "The provider returned 10000 of 12000 results, because pages of 1000 cannot go beyond result 10000.",
      },
    ]);
    expect((await requestedPages()).slice(-2)).toEqual(["2025-11 10", "2025-12 1"]);
  });

  test("a month without new releases is done, with an empty list as with a 404", async () => {
    await appeared({ "2025-11": 0 });
    expect((await enrich()).body).toMatchObject({ months_processed: 2, total_books_found: 40, complete: true });
    await simulator.control("PUT", "/settings", { dialect: "2025" });
    expect((await enrich()).body).toMatchObject({ months_processed: 2, total_books_found: 40, complete: true });
  });
});

/** A thousand records of one book: the maximum of a page, and little to store. */
const fullPage = (): unknown[] => Array.from({ length: 1_000 }, () => ({ isbn13: "9780201633610", title: "Design Patterns" }));

describe("skip_existing", () => {
  const book = async () => (await get("/api/books/9780201633610")).body;
  const appearing = async (title: string): Promise<void> => {
    await fault({ kind: "status", status: 200, path: "/search/books", body: { total: 1, data: [{ isbn13: "9780201633610", title }] } });
  };
  const november = { end_month: "2025-11" };

  test("does not update books in the catalog, unless it is false", async () => {
    await appearing("First");
    expect((await enrich(november)).body).toMatchObject({ already_existed: 0, newly_enriched: 1 });
    await setClock(TOMORROW);
    await appearing("Second");
    expect((await enrich(november)).body).toMatchObject({ already_existed: 1, newly_enriched: 0 });
    expect(await book()).toMatchObject({ title: "First", fetched_at: "2031-05-14T14:03:11Z" });
    await appearing("Third");
    expect((await enrich({ ...november, skip_existing: false })).body).toMatchObject({ already_existed: 1, newly_enriched: 0 });
    expect(await book()).toMatchObject({ title: "Third", fetched_at: "2031-05-15T09:00:00Z" });
  });
});

describe("failures", () => {
  test.each([
    ["500", { kind: "status", status: 500 }],
    ["401", { kind: "status", status: 401 }],
    ["403 for the plan", { kind: "wrong_plan" }],
    ["cut-off JSON", { kind: "cut_off_json" }],
  ])("the provider answers the first page with %s: 502", async (_, kind) => {
    await fault({ ...kind, path: "/search/books" });
    const { status, body } = await enrich();
    expect({ status, body }).toMatchObject({ status: 502, body: { code: "upstream_error", calls_charged: 1 } });
    expect(await countRows("books")).toBe(0);
  });

  test("a later page fails: received pages are stored, and the cursor points at the page that failed", async () => {
    await fault({ kind: "status", status: 500, path: "/search/books", after: 1 });
    const { status, body } = await enrich();
    expect({ status, body: stableFields(body) }).toEqual({
      status: 200,
      body: {
        ...done,
        months_processed: 0,
        total_books_found: 1_000,
        newly_enriched: 1_000,
        api_calls: 2,
        complete: false,
        errors: [
          {
            month: "2025-11",
            code: "upstream_error",
            message: "The provider responded with 500: Internal Server Error. 1 call was charged.",
          },
        ],
      },
    });
    expect((await enrich({ resume: body.resume })).body).toMatchObject({ months_processed: 2, total_books_found: 240, complete: true });
    expect(await requestedPages()).toEqual(["2025-11 1", "2025-11 2", "2025-11 2", "2025-12 1"]);
  });

  test("the database fails after the first page was paid: 200 with the error, and the page is next", async () => {
    await failWrites("books");
    const { status, body } = await enrich();
    expect({ status, body: stableFields(body) }).toEqual({
      status: 200,
      body: {
        ...done,
        months_processed: 0,
        total_books_found: 1_000,
        newly_enriched: 0,
        failed: 1_000,
        api_calls: 1,
        complete: false,
        errors: [{ month: "2025-11", code: "storage_unavailable", message: "The database did not answer." }],
      },
    });
    await healWrites("books");
    expect(stableFields((await enrich({ resume: body.resume })).body)).toEqual(done);
  });

  test("records that cannot be read are counted as failed", async () => {
    const data = [{ isbn13: "9780201633610", title: "Design Patterns" }, { title: "Without an ISBN" }];
    await fault({ kind: "status", status: 200, path: "/search/books", body: { total: 2, data } });
    expect((await enrich({ end_month: "2025-11" })).body).toMatchObject({ total_books_found: 2, newly_enriched: 1, failed: 1 });
  });
});

describe("the accepted requests", () => {
  test.each([
    ["an end before the start", { start_month: "2026-01" }, "end_month", "must not be before `start_month`, which is 2026-01"],
    [
      "25 months",
      { start_month: "2023-12" },
      "end_month",
      "must be at most 24 months after `start_month`, both included. These are 25 months",
    ],
    ["a thirteenth month", { end_month: "2025-13" }, "end_month", "must be a month, such as 2025-12"],
    ["a day", { end_month: "2025-12-31" }, "end_month", "must be a month, such as 2025-12"],
    ["an empty month", { start_month: "" }, "start_month", "must be a month, such as 2025-12"],
    ["no month", { start_month: undefined }, "start_month", ""],
    ["a number for a month", { start_month: 202_511 }, "start_month", ""],
    ["no page per month", { max_pages_per_month: 0 }, "max_pages_per_month", ""],
    ["101 pages a month", { max_pages_per_month: 101 }, "max_pages_per_month", ""],
    ["a text for the subjects", { subjects: "Fiction" }, "subjects", ""],
    ["an empty subject", { subjects: ["Fiction", " "] }, "subjects.1", "must not be empty"],
    ["half a character in a subject", { subjects: ["\udfff"] }, "subjects.0", ""],
    ["21 subjects", { subjects: Array.from({ length: 21 }, (_, index) => `S${index}`) }, "subjects", ""],
    ["a word for skip_existing", { skip_existing: "false" }, "skip_existing", ""],
    ["something unknown", { months: 2 }, "months", ""],
  ])("%s: 400 that names the field", async (_, change, path, message) => {
    const { status, body } = await enrich(change);
    const [error] = body.errors;
    expect({ status, count: body.errors.length, path: error?.path }).toEqual({ status: 400, count: 1, path });
    expect(error?.message).toContain(message);
    expect(await requestedPages()).toEqual([]);
  });

  test("24 months are not too many", async () => {
    await fault({ kind: "status", status: 404, times: 0, path: "/search/books" });
    expect((await enrich({ start_month: "2024-01" })).body).toMatchObject({ months_processed: 24, api_calls: 24, complete: true });
  });
});
