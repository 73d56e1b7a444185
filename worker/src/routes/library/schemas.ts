/** A book as the API shows it. */
import { z } from "@hono/zod-openapi";
import { isoSeconds } from "../../lib/time.ts";
import type { CatalogBook } from "../../store/library/books.ts";

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
    date_published: text.describe("YYYY, YYYY-MM or YYYY-MM-DD: as much as the provider knows"),
    pages: z.int().nullable(),
    binding: text,
    edition: text,
    subjects: texts,
    synopsis: text,
    image: text,
    msrp: z.number().nullable(),
    dewey_decimal: texts,
    fetched_at: z.string().describe("When the provider was asked"),
  })
  .openapi("Book");

export function bookJson({ fetched_at, ...stored }: CatalogBook) {
  return { ...stored, fetched_at: isoSeconds(fetched_at) };
}
