/** What the catalogue holds. Reading it costs no provider call. */
import { createRoute, z } from "@hono/zod-openapi";
import { Problem } from "../../errors.ts";
import { digits } from "../../http/paging.ts";
import { createRouter, invalidField } from "../../http/index.ts";
import { parseIsbn } from "../../library/isbn.ts";
import { projects } from "../../http/guards.ts";
import { topAuthors } from "../../store/library/authors.ts";
import { findBooks } from "../../store/library/books.ts";
import { book, bookJson } from "./schemas.ts";
import { ADMIN_OR_KEY, COMMON_PROBLEMS, PROJECT_PROBLEMS, problems } from "../schemas.ts";

const getBook = createRoute({
  method: "get",
  path: "/books/{isbn}",
  tags: ["Catalogue"],
  summary: "One book of the catalogue",
  security: ADMIN_OR_KEY,
  middleware: [projects("read")] as const,
  request: {
    params: z.object({
      isbn: z.string().max(100).describe("ISBN-10 or ISBN-13, with or without hyphens and spaces").openapi({ example: "9780141439518" }),
    }),
  },
  responses: {
    200: { description: "The book", content: { "application/json": { schema: book } } },
    ...problems(...COMMON_PROBLEMS, ...PROJECT_PROBLEMS, "invalid_request", "not_found", "storage_unavailable"),
  },
});

const MAX_LIMIT = 1_000;

const getTopAuthors = createRoute({
  method: "get",
  path: "/authors/top",
  tags: ["Catalogue"],
  summary: "Authors by the number of editions in the catalogue",
  security: ADMIN_OR_KEY,
  middleware: [projects("read")] as const,
  request: {
    query: z.object({
      offset: z.preprocess(digits, z.int().min(0).max(10_000_000).default(0)).describe("How many authors to leave out"),
      limit: z.preprocess(digits, z.int().min(1).max(MAX_LIMIT).default(100)).describe("How many authors to show"),
    }),
  },
  responses: {
    200: {
      description: "The most prolific first",
      content: {
        "application/json": {
          schema: z
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
        },
      },
    },
    ...problems(...COMMON_PROBLEMS, ...PROJECT_PROBLEMS, "invalid_request", "storage_unavailable"),
  },
});

export const catalogueRoutes = createRouter();

catalogueRoutes.openapi(getBook, async (c) => {
  const { isbn } = c.req.valid("param");
  const parsed = parseIsbn(isbn);
  if (!("isbn13" in parsed)) throw invalidField("isbn", `${JSON.stringify(isbn)}: ${parsed.reason}`);
  const [found] = await findBooks(c.get("deps").db, [parsed.isbn13]);
  if (!found) {
    throw new Problem("not_found", `The catalogue does not hold ${parsed.isbn13}. POST /api/enrich/batch-direct asks the provider for it.`);
  }
  return c.json(bookJson(found), 200);
});

catalogueRoutes.openapi(getTopAuthors, async (c) => {
  const { offset, limit } = c.req.valid("query");
  const { db, clock } = c.get("deps");
  const began = clock();
  const authors = await topAuthors(db, { offset, limit });
  return c.json({ authors, pagination: { offset, limit, returned: authors.length }, query_duration_ms: clock() - began }, 200);
});
