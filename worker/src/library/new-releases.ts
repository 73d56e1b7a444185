/** Enriches new releases page by paid page: months × subjects × pages. If the quota runs out, the result has a cursor to resume. */
import { Problem } from "../errors.ts";
import type { Deps } from "../deps.ts";
import type { BooksPage } from "../providers/isbndb/index.ts";
import { refusalProblem } from "../quota/index.ts";
import type { QuotaStatus, Spender } from "../quota/index.ts";
import { saveBooks } from "../store/library/books.ts";
import { reportLostBooks, stopOf } from "./full-catalog.ts";
import { afterReceived, truncation } from "./paging.ts";
import { asProblem, payFor, problemOf, spendingOf } from "./provider-call.ts";
import type { Paid } from "./provider-call.ts";
import { RELEASES_PAGE_SIZE, cursorOf, monthsBetween, pagesAllowed, positionOf } from "./releases-range.ts";
import type { Position, ReleasesQuery, ReleasesRange } from "./releases-range.ts";

export interface NewReleasesRequest extends ReleasesQuery, Spender {
  /** Does not update books that are in the catalog. */
  readonly skipExisting: boolean;
  /** The range to fetch, and the position to start at. */
  readonly range: ReleasesRange;
  readonly start: Position;
}

/** Parses a request. Throws `invalid_request` and `unprocessable` before any call is reserved or sent. */
export function readReleases(query: ReleasesQuery, resume: string | undefined): Pick<NewReleasesRequest, "range" | "start"> {
  const months = monthsBetween(query.startMonth, query.endMonth);
  const range: ReleasesRange = { months, subjects: query.subjects.length === 0 ? [null] : query.subjects };
  return { range, start: resume === undefined ? { month: 0, subject: 0, page: 1 } : positionOf(query, range, resume) };
}

export interface NewReleasesResult {
  readonly start_month: string;
  readonly end_month: string;
  /** Completed by this call. */
  readonly months_processed: number;
  readonly total_books_found: number;
  readonly already_existed: number;
  readonly newly_enriched: number;
  readonly failed: number;
  readonly api_calls: number;
  readonly complete: boolean;
  readonly quota_exhausted: boolean;
  readonly resume?: string;
  readonly errors: readonly { readonly month: string; readonly code: string; readonly message: string }[];
  readonly quota: QuotaStatus | null;
}

/** Throws a problem if no page was fetched. Paid pages are stored and counted, regardless of later failures. */
export async function enrichNewReleases(deps: Deps, request: NewReleasesRequest): Promise<NewReleasesResult> {
  const { range, start } = request;
  // At least one page for each remaining month and subject. More is unknown before the first fetch.
  const planned = (range.months.length - start.month) * range.subjects.length - start.subject;
  const check = await deps.quota.check(spendingOf(request, { calls: 1 }));
  if (check.refusal) throw refusalProblem({ ...check.refusal, callsNeeded: planned }, check.status);
  return new ReleasesRun(deps, request, range).run(start);
}

class ReleasesRun {
  readonly #deps: Deps;
  readonly #request: NewReleasesRequest;
  readonly #range: ReleasesRange;
  #found = 0;
  #existed = 0;
  #failed = 0;
  #charged = 0;
  #pages = 0;
  #monthsDone = 0;
  /** Results of the current month and subject. Null if this call began in the middle of them. */
  #received: number | null = null;
  #quota: QuotaStatus | null = null;
  #quotaExhausted = false;
  readonly #errors: { month: string; code: string; message: string }[] = [];

  constructor(deps: Deps, request: NewReleasesRequest, range: ReleasesRange) {
    this.#deps = deps;
    this.#request = request;
    this.#range = range;
  }

  async run(start: Position): Promise<NewReleasesResult> {
    let position: Position | null = start;
    while (position !== null) {
      const month = this.#range.months[position.month];
      if (month === undefined) break;
      // The next request continues at `resume`.
      if (this.#pages > 0 && this.#deps.db.isUsedUp) return this.#result(position);
      const more = await this.#page(month, position).catch(asProblem);
      if (more instanceof Problem) {
        if (this.#pages === 0) throw more;
        this.#quotaExhausted = more.code === "quota_exhausted";
        this.#errors.push({ month, ...stopOf(more) });
        return this.#result(position);
      }
      position = this.#next(position, more);
    }
    return this.#result(null);
  }

  /** Fetches and stores one page. Returns whether its month and subject have another. A returned or thrown problem ends the call. */
  async #page(month: string, { subject, page }: Position): Promise<"more" | "last" | Problem> {
    const about = this.#range.subjects[subject] ?? null;
    const query = { month, page, pageSize: RELEASES_PAGE_SIZE, ...(about === null ? {} : { subject: about }) };
    return payFor(this.#deps, {
      spending: spendingOf(this.#request, { calls: 1 }),
      records: RELEASES_PAGE_SIZE,
      send: async (options) => this.#deps.isbndb.released(query, options),
      keep: async (paid) => this.#use(month, page, paid),
    });
  }

  async #use(month: string, page: number, paid: Paid<BooksPage>): Promise<"more" | "last" | Problem> {
    this.#charged += paid.charged;
    this.#quota = paid.status ?? this.#quota;
    const absent = paid.result === "failed" && paid.outcome.meaning === "not_found";
    if (paid.result !== "answered" && !absent) return problemOf(paid);
    this.#pages += 1;
    return paid.result === "answered" ? this.#store(month, page, paid.value) : "last";
  }

  async #store(month: string, page: number, { books, unreadable, total }: BooksPage): Promise<"more" | "last"> {
    const distinct = [...new Map(books.map((book) => [book.isbn13, book])).values()];
    this.#found += distinct.length + unreadable;
    this.#failed += unreadable;
    const { catalog, clock } = this.#deps;
    const { existed } = await saveBooks(catalog, distinct, clock(), { replace: !this.#request.skipExisting }).catch((error: unknown) => {
      this.#failed += distinct.length;
      reportLostBooks(distinct.length, error);
      throw error;
    });
    this.#existed += existed;
    const pageSize = RELEASES_PAGE_SIZE;
    const received = books.length + unreadable;
    this.#received = (page === 1 ? 0 : (this.#received ?? (page - 1) * pageSize)) + received;
    const state = afterReceived({ received, total, page, pageSize, covered: this.#received });
    if (state === "truncated") {
      const message = truncation({ results_covered: this.#received, total }, pageSize);
      this.#errors.push({ month, code: "provider_limit", message });
    }
    return state === "open" && page < pagesAllowed(this.#request) ? "more" : "last";
  }

  #next({ month, subject, page }: Position, more: "more" | "last"): Position | null {
    if (more === "more") return { month, subject, page: page + 1 };
    if (subject + 1 < this.#range.subjects.length) return { month, subject: subject + 1, page: 1 };
    this.#monthsDone += 1;
    return month + 1 < this.#range.months.length ? { month: month + 1, subject: 0, page: 1 } : null;
  }

  #result(stoppedAt: Position | null): NewReleasesResult {
    return {
      start_month: this.#request.startMonth,
      end_month: this.#request.endMonth,
      months_processed: this.#monthsDone,
      total_books_found: this.#found,
      already_existed: this.#existed,
      newly_enriched: this.#found - this.#existed - this.#failed,
      failed: this.#failed,
      api_calls: this.#charged,
      complete: stoppedAt === null,
      quota_exhausted: this.#quotaExhausted,
      ...(stoppedAt === null ? {} : { resume: cursorOf(this.#request, stoppedAt) }),
      errors: this.#errors,
      quota: this.#quota,
    };
  }
}
