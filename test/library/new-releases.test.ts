import { beforeEach, describe, expect, test } from "vitest";
import { fromBase64Url, toBase64Url } from "../../worker/src/lib/base64url.ts";
import { freshStart, get, post, put, quotaStatus, setClock, settings, simulator } from "../support/worker.ts";
import { countRows, failWrites, fault, healWrites, sent, stableFields } from "./support.ts";

const TOMORROW = "2031-05-15T09:00:00Z";

interface Told {
  readonly resume?: string;
  readonly errors: { readonly month: string; readonly code: string; readonly message: string; readonly path?: string }[];
  readonly [name: string]: unknown;
}

const QUESTION = { start_month: "2025-11", end_month: "2025-12" };

const enrich = async (body: Record<string, unknown> = {}) => post<Told>("/api/books/enrich-new-releases", { ...QUESTION, ...body });

/** The requested month, subject and page. */
const requestedPages = async (): Promise<string[]> =>
  (await sent()).map(({ path }) => {
    const query = new URL(path, "http://isbndb.test").searchParams;
    return [query.get("publishedFrom"), query.get("subject"), query.get("page")].filter((part) => part !== null).join(" ");
  });

const appeared = async (releases: Record<string, number>): Promise<void> => {
  await simulator.control("PUT", "/settings", { releases });
};

const leave = async (calls: number): Promise<void> => settings({ daily_limit: calls, safety_buffer: 0 });

const done = {
  ...QUESTION,
  months_processed: 2,
  total_books_found: 1_240,
  already_existed: 0,
  newly_enriched: 1_240,
  failed: 0,
  api_calls: 3,
  complete: true,
  quota_exhausted: false,
  errors: [],
};

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
        message: "Of 12000 results the provider gave 10000: no page of 1000 may go beyond result 10000.",
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

describe("an end of the daily quota between pages", () => {
  test("returns a cursor with which the same request continues the next day", async () => {
    await leave(1);
    const first = await enrich();
    expect({ status: first.status, body: stableFields(first.body) }).toEqual({
      status: 200,
      body: {
        ...done,
        months_processed: 0,
        total_books_found: 1_000,
        newly_enriched: 1_000,
        api_calls: 1,
        complete: false,
        quota_exhausted: true,
        errors: [{ month: "2025-11", code: "quota_exhausted", message: expect.stringContaining("nothing is left today") }],
      },
    });
    const { resume } = first.body;

    await setClock(TOMORROW);
    await leave(1);
    const second = await enrich({ resume });
    expect(second.body).toMatchObject({
      months_processed: 1,
      total_books_found: 200,
      api_calls: 1,
      complete: false,
      quota_exhausted: true,
    });

    await setClock("2031-05-16T09:00:00Z");
    const third = await enrich({ resume: second.body.resume });
    expect(third.body).toMatchObject({ months_processed: 1, total_books_found: 40, api_calls: 1, complete: true });
    expect(third.body).not.toHaveProperty("resume");
    expect(await requestedPages()).toEqual(["2025-11 1", "2025-11 2", "2025-12 1"]);
    expect(await countRows("books")).toBe(1_240);
  });

  test("or between subjects", async () => {
    await leave(2);
    const question = { subjects: ["Fiction", "Poetry", "Юмор"] };
    const { body } = await enrich(question);
    expect(body).toMatchObject({ months_processed: 0, complete: false });
    await setClock(TOMORROW);
    await leave(100);
    expect((await enrich({ ...question, resume: body.resume })).body).toMatchObject({ months_processed: 2, api_calls: 4, complete: true });
    expect(new Set(await requestedPages()).size).toBe(6);
  });

  test("nothing affordable: 429 with the pages known to be needed, before anything is sent", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    const { status, body } = await enrich({ subjects: ["Fiction", "Poetry"] });
    expect({ status, body }).toMatchObject({
      status: 429,
      body: { code: "quota_exhausted", calls_needed: 4, calls_available: 0, calls_charged: 0 },
    });
    expect(await requestedPages()).toEqual([]);
  });

  test("less than the plan: exactly the affordable pages", async () => {
    await leave(2);
    expect((await enrich()).body).toMatchObject({ api_calls: 2, months_processed: 1, complete: false, quota_exhausted: true });
    expect(await simulator.state()).toMatchObject({ spent: 2 });
    expect(await quotaStatus()).toMatchObject({ used: 2, reserved: 0 });
  });
});

describe("a cursor", () => {
  const cursor = async (): Promise<string> => {
    await leave(1);
    const { body } = await enrich();
    await leave(100);
    return body.resume ?? "";
  };

  test.each([
    ["other months", { start_month: "2025-10" }],
    ["another end", { end_month: "2026-01" }],
    ["other subjects", { subjects: ["Fiction"] }],
    ["another number of pages", { max_pages_per_month: 3 }],
  ])("of %s is refused", async (_, change) => {
    const { status, body } = await enrich({ ...change, resume: await cursor() });
    const message = "this cursor belongs to other months, subjects or pages, so repeat the earlier request with it";
    expect({ status, errors: body.errors }).toEqual({ status: 400, errors: [{ path: "resume", message }] });
    expect(await requestedPages()).toHaveLength(1);
  });

  test.each([
    ["a word", () => "nonsense"],
    ["nothing", () => ""],
    ["JSON of something else", () => toBase64Url("[1,2,3]")],
    ["null", () => toBase64Url("null")],
    ["a cursor cut off", (right: string) => right.slice(0, -6)],
    ["a month beyond the last", (right: string) => pointingAt(right, [2, 0, 1])],
    ["a subject beyond the last", (right: string) => pointingAt(right, [0, 1, 1])],
    ["a page beyond those allowed", (right: string) => pointingAt(right, [0, 0, 11])],
    ["page 0", (right: string) => pointingAt(right, [0, 0, 0])],
    ["half a page", (right: string) => pointingAt(right, [0, 0, 1.5])],
    ["words for numbers", (right: string) => pointingAt(right, ["0", "0", "1"])],
    ["too few numbers", (right: string) => pointingAt(right, [0, 1])],
  ])("%s is refused", async (_, broken) => {
    const { status, body } = await enrich({ resume: broken(await cursor()) });
    const message = "this is not a cursor from an earlier response";
    expect({ status, errors: body.errors }).toEqual({ status: 400, errors: [{ path: "resume", message }] });
    expect(await requestedPages()).toHaveLength(1);
  });

  test("of the longest possible query is accepted", async () => {
    const subjects = Array.from({ length: 20 }, (_, index) => String.fromCharCode(0x4e00 + index).repeat(150));
    await leave(1);
    const { body } = await enrich({ subjects });
    expect(body).toMatchObject({ complete: false, quota_exhausted: true });
    await leave(100);
    expect((await enrich({ subjects, resume: body.resume })).body).toMatchObject({ complete: true, api_calls: 39 });
  });
});

const pointingAt = (right: string, at: unknown[]): string =>
  toBase64Url(JSON.stringify({ ...(fromBase64Url(right) as Record<string, unknown>), at }));

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
    ["an end before the start", { start_month: "2026-01" }, "end_month", '"2025-12" is before start_month "2026-01"'],
    ["25 months", { start_month: "2023-12" }, "end_month", "the range has 25 months, but at most 24 are accepted"],
    ["a thirteenth month", { end_month: "2025-13" }, "end_month", "expected YYYY-MM"],
    ["a day", { end_month: "2025-12-31" }, "end_month", "expected YYYY-MM"],
    ["an empty month", { start_month: "" }, "start_month", "expected YYYY-MM"],
    ["no month", { start_month: undefined }, "start_month", ""],
    ["a number for a month", { start_month: 202_511 }, "start_month", ""],
    ["no page per month", { max_pages_per_month: 0 }, "max_pages_per_month", ""],
    ["101 pages a month", { max_pages_per_month: 101 }, "max_pages_per_month", ""],
    ["a text for the subjects", { subjects: "Fiction" }, "subjects", ""],
    ["an empty subject", { subjects: ["Fiction", " "] }, "subjects.1", "expected at least one character"],
    ["an unpaired surrogate in a subject", { subjects: ["\udfff"] }, "subjects.0", ""],
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
