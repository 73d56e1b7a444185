/** The story of new releases: months × subjects × pages, paid page by page, with a cursor where the day ends midway. */
import { Problem } from "../errors.ts";
import type { Deps } from "../deps.ts";
import { fromBase64Url, toBase64Url } from "../lib/base64url.ts";
import { refusalProblem } from "../quota/index.ts";
import type { Priority, QuotaStatus } from "../quota/index.ts";
import { saveBooks } from "../store/books.ts";
import { afterPage, lastPage } from "./paging.ts";
import { payFor, problemOf } from "./provider-call.ts";

const RELEASES_PAGE_SIZE = 1_000;
/** Two years a request: more is a harvest. */
export const MAX_MONTHS = 24;

export interface NewReleasesRequest {
  /** YYYY-MM, both included. */
  readonly startMonth: string;
  readonly endMonth: string;
  readonly maxPagesPerMonth: number;
  /** None: everything that appeared. */
  readonly subjects: readonly string[];
  /** Leaves books alone that the catalogue holds. */
  readonly skipExisting: boolean;
  readonly resume?: string;
  readonly caller: string;
  readonly priority: Priority;
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

/** The next page to fetch, as indexes into the request's months and subjects. */
interface Position {
  readonly month: number;
  readonly subject: number;
  readonly page: number;
}

/** Months since the year 0. */
function index(month: string): number {
  return Number(month.slice(0, 4)) * 12 + Number(month.slice(5, 7)) - 1;
}

/** "2025-11" to "2026-02" → four months. Throws where the order is wrong or the span too long. */
function monthsBetween(startMonth: string, endMonth: string): string[] {
  const count = index(endMonth) - index(startMonth) + 1;
  if (count < 1) throw invalid("end_month", `${JSON.stringify(endMonth)} lies before start_month ${JSON.stringify(startMonth)}`);
  if (count > MAX_MONTHS) throw invalid("end_month", `${count} months are asked for; expected at most ${MAX_MONTHS}`);
  return Array.from({ length: count }, (_, offset) => {
    const month = index(startMonth) + offset;
    return `${String(Math.floor(month / 12)).padStart(4, "0")}-${String((month % 12) + 1).padStart(2, "0")}`;
  });
}

function invalid(path: string, message: string): Problem {
  return new Problem("invalid_request", `${path}: ${message}`, { members: { errors: [{ path, message }] } });
}

/** What a cursor belongs to: it makes no sense for another question. */
function questionOf({ startMonth, endMonth, maxPagesPerMonth, subjects }: NewReleasesRequest): string {
  return JSON.stringify([startMonth, endMonth, maxPagesPerMonth, subjects]);
}

function cursorOf(request: NewReleasesRequest, { month, subject, page }: Position): string {
  return toBase64Url(JSON.stringify({ at: [month, subject, page], of: questionOf(request) }));
}

function positionOf(request: NewReleasesRequest, cursor: string): Position {
  const parsed = fromBase64Url(cursor);
  if (typeof parsed !== "object" || parsed === null || !("at" in parsed) || !("of" in parsed) || !Array.isArray(parsed.at)) {
    throw invalid("resume", "this is not a cursor from an earlier answer");
  }
  if (parsed.of !== questionOf(request))
    throw invalid("resume", "this cursor belongs to other months, subjects or pages; repeat the earlier request with it");
  const [month, subject, page] = parsed.at.map(Number);
  const whole = [month, subject, page].every((part) => Number.isSafeInteger(part) && Number(part) >= 0);
  if (!whole || month === undefined || subject === undefined || page === undefined || page < 1) {
    throw invalid("resume", "this is not a cursor from an earlier answer");
  }
  return { month, subject, page };
}

/** Throws a problem where not one page could be had. */
export async function enrichNewReleases(deps: Deps, request: NewReleasesRequest): Promise<NewReleasesResult> {
  const months = monthsBetween(request.startMonth, request.endMonth);
  const subjects: readonly (string | null)[] = request.subjects.length === 0 ? [null] : request.subjects;
  const start = request.resume === undefined ? { month: 0, subject: 0, page: 1 } : positionOf(request, request.resume);
  // At least one page for each month and subject that is left: what is known before anything was fetched.
  const planned = Math.max(1, (months.length - start.month) * subjects.length - start.subject);
  const { caller, priority } = request;
  const check = await deps.quota.check({ cost: { calls: 1 }, caller, priority });
  if (check.refusal) throw refusalProblem({ ...check.refusal, callsNeeded: planned }, check.status);
  return new ReleasesRun(deps, request, { months, subjects }).run(start);
}

class ReleasesRun {
  readonly #deps: Deps;
  readonly #request: NewReleasesRequest;
  readonly #months: readonly string[];
  readonly #subjects: readonly (string | null)[];
  #found = 0;
  #existed = 0;
  #failed = 0;
  #charged = 0;
  #pages = 0;
  #monthsDone = 0;
  #quota: QuotaStatus | null = null;
  #quotaExhausted = false;
  readonly #errors: { month: string; code: string; message: string }[] = [];

  constructor(deps: Deps, request: NewReleasesRequest, over: { months: readonly string[]; subjects: readonly (string | null)[] }) {
    this.#deps = deps;
    this.#request = request;
    this.#months = over.months;
    this.#subjects = over.subjects;
  }

  async run(start: Position): Promise<NewReleasesResult> {
    let position: Position | null = start;
    while (position !== null) {
      const month = this.#months[position.month];
      if (month === undefined) break;
      const more = await this.#page(month, position);
      if (more === "stopped") return this.#result(position);
      position = this.#next(position, more);
    }
    return this.#result(null);
  }

  /** Fetches and stores one page; says whether its month and subject have another. */
  async #page(month: string, { subject, page }: Position): Promise<"more" | "last" | "stopped"> {
    const { caller, priority, skipExisting, maxPagesPerMonth } = this.#request;
    const about = this.#subjects[subject] ?? null;
    const query = { month, page, pageSize: RELEASES_PAGE_SIZE, ...(about === null ? {} : { subject: about }) };
    const spending = { cost: { calls: 1 }, caller, priority };
    const paid = await payFor(this.#deps, spending, async (options) => this.#deps.isbndb.released(query, options));
    this.#charged += paid.charged;
    this.#quota = paid.status ?? this.#quota;
    if (paid.result === "failed" && paid.outcome.meaning === "not_found") {
      this.#pages += 1;
      return "last";
    }
    if (paid.result !== "answered") {
      const problem = problemOf(paid);
      if (this.#pages === 0) throw problem;
      this.#quotaExhausted = problem.code === "quota_exhausted";
      this.#errors.push({ month, code: problem.code, message: problem.detail });
      return "stopped";
    }
    const { books, unreadable, total } = paid.value;
    const distinct = [...new Map(books.map((book) => [book.isbn13, book])).values()];
    const { existed } = await saveBooks(this.#deps.db, distinct, this.#deps.clock(), { replace: !skipExisting });
    this.#pages += 1;
    this.#found += distinct.length + unreadable;
    this.#existed += existed;
    this.#failed += unreadable;
    const { state } = afterPage({ received: books.length + unreadable, total, page, pageSize: RELEASES_PAGE_SIZE });
    const reachable = page < Math.min(maxPagesPerMonth, lastPage(RELEASES_PAGE_SIZE));
    return state === "open" && reachable ? "more" : "last";
  }

  #next({ month, subject, page }: Position, more: "more" | "last"): Position | null {
    if (more === "more") return { month, subject, page: page + 1 };
    if (subject + 1 < this.#subjects.length) return { month, subject: subject + 1, page: 1 };
    this.#monthsDone += 1;
    return month + 1 < this.#months.length ? { month: month + 1, subject: 0, page: 1 } : null;
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
