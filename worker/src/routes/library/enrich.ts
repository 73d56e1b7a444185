/** Enrichment: books, bibliographies and new releases, fetched from the provider within its quota. */
import { createRoute, z } from "@hono/zod-openapi";
import { createRouter, showRateLimit, visibleStatus } from "../../http/index.ts";
import { spenderOf } from "../../http/spender.ts";
import { enrichBatch, readIsbns } from "../../library/batch.ts";
import { enrichBibliography } from "../../library/bibliography.ts";
import { enrichNewReleases, readReleases } from "../../library/new-releases.ts";
import { MAX_MONTHS } from "../../library/releases-range.ts";
import { credentialed, metered } from "../../http/guards.ts";
import { book, bookJson } from "./schemas.ts";
import {
  ADMIN_OR_KEY,
  COMMON_PROBLEMS,
  PROJECT_PROBLEMS,
  RATE_LIMIT_HEADERS,
  addressable,
  callerLabel,
  priority,
  problems,
  orNull,
  quotaStatus,
} from "../schemas.ts";

const SPENDING_PROBLEMS = [
  ...COMMON_PROBLEMS,
  ...PROJECT_PROBLEMS,
  "invalid_request",
  "payload_too_large",
  "unsupported_media_type",
  "unprocessable",
  "cap_exceeded",
  "quota_exhausted",
  "pace_exceeded",
  "upstream_error",
  "quota_unavailable",
  "storage_unavailable",
] as const;

const quota = orNull(quotaStatus).describe("null only where no quota was needed and the ledger does not answer");
const apiCalls = z.int().describe("Provider calls charged for this request");
const duration = z.int().describe("Milliseconds");

/** The administrator may say who spends, as with a reservation. */
const spender = { caller: callerLabel.optional(), priority };

/** One enrichment is one invocation of the project, and one of its organisation's calls. */
const INVOCATION = { scope: "enrich", kind: "use", meter: "function_invocations_per_day" } as const;

const batchBody = z
  .strictObject({
    isbns: z.array(z.string().max(100)).min(1).max(1_000).describe("ISBN-10 or ISBN-13, hyphens and spaces allowed"),
    refresh: z.boolean().default(false).describe("Ask the provider again for what the catalogue holds"),
    include: z.enum(["books"]).optional().describe("`books` puts the found books into the answer"),
    ...spender,
  })
  .openapi({ example: { isbns: ["978-0-14-143951-8", "0747532699"] } });

const batchAnswer = z
  .object({
    requested: z.int().describe("ISBNs as given, repetitions included"),
    found: z.int().describe("Distinct books the catalogue now holds of them: enriched + cached"),
    enriched: z.int().describe("Fetched from the provider"),
    cached: z.int().describe("Known to the catalogue for less than 30 days, for nothing"),
    not_found: z.array(z.string()).readonly().describe("The provider does not know them (asked again after 7 days)"),
    invalid: z.array(z.object({ isbn: z.string(), reason: z.string() })).readonly(),
    failed: z.array(z.object({ isbn: z.string(), error: z.string() })).readonly(),
    api_calls: apiCalls,
    duration_ms: duration,
    quota,
    books: z.array(book).readonly().optional(),
  })
  .openapi("BatchResult");

const postBatch = createRoute({
  method: "post",
  path: "/enrich/batch-direct",
  tags: ["Enrichment"],
  summary: "Books by ISBN, up to 1,000 in one provider request",
  security: ADMIN_OR_KEY,
  middleware: [credentialed] as const,
  request: { body: { required: true, content: { "application/json": { schema: batchBody } } } },
  responses: {
    200: { description: "What became of each ISBN", headers: RATE_LIMIT_HEADERS, content: { "application/json": { schema: batchAnswer } } },
    ...problems(...SPENDING_PROBLEMS),
  },
});

const bibliographyBody = z
  .strictObject({
    author_name: addressable,
    max_pages: z.int().min(1).max(100).default(10),
    page_size: z.int().min(1).max(1_000).default(1_000),
    refresh: z.boolean().default(false).describe("Start again from the first page"),
    ...spender,
  })
  .openapi({ example: { author_name: "Ursula K. Le Guin" } });

const stop = { code: z.string(), message: z.string() };

const bibliographyAnswer = z
  .object({
    author: z.string(),
    books_found: z.int().describe("In the pages of this call; of the whole bibliography where it is cached"),
    already_existed: z.int(),
    enriched: z.int().describe("New to the catalogue"),
    failed: z.int().describe("Records that could not be read, and books that could not be stored"),
    pages_fetched: z.int(),
    api_calls: apiCalls,
    cached: z.boolean().describe("Answered from the catalogue, for nothing"),
    complete: z.boolean().describe("Every result was fetched. Without next_page, false means that the provider gives no more: see errors"),
    quota_exhausted: z
      .boolean()
      .describe("The day ended before the last page. The same request goes on from next_page when there is quota again"),
    next_page: z.int().optional(),
    errors: z.array(z.object({ page: z.int(), ...stop })).readonly(),
    duration_ms: duration,
    quota,
  })
  .openapi("BibliographyResult");

const postBibliography = createRoute({
  method: "post",
  path: "/authors/enrich-bibliography",
  tags: ["Enrichment"],
  summary: "An author's books, page by paid page",
  description:
    "One provider call a page. An earlier call that had to stop is continued; a complete bibliography costs nothing for 30 days.",
  security: ADMIN_OR_KEY,
  middleware: [credentialed] as const,
  request: { body: { required: true, content: { "application/json": { schema: bibliographyBody } } } },
  responses: {
    200: { description: "As far as it came", headers: RATE_LIMIT_HEADERS, content: { "application/json": { schema: bibliographyAnswer } } },
    ...problems(...SPENDING_PROBLEMS),
  },
});

/** A cursor holds its question: 20 subjects of 150 characters, each at worst seven bytes long, in base64url. */
const MAX_CURSOR_CHARACTERS = 40_000;

const month = z.string().regex(/^[12]\d{3}-(0[1-9]|1[0-2])$/u, "expected YYYY-MM");

const releasesBody = z
  .strictObject({
    start_month: month,
    end_month: month.describe(`At most ${MAX_MONTHS} months, both included`),
    max_pages_per_month: z.int().min(1).max(100).default(20),
    subjects: z.array(addressable).max(20).default([]).describe("None: everything that appeared"),
    skip_existing: z.boolean().default(true).describe("Leave books alone that the catalogue holds"),
    resume: z.string().max(MAX_CURSOR_CHARACTERS).optional().describe("The cursor of an earlier answer to the same question"),
    ...spender,
  })
  .openapi({ example: { start_month: "2025-11", end_month: "2025-12", subjects: ["Fiction"] } });

const releasesAnswer = z
  .object({
    start_month: z.string(),
    end_month: z.string(),
    months_processed: z.int().describe("Finished in this call"),
    total_books_found: z.int().describe("A book under several subjects counts for each"),
    already_existed: z.int(),
    newly_enriched: z.int(),
    failed: z.int().describe("Records that could not be read, and books that could not be stored"),
    api_calls: apiCalls,
    complete: z
      .boolean()
      .describe("Nothing is left of what was asked for; a month that has more pages than allowed is not looked at again"),
    quota_exhausted: z.boolean(),
    resume: z.string().optional().describe("Send it with the same request to go on"),
    errors: z.array(z.object({ month: z.string(), ...stop })).readonly(),
    duration_ms: duration,
    quota,
  })
  .openapi("NewReleasesResult");

const postReleases = createRoute({
  method: "post",
  path: "/books/enrich-new-releases",
  tags: ["Enrichment"],
  summary: "What appeared in some months",
  description: "One provider call for each page of each month and subject.",
  security: ADMIN_OR_KEY,
  middleware: [credentialed] as const,
  request: { body: { required: true, content: { "application/json": { schema: releasesBody } } } },
  responses: {
    200: { description: "As far as it came", headers: RATE_LIMIT_HEADERS, content: { "application/json": { schema: releasesAnswer } } },
    ...problems(...SPENDING_PROBLEMS),
  },
});

export const enrichRoutes = createRouter();

enrichRoutes.openapi(postBatch, async (c) => {
  const { isbns: given, refresh, include, ...rest } = c.req.valid("json");
  const isbns = readIsbns(given);
  return metered(c, INVOCATION, async (who) => {
    const deps = c.get("deps");
    const began = deps.clock();
    const spender = spenderOf(who, rest, "enrich.batch");
    const { books, ...result } = await enrichBatch(deps, { isbns, refresh, withBooks: include === "books", ...spender });
    showRateLimit(c, result.quota);
    const answer = { ...result, duration_ms: deps.clock() - began, quota: visibleStatus(c, result.quota) };
    return c.json(books ? { ...answer, books: books.map(bookJson) } : answer, 200);
  });
});

enrichRoutes.openapi(postBibliography, async (c) =>
  metered(c, INVOCATION, async (who) => {
    const body = c.req.valid("json");
    const deps = c.get("deps");
    const began = deps.clock();
    const result = await enrichBibliography(deps, {
      authorName: body.author_name,
      maxPages: body.max_pages,
      pageSize: body.page_size,
      refresh: body.refresh,
      ...spenderOf(who, body, "enrich.bibliography"),
    });
    showRateLimit(c, result.quota);
    return c.json({ ...result, duration_ms: deps.clock() - began, quota: visibleStatus(c, result.quota) }, 200);
  }),
);

enrichRoutes.openapi(postReleases, async (c) => {
  const body = c.req.valid("json");
  const question = {
    startMonth: body.start_month,
    endMonth: body.end_month,
    maxPagesPerMonth: body.max_pages_per_month,
    subjects: body.subjects,
  };
  const read = readReleases(question, body.resume);
  return metered(c, INVOCATION, async (who) => {
    const deps = c.get("deps");
    const began = deps.clock();
    const spender = spenderOf(who, body, "enrich.new-releases");
    const result = await enrichNewReleases(deps, { ...question, ...read, skipExisting: body.skip_existing, ...spender });
    showRateLimit(c, result.quota);
    return c.json({ ...result, duration_ms: deps.clock() - began, quota: visibleStatus(c, result.quota) }, 200);
  });
});
