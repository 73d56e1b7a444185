/** A full catalog keeps no paid results. Callers still get them, with a warning. */
import { log } from "../lib/log.ts";
import type { Problem } from "../errors.ts";
import { DatabaseFull } from "../store/database.ts";

export const CATALOG_FULL = {
  code: "catalog_full",
  message: "The catalog is full. These books were paid for but not stored. Another request for them costs calls again.",
} as const;

/** Books since the start of this isolate that were paid for and not stored. */
let lostBooks = 0;
export const countOfLostBooks = (): number => lostBooks;

/** Counts and logs paid books that were not stored, for any reason. */
export function reportLostBooks(books: number, error: unknown): void {
  lostBooks += books;
  log.error("Paid books not stored", { books, error: error instanceof Error ? error.message : String(error) });
}

/** Code and message of a problem that ended a partial result. */
export function stopOf(problem: Problem): { readonly code: string; readonly message: string } {
  return problem instanceof DatabaseFull ? CATALOG_FULL : { code: problem.code, message: problem.detail };
}
