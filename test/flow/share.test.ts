import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import type { Problem } from "../../worker/src/errors.ts";
import { enrichBatch, readIsbns } from "../../worker/src/library/batch.ts";
import { enrichBibliography } from "../../worker/src/library/bibliography.ts";
import { enrichNewReleases, readReleases } from "../../worker/src/library/new-releases.ts";
import { payFor } from "../../worker/src/library/provider-call.ts";
import { concurrently, freshStart, isbnNumber, isbns, post, quotaStatus, setClock, settings, simulator } from "../support/worker.ts";

const deps = () => createDeps(env, () => Date.now());
const project = (share: number | null) => ({ caller: "project:a", priority: "interactive" as const, share });

/** The error of a refused request. */
const problemOf = async (story: Promise<unknown>): Promise<Pick<Problem, "code" | "members">> =>
  story.then(
    () => {
      throw new Error("The request was not refused");
    },
    ({ code, members }: Problem) => ({ code, members }),
  );

const byShare = (share: Record<string, number>, more: Record<string, unknown> = {}) => ({
  code: "quota_exhausted",
  members: { "violated-policies": ["project-share"], share, ...more },
});

beforeEach(async () => freshStart());

describe("a share is never exceeded", () => {
  const call = async (caller: string, share: number | null, index: number) =>
    payFor(deps(), {
      spending: { cost: { calls: 1 }, caller, priority: "interactive", share },
      records: 1,
      send: async (options) => deps().isbndb.books([isbnNumber(index)], options),
      keep: async (paid) => paid,
    });

  test("200 concurrent calls of a project with a share of 60 send exactly 60, while another project spends", async () => {
    const answers = await concurrently(300, 40, async (index) =>
      index % 3 === 0
        ? { project: "b", paid: await call("project:b", null, index) }
        : { project: "a", paid: await call("project:a", 60, index) },
    );
    const of = (project: string) => answers.filter((answer) => answer.project === project).map(({ paid }) => paid);
    const refused = of("a").flatMap((paid) => (paid.result === "refused" ? [paid.refusal.refusedBy] : []));
    expect({ total: of("a").length, refused: refused.length, by: [...new Set(refused)] }).toEqual({
      total: 200,
      refused: 140,
      by: ["share"],
    });
    expect(of("b").every(({ result }) => result === "answered")).toBe(true);
    expect(await quotaStatus()).toMatchObject({
      used: 160,
      reserved: 0,
      callers: [
        { caller: "project:b", used: 100 },
        { caller: "project:a", used: 60 },
      ],
    });
    expect(await simulator.state()).toMatchObject({ spent: 160 });
  });

  test("a refusal names the day if the day and the share end with the same call", async () => {
    await settings({ daily_limit: 50, safety_buffer: 0 });
    // A project may reserve at most a tenth of the limit at a time.
    const answers = await concurrently(80, 5, async (index) => call("project:a", 50, index));
    const refused = answers.flatMap((paid) => (paid.result === "refused" ? [paid.refusal.refusedBy] : []));
    expect(refused).toEqual(Array.from({ length: 30 }, () => "daily"));
    expect(await simulator.state()).toMatchObject({ spent: 50 });
  });

  test("a reservation over HTTP is not limited by another project's share", async () => {
    await deps().quota.incrementUsage(60, "all", "project:a");
    expect(await call("project:a", 60, 0)).toMatchObject({ result: "refused", charged: 0, refusal: { refusedBy: "share" } });
    expect((await post("/api/quota/reservations", { calls: 60 })).status).toBe(201);
  });
});

describe("the routes spend within the project's share", () => {
  test("a batch is refused before anything is sent", async () => {
    const batch = { isbns: readIsbns(isbns(0, 3)), refresh: false, withBooks: false };
    await enrichBatch(deps(), { ...batch, ...project(3) });
    const { spent } = await simulator.state();
    const used = (await deps().quota.callerUse("project:a")).used;
    const more = enrichBatch(deps(), { ...batch, isbns: readIsbns([isbnNumber(7)]), ...project(used) });
    expect(await problemOf(more)).toMatchObject(byShare({ calls_per_day: used, used, reserved: 0, remaining: 0 }, { calls_needed: 1 }));
    expect(await simulator.state()).toMatchObject({ spent });
    expect(await enrichBatch(deps(), { ...batch, ...project(0) })).toMatchObject({ cached: 3, api_calls: 0 });
    expect(await enrichBatch(deps(), { ...batch, isbns: readIsbns([isbnNumber(7)]), ...project(used + 1) })).toMatchObject({ enriched: 1 });
  });

  test("a bibliography stops at the share and continues when the share grows", async () => {
    await simulator.control("PUT", "/settings", { authors: { "Ines Sieben": 700 } });
    const request = { authorName: "Ines Sieben", maxPages: 10, pageSize: 100, refresh: false };
    expect(await enrichBibliography(deps(), { ...request, ...project(3) })).toMatchObject({
      pages_fetched: 3,
      complete: false,
      quota_exhausted: true,
      next_page: 4,
      errors: [{ page: 4, code: "quota_exhausted" }],
    });
    const refused = await problemOf(enrichBibliography(deps(), { ...request, ...project(3) }));
    expect(refused).toMatchObject(byShare({ calls_per_day: 3, used: 3, reserved: 0, remaining: 0 }, { calls_needed: 4 }));
    expect(await enrichBibliography(deps(), { ...request, ...project(5) })).toMatchObject({ pages_fetched: 2, next_page: 6 });
    await setClock("2031-05-15T09:00:00Z");
    expect(await enrichBibliography(deps(), { ...request, ...project(3) })).toMatchObject({ pages_fetched: 2, complete: true });
    expect(await simulator.state()).toMatchObject({ spent: 2 });
  });

  test("new releases stop at the share", async () => {
    const question = { startMonth: "2031-01", endMonth: "2031-03", maxPagesPerMonth: 1, subjects: [] };
    const request = { ...question, ...readReleases(question, undefined), skipExisting: true };
    const first = await enrichNewReleases(deps(), { ...request, ...project(2) });
    expect(first).toMatchObject({ months_processed: 2, api_calls: 2, complete: false, quota_exhausted: true });
    const rest = { ...request, ...readReleases(question, first.resume) };
    expect(await problemOf(enrichNewReleases(deps(), { ...rest, ...project(2) }))).toMatchObject(
      byShare({ calls_per_day: 2, used: 2, reserved: 0, remaining: 0 }, { calls_needed: 1 }),
    );
    expect(await enrichNewReleases(deps(), { ...rest, ...project(null) })).toMatchObject({ months_processed: 1, complete: true });
  });
});
