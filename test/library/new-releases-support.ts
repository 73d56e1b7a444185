/** A request for new releases, and its response. */
import { post, simulator } from "../support/worker.ts";
import { sent } from "./support.ts";

export const TOMORROW = "2031-05-15T09:00:00Z";

interface Told {
  readonly resume?: string;
  readonly errors: { readonly month: string; readonly code: string; readonly message: string; readonly path?: string }[];
  readonly [name: string]: unknown;
}

const QUESTION = { start_month: "2025-11", end_month: "2025-12" };

export const enrich = async (body: Record<string, unknown> = {}) => post<Told>("/api/books/enrich-new-releases", { ...QUESTION, ...body });

/** Requested pages, as month, subject and page. */
export const requestedPages = async (): Promise<string[]> =>
  (await sent()).map(({ path }) => {
    const query = new URL(path, "http://isbndb.test").searchParams;
    return [query.get("publishedFrom"), query.get("subject"), query.get("page")].filter((part) => part !== null).join(" ");
  });

export const appeared = async (releases: Record<string, number>): Promise<void> => {
  await simulator.control("PUT", "/settings", { releases });
};

export const done = {
  ...QUESTION,
  months_processed: 2,
  total_books_found: 1_240,
  already_existed: 0,
  newly_enriched: 1_240,
  failed: 0,
  api_calls: 3,
  complete: true,
  quota_exhausted: false,
  errors: [],
};
