/** Reads a book from the catalog, and fetches the new releases of a range of months. */
import { z } from "@hono/zod-openapi";
import { Problem, invalidField } from "../../errors.ts";
import { addressable } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { parseIsbn } from "../../library/isbn.ts";
import { enrichNewReleases, readReleases } from "../../library/new-releases.ts";
import { MAX_MONTHS } from "../../library/releases-range.ts";
import { isoSeconds } from "../../lib/time.ts";
import { findBooks } from "../../store/library/books.ts";
import type { CatalogBook } from "../../store/library/books.ts";
import { activeProject, answer, jsonBody, operations } from "../operation.ts";
import { withRateLimit } from "../quota/schemas.ts";
import { SPENDING, afterAll, apiCalls, enriching, enrichments, spender, stop } from "./enriching.ts";

export const bookRoutes = createRouter();
const catalogue = operations(bookRoutes, "Catalog", activeProject("read"));

const text = z.string().nullable();
const texts = z.array(z.string()).readonly();

export const book = z
  .object({
    isbn13: z.string(),
    isbn10: text,
    title: z.string(),
    authors: texts,
    publisher: text,
    language: text.describe("ISO 639-1"),
    date_published: text.describe("YYYY, YYYY-MM or YYYY-MM-DD, as far as the provider knows"),
    pages: z.int().nullable(),
    binding: text,
    edition: text,
    subjects: texts,
    synopsis: text,
    image: text,
    msrp: z.number().nullable(),
    dewey_decimal: texts,
    fetched_at: z.string().describe("Time of the provider request"),
  })
  .openapi("Book");

export function bookJson({ fetched_at, ...stored }: CatalogBook) {
  return { ...stored, fetched_at: isoSeconds(fetched_at) };
}

catalogue("get", "/books/{isbn}", {
  summary: "Get a book of the catalog",
  request: {
    params: z.object({
      isbn: z.string().max(100).describe("ISBN-10 or ISBN-13, with or without hyphens and spaces").openapi({ example: "9780141439518" }),
    }),
  },
  responses: { 200: answer("The book", book) },
}).handle(async (c) => {
  const { isbn } = c.req.valid("param");
  const parsed = parseIsbn(isbn);
  if (!("isbn13" in parsed)) throw invalidField("isbn", parsed.reason, isbn);
  const [found] = await findBooks(c.get("deps"), [parsed.isbn13]);
  if (!found) {
    throw new Problem("not_found", `The book ${parsed.isbn13} is not in the catalog. Send POST /api/enrich/batch-direct to fetch it.`);
  }
  return c.json(bookJson(found), 200);
});

/** A cursor contains the request: 20 subjects of 150 characters with up to seven bytes each, in base64url. */
const MAX_CURSOR_CHARACTERS = 40_000;

const month = z.string().regex(/^[12]\d{3}-(0[1-9]|1[0-2])$/u, "must be a month, such as 2025-12");

const releasesBody = z
  .strictObject({
    start_month: month,
    end_month: month.describe(`At most ${MAX_MONTHS} months, both included`),
    max_pages_per_month: z.int().min(1).max(100).default(20),
    subjects: z.array(addressable).max(20).default([]).describe("Default: all subjects"),
    skip_existing: z.boolean().default(true).describe("Skip books that are already in the catalog"),
    resume: z.string().max(MAX_CURSOR_CHARACTERS).optional().describe("Cursor of an earlier response to the same request"),
    ...spender,
  })
  .openapi({ example: { start_month: "2025-11", end_month: "2025-12", subjects: ["Fiction"] } });

const releasesAnswer = z
  .object({
    start_month: z.string(),
    end_month: z.string(),
    months_processed: z.int().describe("Months finished by this request"),
    total_books_found: z.int().describe("A book under several subjects counts for each"),
    already_existed: z.int(),
    newly_enriched: z.int(),
    failed: z.int().describe("Records that could not be read, and books that could not be stored"),
    api_calls: apiCalls,
    complete: z.boolean().describe("All requested months are finished. A month with more pages than allowed counts as finished"),
    quota_exhausted: z.boolean(),
    resume: z.string().optional().describe("Send it with the same request to continue"),
    errors: z.array(z.object({ month: z.string(), ...stop })).readonly(),
    ...afterAll,
  })
  .openapi("NewReleasesResult");

enrichments(bookRoutes)("post", "/books/enrich-new-releases", {
  summary: "Fetch new releases of a range of months",
  description: "Costs one provider call per page of each month and subject.",
  request: { body: jsonBody(releasesBody) },
  responses: { 200: withRateLimit("The fetched part", releasesAnswer) },
  problems: SPENDING,
}).handle(async (c) => {
  const body = c.req.valid("json");
  const { start_month: startMonth, end_month: endMonth, max_pages_per_month: maxPagesPerMonth, subjects } = body;
  const question = { startMonth, endMonth, maxPagesPerMonth, subjects };
  const read = readReleases(question, body.resume);
  const answer = await enriching(c, body, "enrich.new-releases", async (deps, spender) =>
    enrichNewReleases(deps, { ...question, ...read, skipExisting: body.skip_existing, ...spender }),
  );
  return c.json(answer, 200);
});
