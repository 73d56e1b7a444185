/** Enriches an author's bibliography page by paid page. It resumes where an earlier call stopped. */
import type { Deps } from "../deps.ts";
import type { Problem } from "../errors.ts";
import type { AuthorPage } from "../providers/isbndb/index.ts";
import { refusalProblem } from "../quota/index.ts";
import type { QuotaStatus, Spender } from "../quota/index.ts";
import { authorKey, findBibliography, saveBibliography } from "../store/library/authors.ts";
import type { Bibliography } from "../store/library/authors.ts";
import { saveBooks } from "../store/library/books.ts";
import { BOOKS_FRESH_MS, MISSES_FRESH_MS } from "./freshness.ts";
import { reportLostBooks, stopOf } from "./full-catalog.ts";
import { afterPage, endOf, lastPage, nextPage, pagesToFetch, truncation } from "./paging.ts";
import { asProblem, payFor, problemOf, spendingOf } from "./provider-call.ts";
import type { Paid } from "./provider-call.ts";

export interface BibliographyRequest extends Spender {
  readonly authorName: string;
  readonly maxPages: number;
  readonly pageSize: number;
  /** Starts again at the first page. */
  readonly refresh: boolean;
}

interface PageError {
  readonly page: number;
  readonly code: string;
  readonly message: string;
}

export interface BibliographyResult {
  readonly author: string;
  readonly books_found: number;
  readonly already_existed: number;
  readonly enriched: number;
  readonly failed: number;
  readonly pages_fetched: number;
  readonly api_calls: number;
  readonly cached: boolean;
  readonly complete: boolean;
  readonly quota_exhausted: boolean;
  readonly next_page?: number;
  readonly errors: readonly PageError[];
  readonly quota: QuotaStatus | null;
}

/** Throws a problem if no page was fetched. Paid pages are stored and counted, regardless of later failures. */
export async function enrichBibliography(deps: Deps, request: BibliographyRequest): Promise<BibliographyResult> {
  const { authorName, pageSize, maxPages, refresh } = request;
  const known = await findBibliography(deps, authorName);
  const usable = known && !refresh && isFresh(known, deps.clock()) ? known : null;
  if (usable && usable.state !== "open") return fromCatalog(deps, usable, request);
  if (usable && nextPage(usable.results_covered, pageSize) > lastPage(pageSize)) {
    const ended = { ...usable, state: "truncated" } as const;
    await saveBibliography(deps.catalog, ended);
    return fromCatalog(deps, ended, request);
  }

  const start = usable ?? { ...newBibliography(authorName, deps.clock()), total: known?.total ?? null };
  await checkPlan(deps, Math.max(1, Math.min(maxPages, pagesToFetch(start, pageSize))), request);
  return new BibliographyRun(deps, request, { start, restarts: known !== null && usable === null }).run();
}

function isFresh({ state, updated_at }: Bibliography, now: number): boolean {
  return now - updated_at < (state === "unknown" ? MISSES_FRESH_MS : BOOKS_FRESH_MS);
}

function newBibliography(name: string, now: number): Bibliography {
  return { author_key: authorKey(name), name, total: null, results_covered: 0, books_found: 0, state: "open", updated_at: now };
}

/** Throws if no page is affordable. If some are, the run stops when the quota is used up. */
async function checkPlan(deps: Deps, planned: number, spender: Spender): Promise<void> {
  const check = await deps.quota.check(spendingOf(spender, { calls: 1 }));
  if (check.refusal) throw refusalProblem({ ...check.refusal, callsNeeded: planned }, check.status);
}

async function fromCatalog({ quota }: Deps, known: Bibliography, { pageSize, caller }: BibliographyRequest): Promise<BibliographyResult> {
  return {
    author: known.name,
    books_found: known.books_found,
    already_existed: known.books_found,
    enriched: 0,
    failed: 0,
    pages_fetched: 0,
    api_calls: 0,
    cached: true,
    complete: known.state !== "truncated",
    quota_exhausted: false,
    errors: warnings(known, pageSize),
    quota: await quota.getStatus({ view: { own: caller } }).catch(() => null),
  };
}

/** Warnings about an end that is not the last page. */
function warnings({ state, total, results_covered }: Bibliography, pageSize: number): PageError[] {
  if (state === "unknown") return [{ page: 1, code: "author_not_found", message: "The provider does not know this author." }];
  if (state !== "truncated") return [];
  return [{ page: nextPage(results_covered, pageSize), code: "provider_limit", message: truncation({ results_covered, total }, pageSize) }];
}

/** One call's progress through the pages. */
class BibliographyRun {
  readonly #deps: Deps;
  readonly #request: BibliographyRequest;
  #at: Bibliography;
  #found = 0;
  #existed = 0;
  #failed = 0;
  #pages = 0;
  #charged = 0;
  #quota: QuotaStatus | null = null;
  #quotaExhausted = false;
  /** Smaller than requested if the provider gives smaller pages. */
  #pageSize: number;
  /** The first page of a new pass replaces the earlier progress. */
  #restarts: boolean;
  readonly #errors: PageError[] = [];

  constructor(deps: Deps, request: BibliographyRequest, from: { start: Bibliography; restarts: boolean }) {
    this.#deps = deps;
    this.#request = request;
    this.#pageSize = request.pageSize;
    this.#at = from.start;
    this.#restarts = from.restarts;
  }

  async run(): Promise<BibliographyResult> {
    while (this.#pages < this.#request.maxPages && this.#at.state === "open") {
      // The next request continues at `next_page`.
      if (this.#pages > 0 && this.#deps.db.isUsedUp) break;
      const page = nextPage(this.#at.results_covered, this.#pageSize);
      const problem = await this.#page(page).catch(asProblem);
      if (!problem) continue;
      if (this.#pages === 0) throw problem;
      this.#quotaExhausted = problem.code === "quota_exhausted";
      this.#errors.push({ page, ...stopOf(problem) });
      break;
    }
    return this.#result();
  }

  /** Fetches and stores one page. A returned or thrown problem ends the call. */
  async #page(page: number): Promise<Problem | null> {
    const { authorName } = this.#request;
    const pageSize = this.#pageSize;
    return payFor(this.#deps, {
      spending: spendingOf(this.#request, { calls: 1 }),
      records: pageSize,
      send: async (options) => this.#deps.isbndb.author(authorName, page, pageSize, options),
      keep: async (paid) => this.#use(page, paid),
    });
  }

  async #use(page: number, paid: Paid<AuthorPage>): Promise<Problem | null> {
    this.#charged += paid.charged;
    this.#quota = paid.status ?? this.#quota;
    const absent = paid.result === "failed" && paid.outcome.meaning === "not_found";
    if (paid.result !== "answered" && !absent) return problemOf(paid);
    this.#pages += 1;
    await (paid.result === "answered" ? this.#keep(page, paid.value) : this.#end());
    return null;
  }

  /** Stores books before the progress. A failure between the two only stores the same books again. */
  async #keep(page: number, { books, unreadable, total, name }: AuthorPage): Promise<void> {
    const now = this.#deps.clock();
    const distinct = [...new Map(books.map((book) => [book.isbn13, book])).values()];
    this.#found += distinct.length + unreadable;
    this.#failed += unreadable;
    const { existed } = await saveBooks(this.#deps.catalog, distinct, now).catch((error: unknown) => {
      this.#failed += distinct.length;
      reportLostBooks(distinct.length, error);
      throw error;
    });
    this.#existed += existed;
    const { results_covered: covered, books_found } = this.#at;
    const seen = { received: books.length + unreadable, total, page, pageSize: this.#pageSize, covered };
    const { state, resultsCovered, pageSize } = afterPage(seen);
    this.#pageSize = pageSize;
    // A page may overlap one of another page size. Its books are stored again but counted once.
    const before = page === 1 && covered <= distinct.length ? 0 : books_found;
    const found = Math.min(before + distinct.length, resultsCovered);
    const at = { name: name ?? this.#at.name, total, results_covered: resultsCovered, books_found: found, updated_at: now };
    await this.#remember({ ...this.#at, ...at, state: endOf(state, found + this.#failed, total) });
  }

  /** A 404 for an author without any results means an unknown author. Later it means the page no longer exists. */
  async #end(): Promise<void> {
    const { results_covered, total } = this.#at;
    const updated_at = this.#deps.clock();
    if (results_covered === 0) return this.#remember({ ...this.#at, state: "unknown", total: 0, updated_at });
    return this.#remember({ ...this.#at, state: total !== null && results_covered < total ? "truncated" : "complete", updated_at });
  }

  async #remember(row: Bibliography): Promise<void> {
    await saveBibliography(this.#deps.catalog, row, { restarts: this.#restarts });
    this.#restarts = false;
    this.#at = row;
  }

  #result(): BibliographyResult {
    const open = this.#at.state === "open";
    return {
      author: this.#at.name,
      books_found: this.#found,
      already_existed: this.#existed,
      enriched: this.#found - this.#existed - this.#failed,
      failed: this.#failed,
      pages_fetched: this.#pages,
      api_calls: this.#charged,
      cached: false,
      complete: this.#at.state === "complete" || this.#at.state === "unknown",
      quota_exhausted: this.#quotaExhausted,
      ...(open ? { next_page: nextPage(this.#at.results_covered, this.#request.pageSize) } : {}),
      errors: [...this.#errors, ...warnings(this.#at, this.#request.pageSize)],
      quota: this.#quota,
    };
  }
}
