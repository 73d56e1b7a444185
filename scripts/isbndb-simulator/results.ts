/** Results of the provider, before a dialect formats them. No I/O. */
import type { Book } from "./book.ts";

interface Paged {
  page: number;
  pageSize: number;
}

export type Result =
  | { kind: "book"; book: Book }
  | { kind: "bulk"; requested: number; books: Book[] }
  | ({ kind: "found"; total: number; books: Book[] } & Paged)
  | ({ kind: "author"; name: string; total: number; books: Book[] } & Paged)
  | { kind: "plain"; body: unknown }
  | { kind: "error"; status: number; message: string };

export interface Answer {
  status: number;
  body: unknown;
}

export const MINUTE_QUOTA = "Per minute quota exceeded, please try again later";

export const notFound = { kind: "error", status: 404, message: "Not Found" } as const satisfies Result;
export const invalid = (message: string): Result => ({ kind: "error", status: 400, message });

export const pageOf = <Item>(items: readonly Item[], { page, pageSize }: Paged): Item[] =>
  items.slice((page - 1) * pageSize, page * pageSize);
