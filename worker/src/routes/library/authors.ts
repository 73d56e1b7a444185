/** Authors: the bibliography of one, and the authors with the most editions in the catalog. */
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
const catalogue = operations(authorRoutes, "Catalog", activeProject("read"));

const bibliographyBody = z
  .strictObject({
    author_name: addressable,
    max_pages: z.int().min(1).max(100).default(10),
    page_size: z.int().min(1).max(1_000).default(1_000),
    refresh: z.boolean().default(false).describe("Restart at the first page"),
    ...spender,
  })
  .openapi({ example: { author_name: "Ursula K. Le Guin" } });

const bibliographyAnswer = z
  .object({
    author: z.string(),
    books_found: z.int().describe("Books on the pages of this request, or in the whole cached bibliography"),
    already_existed: z.int(),
    enriched: z.int().describe("New books in the catalog"),
    failed: z.int().describe("Unreadable records, and books that could not be stored"),
    pages_fetched: z.int(),
    api_calls: apiCalls,
    cached: z.boolean().describe("Answered from the catalog, free of charge"),
    complete: z.boolean().describe("All results were fetched. false without `next_page`: the provider returns no more, see `errors`"),
    quota_exhausted: z
      .boolean()
      .describe("The quota ended before the last page. Send the same request after the reset to continue at `next_page`"),
    next_page: z.int().optional(),
    errors: z.array(z.object({ page: z.int(), ...stop })).readonly(),
    ...afterAll,
  })
  .openapi("BibliographyResult");

enrichments(authorRoutes)("post", "/authors/enrich-bibliography", {
  summary: "Fetch the bibliography of an author",
  description: "Costs one provider call per page. Continues an interrupted request. A complete bibliography is free for 30 days.",
  request: { body: jsonBody(bibliographyBody) },
  responses: { 200: withRateLimit("The fetched part", bibliographyAnswer) },
  problems: SPENDING,
}).handle(async (c) => {
  const { author_name: authorName, max_pages: maxPages, page_size: pageSize, refresh, ...rest } = c.req.valid("json");
  const question = { authorName, maxPages, pageSize, refresh };
  const answer = await enriching(c, rest, "enrich.bibliography", async (deps, spender) =>
    enrichBibliography(deps, { ...question, ...spender }),
  );
  return c.json(answer, 200);
});

const MAX_LIMIT = 1_000;

catalogue("get", "/authors/top", {
  summary: "List authors with the most editions in the catalog",
  request: {
    query: z.object({
      offset: z.preprocess(digits, z.int().min(0).max(10_000_000).default(0)).describe("Authors to skip"),
      limit: z.preprocess(digits, z.int().min(1).max(MAX_LIMIT).default(100)).describe("Maximum number of authors"),
    }),
  },
  responses: {
    200: answer(
      "Authors, most editions first",
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
  const deps = c.get("deps");
  const began = deps.clock();
  const authors = await topAuthors(deps, { offset, limit });
  return c.json({ authors, pagination: { offset, limit, returned: authors.length }, query_duration_ms: deps.clock() - began }, 200);
});
