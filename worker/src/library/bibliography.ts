/** The story of a bibliography: an author's books, page by paid page, going on where an earlier call had to stop. */
import type { Deps } from "../deps.ts";
import type { AuthorPage } from "../isbndb/index.ts";
import { refusalProblem } from "../quota/index.ts";
import type { Priority, QuotaStatus } from "../quota/index.ts";
import { authorKey, findBibliography, saveBibliography } from "../store/authors.ts";
import type { Bibliography } from "../store/authors.ts";
import { saveBooks } from "../store/books.ts";
import { BOOKS_FRESH_MS, MISSES_FRESH_MS } from "./freshness.ts";
import { PROVIDER_MAX_RESULTS, afterPage, lastPage, nextPage, pagesToFetch } from "./paging.ts";
import { payFor, problemOf } from "./provider-call.ts";
import type { Paid } from "./provider-call.ts";

export interface BibliographyRequest {
  readonly authorName: string;
  readonly maxPages: number;
  readonly pageSize: number;
  /** Starts again from the first page. */
  readonly refresh: boolean;
  readonly caller: string;
  readonly priority: Priority;
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

/** Throws a problem where not one page could be had. What was paid for is stored and counted, however the rest ends. */
export async function enrichBibliography(deps: Deps, request: BibliographyRequest): Promise<BibliographyResult> {
  const known = await findBibliography(deps.db, request.authorName);
  const usable = known && !request.refresh && isFresh(known, deps.clock()) ? known : null;
  if (usable && usable.state !== "open") return fromCatalogue(usable, await deps.quota.getStatus().catch(() => null));

  const beginning = usable ?? unknownSoFar(request.authorName, deps.clock());
  const planned = Math.min(request.maxPages, pagesToFetch(beginning, request.pageSize));
  if (planned > 0) await checkPlan(deps, planned, request);
  return new BibliographyRun(deps, request, beginning).run();
}

function isFresh({ state, updated_at }: Bibliography, now: number): boolean {
  return now - updated_at < (state === "unknown" ? MISSES_FRESH_MS : BOOKS_FRESH_MS);
}

function unknownSoFar(name: string, now: number): Bibliography {
  return { author_key: authorKey(name), name, total: null, results_covered: 0, books_found: 0, state: "open", updated_at: now };
}

/** Nothing affordable refuses the whole; less than the plan goes as far as it can be paid. */
async function checkPlan(deps: Deps, planned: number, { caller, priority }: BibliographyRequest): Promise<void> {
  const check = await deps.quota.check({ cost: { calls: 1 }, caller, priority });
  if (check.refusal) throw refusalProblem({ ...check.refusal, callsNeeded: planned }, check.status);
}

function fromCatalogue(known: Bibliography, quota: QuotaStatus | null): BibliographyResult {
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
    errors: remarks(known),
    quota,
  };
}

/** What a caller should know of an ending that is not simply the last page. */
function remarks({ state, total }: Bibliography): PageError[] {
  if (state === "unknown") return [{ page: 1, code: "author_not_found", message: "The provider does not know this author." }];
  if (state !== "truncated") return [];
  const message = `The provider gives at most ${PROVIDER_MAX_RESULTS} results, and has ${total ?? "more"}.`;
  return [{ page: 1, code: "provider_limit", message }];
}

/** One call's way through the pages. */
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
  readonly #errors: PageError[] = [];

  constructor(deps: Deps, request: BibliographyRequest, beginning: Bibliography) {
    this.#deps = deps;
    this.#request = request;
    this.#at = beginning;
  }

  async run(): Promise<BibliographyResult> {
    while (this.#pages < this.#request.maxPages && this.#at.state === "open") {
      const page = nextPage(this.#at.results_covered, this.#request.pageSize);
      if (page > lastPage(this.#request.pageSize)) {
        await this.#remember({ ...this.#at, state: "truncated" });
        break;
      }
      const paid = await this.#fetch(page);
      this.#charged += paid.charged;
      this.#quota = paid.status ?? this.#quota;
      if (paid.result === "answered") await this.#keep(page, paid.value);
      else if (paid.result === "failed" && paid.outcome.meaning === "not_found") await this.#end(page);
      else if (this.#pages === 0) throw problemOf(paid);
      else {
        this.#stop(page, paid);
        break;
      }
    }
    return this.#result();
  }

  async #fetch(page: number): Promise<Paid<AuthorPage>> {
    const { authorName, pageSize, caller, priority } = this.#request;
    const spending = { cost: { calls: 1 }, caller, priority };
    return payFor(this.#deps, spending, async (options) => this.#deps.isbndb.author(authorName, page, pageSize, options));
  }

  /** Books first, then how far we are: a failure in between only stores the same books once more. */
  async #keep(page: number, { books, unreadable, total, name }: AuthorPage): Promise<void> {
    const now = this.#deps.clock();
    const distinct = [...new Map(books.map((book) => [book.isbn13, book])).values()];
    const { existed } = await saveBooks(this.#deps.db, distinct, now);
    const { pageSize } = this.#request;
    const { state, resultsCovered } = afterPage({ received: books.length + unreadable, total, page, pageSize });
    // A page may overlap what another page size covered before: those books are stored again, but found only once.
    const before = page === 1 ? 0 : this.#at.books_found;
    const books_found = Math.min(before + distinct.length, resultsCovered);
    this.#pages += 1;
    this.#found += distinct.length + unreadable;
    this.#existed += existed;
    this.#failed += unreadable;
    const at = { name: name ?? this.#at.name, total, results_covered: resultsCovered, books_found, state, updated_at: now };
    await this.#remember({ ...this.#at, ...at });
  }

  /** 404: on the first page nobody knows the author; later, there is no such page any more. */
  async #end(page: number): Promise<void> {
    this.#pages += 1;
    const state = page === 1 ? "unknown" : "complete";
    await this.#remember({ ...this.#at, state, total: page === 1 ? 0 : this.#at.total, updated_at: this.#deps.clock() });
  }

  async #remember(row: Bibliography): Promise<void> {
    await saveBibliography(this.#deps.db, row);
    this.#at = row;
  }

  #stop(page: number, paid: Exclude<Paid<AuthorPage>, { result: "answered" }>): void {
    const problem = problemOf(paid);
    this.#quotaExhausted = problem.code === "quota_exhausted";
    this.#errors.push({ page, code: problem.code, message: problem.detail });
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
      errors: [...this.#errors, ...remarks(this.#at)],
      quota: this.#quota,
    };
  }
}
