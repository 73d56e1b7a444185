/**
 * Builds requests to the provider. No I/O. No clock. Invalid arguments of our own code throw. Unusable text from users is returned as a
 * refusal.
 */
import type { NeverSentReason } from "./outcome.ts";

export type ProviderRequest = { method: "GET"; path: string } | { method: "POST"; path: string; json: unknown };
export type BuiltRequest = ProviderRequest | { refused: NeverSentReason };

/** Page numbers start at 1. A page has at most 1,000 results. */
interface Paging {
  page: number;
  pageSize: number;
}

export interface Released extends Paging {
  /** YYYY-MM */
  month: string;
  subject?: string;
}

const MAX_TEXT_CHARACTERS = 150;
const MAX_PAGE_SIZE = 1000;

export function booksRequest(isbns: readonly string[]): BuiltRequest {
  if (isbns.length === 0) throw new RangeError("isbns must contain at least one ISBN");
  return { method: "POST", path: "/books", json: { isbns } };
}

export function authorRequest(name: string, paging: Paging): BuiltRequest {
  return withSegment("/author/", name, `?${new URLSearchParams(pagingParameters(paging)).toString()}`);
}

export function releasedRequest({ month, subject, ...paging }: Released): BuiltRequest {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/u.test(month)) throw new RangeError(`month must be YYYY-MM (got ${month})`);
  // The documentation says only "on or after" and "on or before". YYYY-MM covers the whole month at both ends and avoids dates such as 31
  // February.
  const query = new URLSearchParams({ publishedFrom: month, publishedTo: month, ...pagingParameters(paging) });
  if (subject !== undefined) {
    const refused = whyUnusable(subject);
    if (refused !== null) return { refused };
    query.set("subject", subject);
  }
  return { method: "GET", path: `/search/books?${query.toString()}` };
}

export const KEY_REQUEST: ProviderRequest = { method: "GET", path: "/key" };

function withSegment(prefix: string, text: string, query: string): BuiltRequest {
  // URL parsers resolve "." and ".." even if percent-encoded. The request would go to a different path and be charged.
  const refused = text === "." || text === ".." ? "text_unusable" : whyUnusable(text);
  return refused === null ? { method: "GET", path: `${prefix}${encodeURIComponent(text)}${query}` } : { refused };
}

function whyUnusable(text: string): NeverSentReason | null {
  // An unpaired surrogate has no UTF-8 form, and encodeURIComponent throws on it.
  if (text.trim() === "" || !text.isWellFormed()) return "text_unusable";
  return Array.from(text).length > MAX_TEXT_CHARACTERS ? "text_too_long" : null;
}

function pagingParameters({ page, pageSize }: Paging): { page: string; pageSize: string } {
  if (!Number.isInteger(page) || page < 1) throw new RangeError(`page must be a whole number from 1 (got ${page})`);
  if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > MAX_PAGE_SIZE) {
    throw new RangeError(`pageSize must be a whole number from 1 to ${MAX_PAGE_SIZE} (got ${pageSize})`);
  }
  return { page: String(page), pageSize: String(pageSize) };
}
