import { beforeEach, describe, expect, test } from "vitest";
import { fromBase64Url, toBase64Url } from "../../worker/src/lib/base64url.ts";
import { freshStart, put, quotaStatus, setClock, settings, simulator } from "../support/worker.ts";
import { countRows, stableFields } from "./support.ts";
import { TOMORROW, enrich, requestedPages, appeared, done } from "./new-releases-support.ts";

const leave = async (calls: number): Promise<void> => settings({ daily_limit: calls, safety_buffer: 0 });

beforeEach(async () => {
  await freshStart();
  await appeared({ "2025-11": 1_200, "2025-12": 40 });
});

describe("quota that runs out during a request", () => {
  test("gives a cursor that continues the same request on the next day", async () => {
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
        errors: [{ month: "2025-11", code: "quota_exhausted", message: expect.stringContaining("no calls remain today") }],
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

  test("also between two subjects", async () => {
    await leave(2);
    const question = { subjects: ["Fiction", "Poetry", "Юмор"] };
    const { body } = await enrich(question);
    expect(body).toMatchObject({ months_processed: 0, complete: false });
    await setClock(TOMORROW);
    await leave(100);
    expect((await enrich({ ...question, resume: body.resume })).body).toMatchObject({ months_processed: 2, api_calls: 4, complete: true });
    expect(new Set(await requestedPages()).size).toBe(6);
  });

  test("no remaining calls: 429 with the known minimum cost, before anything is sent", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    const { status, body } = await enrich({ subjects: ["Fiction", "Poetry"] });
    expect({ status, body }).toMatchObject({
      status: 429,
      body: { code: "quota_exhausted", calls_needed: 4, calls_available: 0, calls_charged: 0 },
    });
    expect(await requestedPages()).toEqual([]);
  });

  test("fewer calls than planned: exactly the remaining calls are used", async () => {
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
    const message = "must be sent with the same months, subjects and pages as before. Change only `resume`";
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
  ])("that is malformed, %s, is refused", async (_, broken) => {
    const { status, body } = await enrich({ resume: broken(await cursor()) });
    const message = "must be the unchanged cursor of an earlier response";
    expect({ status, errors: body.errors }).toEqual({ status: 400, errors: [{ path: "resume", message }] });
    expect(await requestedPages()).toHaveLength(1);
  });

  test("of the longest possible request is accepted", async () => {
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
