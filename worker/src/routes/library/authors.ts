/** Authors: the bibliography of one, bought page by page, and those with the most editions in the catalogue. */
import { z } from "@hono/zod-openapi";
import { addressable } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { digits } from "../../http/paging.ts";
import { enrichBibliography } from "../../library/bibliography.ts";
import { topAuthors } from "../../store/library/authors.ts";
import { activeProject, answer, jsonBody, operations } from "../operation.ts";
import { withRateLimit } from "../quota/schemas.ts";
import { SPENDING, afterAll, apiCalls, enriching, enrichments, spender, stop } from "./enriching.ts";

export const authorRoutes = createRouter();
const catalogue = operations(authorRoutes, "Catalogue", activeProject("read"));

const bibliographyBody = z
  .strictObject({
    author_name: addressable,
    max_pages: z.int().min(1).max(100).default(10),
    page_size: z.int().min(1).max(1_000).default(1_000),
    refresh: z.boolean().default(false).describe("Start again from the first page"),
    ...spender,
  })
  .openapi({ example: { author_name: "Ursula K. Le Guin" } });

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
    ...afterAll,
  })
  .openapi("BibliographyResult");

enrichments(authorRoutes)("post", "/authors/enrich-bibliography", {
  summary: "An author's books, page by paid page",
  description:
    "One provider call a page. An earlier call that had to stop is continued; a complete bibliography costs nothing for 30 days.",
  request: { body: jsonBody(bibliographyBody) },
  responses: { 200: withRateLimit("As far as it came", bibliographyAnswer) },
  problems: SPENDING,
}).handle(async (c) => {
  const { author_name: authorName, max_pages: maxPages, page_size: pageSize, refresh, ...rest } = c.req.valid("json");
  const asked = { authorName, maxPages, pageSize, refresh };
  const answer = await enriching(c, rest, "enrich.bibliography", async (deps, spender) =>
    enrichBibliography(deps, { ...asked, ...spender }),
  );
  return c.json(answer, 200);
});

const MAX_LIMIT = 1_000;

catalogue("get", "/authors/top", {
  summary: "Authors by the number of editions in the catalogue",
  request: {
    query: z.object({
      offset: z.preprocess(digits, z.int().min(0).max(10_000_000).default(0)).describe("How many authors to leave out"),
      limit: z.preprocess(digits, z.int().min(1).max(MAX_LIMIT).default(100)).describe("How many authors to show"),
    }),
  },
  responses: {
    200: answer(
      "The most prolific first",
      z
        .object({
          authors: z.array(z.object({ author_name: z.string(), work_count: z.int(), edition_count: z.int() })).readonly(),
          pagination: z.object({ offset: z.int(), limit: z.int(), returned: z.int() }),
          query_duration_ms: z.int(),
        })
        .openapi({
          example: {
            authors: [{ author_name: "Jane Austen", work_count: 6, edition_count: 41 }],
            pagination: { offset: 0, limit: 100, returned: 1 },
            query_duration_ms: 2,
          },
        }),
    ),
  },
}).handle(async (c) => {
  const { offset, limit } = c.req.valid("query");
  const { db, clock } = c.get("deps");
  const began = clock();
  const authors = await topAuthors(db, { offset, limit });
  return c.json({ authors, pagination: { offset, limit, returned: authors.length }, query_duration_ms: clock() - began }, 200);
});
