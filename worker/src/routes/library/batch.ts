/** Enriches a batch of books by ISBN. */
import { z } from "@hono/zod-openapi";
import { createRouter } from "../../http/index.ts";
import { enrichBatch, readIsbns } from "../../library/batch.ts";
import { jsonBody } from "../operation.ts";
import { withRateLimit } from "../quota/schemas.ts";
import { book, bookJson } from "./books.ts";
import { SPENDING, afterAll, apiCalls, enriching, enrichments, spender } from "./enriching.ts";

export const batchRoutes = createRouter();

const batchBody = z
  .strictObject({
    isbns: z.array(z.string().max(100)).min(1).max(1_000).describe("ISBN-10 or ISBN-13, hyphens and spaces allowed"),
    refresh: z.boolean().default(false).describe("Fetch cached books again"),
    include: z.enum(["books"]).optional().describe("`books` adds the found books to the response"),
    ...spender,
  })
  .openapi({ example: { isbns: ["978-0-14-143951-8", "0747532699"] } });

const batchAnswer = z
  .object({
    requested: z.int().describe("Given ISBNs, including repetitions"),
    found: z.int().describe("Distinct found books: enriched + cached"),
    enriched: z.int().describe("Fetched from the provider"),
    cached: z.int().describe("In the catalog for less than 30 days, free of charge"),
    not_found: z.array(z.string()).readonly().describe("Unknown to the provider. Fetched again after 7 days"),
    invalid: z.array(z.object({ isbn: z.string(), reason: z.string() })).readonly(),
    failed: z.array(z.object({ isbn: z.string(), error: z.string() })).readonly(),
    warnings: z
      .array(z.object({ code: z.string(), message: z.string() }))
      .readonly()
      .optional()
      .describe("`catalog_full`: the enriched books were paid for but not stored"),
    api_calls: apiCalls,
    ...afterAll,
    books: z.array(book).readonly().optional(),
  })
  .openapi("BatchResult");

enrichments(batchRoutes)("post", "/enrich/batch-direct", {
  summary: "Enrich up to 1,000 books by ISBN in one provider request",
  request: { body: jsonBody(batchBody) },
  responses: { 200: withRateLimit("Result of each ISBN", batchAnswer) },
  problems: SPENDING,
}).handle(async (c) => {
  const { isbns: given, refresh, include, ...rest } = c.req.valid("json");
  const isbns = readIsbns(given);
  const { books, ...answer } = await enriching(c, rest, "enrich.batch", async (deps, spender) =>
    enrichBatch(deps, { isbns, refresh, withBooks: include === "books", ...spender }),
  );
  return c.json(books ? { ...answer, books: books.map(bookJson) } : answer, 200);
});
