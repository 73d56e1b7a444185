// Schemas of the provider's documentation (OpenAPI 2.7.0), with required fields, types and nullable fields. Unknown fields are refused.
import { z } from "zod";

const text = z.string().nullish();
const anything = z.union([z.array(z.unknown()), z.record(z.string(), z.unknown())]).nullish();

export const bookSchema = z.strictObject({
  title: z.string(),
  title_long: z.string(),
  isbn: z.string(),
  isbn13: z.string().regex(/^\d{13}$/),
  isbn10: text,
  dewey_decimal: z.array(z.string()).nullish(),
  binding: text,
  publisher: text,
  language: text,
  date_published: z.string().regex(/^\d{4}(-\d{2}(-\d{2})?)?$/),
  edition: text,
  pages: z.int().nullish(),
  dimensions: text,
  dimensions_structured: anything,
  overview: text,
  image: text,
  image_original: text,
  msrp: z.number().nullish(),
  excerpt: text,
  synopsis: text,
  authors: z.array(z.string()).nullish(),
  subjects: z.array(z.string()).nullish(),
  reviews: z.array(z.string()).nullish(),
  prices: z.array(z.unknown()).nullish(),
  related: anything,
  other_isbns: z.array(z.strictObject({ isbn: z.string(), binding: z.string() })).nullish(),
});

const paging = { total: z.int(), page: z.int(), page_size: z.int() };

export const bookResponse = z.strictObject({ book: bookSchema });
export const bulkResponse = z.strictObject({ total: z.int(), data: z.array(bookSchema), requested: z.int().nullish() });
export const searchResponse = z.strictObject({ data: z.array(bookSchema), ...paging });
export const authorResponse = z.strictObject({ author: z.string(), name: z.string(), books: z.array(bookSchema), ...paging });
export const errorResponse = z.strictObject({ message: z.string(), error_message: z.string() });
export const keyResponse = z.strictObject({
  api_host: z.string(),
  plan_limit: z.strictObject({ total: z.int(), spent: z.int(), left: z.int() }),
});
