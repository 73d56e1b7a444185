/** The client of ISBNdb, as the rest of the Worker imports it. */
export { createIsbndbClient } from "./client.ts";
export type { Answer, CallOptions, CallReport, IsbndbClient } from "./client.ts";
export type { Outcome } from "./outcome.ts";
export type { AuthorPage, BooksPage } from "./schema.ts";
