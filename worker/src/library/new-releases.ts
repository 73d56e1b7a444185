/** The story of new releases: months × subjects × pages, paid page by page, with a cursor where the day ends midway. */
import { Problem } from "../errors.ts";
import type { Deps } from "../deps.ts";
import type { BooksPage } from "../providers/isbndb/index.ts";
import { refusalProblem } from "../quota/index.ts";
import type { QuotaStatus, Spender } from "../quota/index.ts";
import { saveBooks } from "../store/library/books.ts";
import { afterReceived, truncation } from "./paging.ts";
import { asProblem, payFor, problemOf, spendingOf } from "./provider-call.ts";
import { RELEASES_PAGE_SIZE, cursorOf, monthsBetween, pagesAllowed, positionOf } from "./releases-range.ts";
import type { Position, ReleasesQuestion, ReleasesRange } from "./releases-range.ts";

export interface NewReleasesRequest extends ReleasesQuestion, Spender {
  /** Leaves books alone that the catalogue holds. */
  readonly skipExisting: boolean;
  /** What is to be looked through, and from where. */
  readonly over: ReleasesRange;
  readonly start: Position;
}

/** What a question asks for. Throws `invalid_request` and `unprocessable`: that is known before anything is counted or asked. */
export function readReleases(question: ReleasesQuestion, resume: string | undefined): Pick<NewReleasesRequest, "over" | "start"> {
  const months = monthsBetween(question.startMonth, question.endMonth);
  const over: ReleasesRange = { months, subjects: question.subjects.length === 0 ? [null] : question.subjects };
  return { over, start: resume === undefined ? { month: 0, subject: 0, page: 1 } : positionOf(question, over, resume) };
}

export interface NewReleasesResult {
  readonly start_month: string;
  readonly end_month: string;
  /** Finished in this call. */
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

/** Throws a problem where not one page could be had. What was paid for is stored and counted, however the rest ends. */
export async function enrichNewReleases(deps: Deps, request: NewReleasesRequest): Promise<NewReleasesResult> {
  const { over, start } = request;
  // At least one page for each month and subject that is left: what is known before anything was fetched.
  const planned = (over.months.length - start.month) * over.subjects.length - start.subject;
  const check = await deps.quota.check(spendingOf(request, { calls: 1 }));
  if (check.refusal) throw refusalProblem({ ...check.refusal, callsNeeded: planned }, check.status);
  return new ReleasesRun(deps, request, over).run(start);
}

class ReleasesRun {
  readonly #deps: Deps;
  readonly #request: NewReleasesRequest;
  readonly #over: ReleasesRange;
  #found = 0;
  #existed = 0;
  #failed = 0;
  #charged = 0;
  #pages = 0;
  #monthsDone = 0;
  /** Results of the current month and subject; null where this call continues in the middle of it. */
  #received: number | null = null;
  #quota: QuotaStatus | null = null;
  #quotaExhausted = false;
  readonly #errors: { month: string; code: string; message: string }[] = [];

  constructor(deps: Deps, request: NewReleasesRequest, over: ReleasesRange) {
    this.#deps = deps;
    this.#request = request;
    this.#over = over;
  }

  async run(start: Position): Promise<NewReleasesResult> {
    let position: Position | null = start;
    while (position !== null) {
      const month = this.#over.months[position.month];
      if (month === undefined) break;
      const more = await this.#page(month, position).catch(asProblem);
      if (more instanceof Problem) {
        if (this.#pages === 0) throw more;
        this.#quotaExhausted = more.code === "quota_exhausted";
        this.#errors.push({ month, code: more.code, message: more.detail });
        return this.#result(position);
      }
      position = this.#next(position, more);
    }
    return this.#result(null);
  }

  /** Fetches and stores one page; says whether its month and subject have another. A problem, given back or thrown, ends this call. */
  async #page(month: string, { subject, page }: Position): Promise<"more" | "last" | Problem> {
    const about = this.#over.subjects[subject] ?? null;
    const query = { month, page, pageSize: RELEASES_PAGE_SIZE, ...(about === null ? {} : { subject: about }) };
    const spending = spendingOf(this.#request, { calls: 1 });
    const paid = await payFor(this.#deps, spending, async (options) => this.#deps.isbndb.released(query, options));
    this.#charged += paid.charged;
    this.#quota = paid.status ?? this.#quota;
    const absent = paid.result === "failed" && paid.outcome.meaning === "not_found";
    if (paid.result !== "answered" && !absent) return problemOf(paid);
    this.#pages += 1;
    return paid.result === "answered" ? this.#keep(month, page, paid.value) : "last";
  }

  async #keep(month: string, page: number, { books, unreadable, total }: BooksPage): Promise<"more" | "last"> {
    const distinct = [...new Map(books.map((book) => [book.isbn13, book])).values()];
    this.#found += distinct.length + unreadable;
    this.#failed += unreadable;
    const { db, clock } = this.#deps;
    const { existed } = await saveBooks(db, distinct, clock(), { replace: !this.#request.skipExisting }).catch((error: unknown) => {
      this.#failed += distinct.length;
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
    if (subject + 1 < this.#over.subjects.length) return { month, subject: subject + 1, page: 1 };
    this.#monthsDone += 1;
    return month + 1 < this.#over.months.length ? { month: month + 1, subject: 0, page: 1 } : null;
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
