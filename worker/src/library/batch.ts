/** The story of a batch: ISBNs in, books in the catalogue, at most one paid call. */
import { Problem } from "../errors.ts";
import type { Deps } from "../deps.ts";
import { errorFields, log } from "../lib/log.ts";
import type { BooksPage } from "../providers/isbndb/index.ts";
import type { QuotaStatus, Spender } from "../quota/index.ts";
import { findBooks, freshIsbns, saveBooks, saveMisses } from "../store/library/books.ts";
import type { CatalogueBook } from "../store/library/books.ts";
import { BOOKS_FRESH_MS, MISSES_FRESH_MS } from "./freshness.ts";
import { sortIsbns } from "./isbn.ts";
import type { SortedIsbns } from "./isbn.ts";
import { payFor, problemOf, spendingOf } from "./provider-call.ts";

export interface BatchRequest extends Spender {
  readonly isbns: SortedIsbns;
  /** Asks the provider again for what the catalogue holds. */
  readonly refresh: boolean;
  readonly withBooks: boolean;
}

const NOT_STORED = "found, but it could not be stored";

interface FailedIsbn {
  readonly isbn: string;
  readonly error: string;
}

export interface BatchResult {
  /** ISBNs as given, repetitions included. */
  readonly requested: number;
  /** Distinct books that the catalogue holds now: enriched and cached. */
  readonly found: number;
  /** Fetched from the provider in this call. */
  readonly enriched: number;
  /** Answered by the catalogue, for nothing. */
  readonly cached: number;
  readonly not_found: readonly string[];
  readonly invalid: SortedIsbns["invalid"];
  readonly failed: readonly FailedIsbn[];
  readonly api_calls: number;
  readonly quota: QuotaStatus | null;
  readonly books?: readonly CatalogueBook[];
}

/** What was given, sorted. Throws `invalid_request` where nothing of it is valid: that is known before anything is counted or asked. */
export function readIsbns(given: readonly string[]): SortedIsbns {
  const sorted = sortIsbns(given);
  if (sorted.valid.length === 0) throw nothingValid(given, sorted.invalid);
  return sorted;
}

/** Throws a problem where the quota refuses, the provider fails, or the catalogue cannot be read. */
export async function enrichBatch(deps: Deps, request: BatchRequest): Promise<BatchResult> {
  const now = deps.clock();
  const { given, valid, invalid } = request.isbns;

  const since = { books: now - BOOKS_FRESH_MS, misses: now - MISSES_FRESH_MS };
  const fresh = request.refresh ? { books: new Set<string>(), misses: new Set<string>() } : await freshIsbns(deps.db, valid, since);
  const cached = valid.filter((isbn) => fresh.books.has(isbn));
  const wanted = valid.filter((isbn) => !fresh.books.has(isbn) && !fresh.misses.has(isbn));
  const knownMisses = valid.filter((isbn) => fresh.misses.has(isbn) && !fresh.books.has(isbn));
  // Read before anything is paid for: a database that fails later cannot take the answer away.
  const cachedBooks = request.withBooks && cached.length > 0 ? await findBooks(deps.db, cached) : [];

  const { maxBatch } = deps.config.isbndb;
  if (wanted.length > maxBatch) {
    throw new Problem("unprocessable", `${wanted.length} ISBNs are to be asked of the provider; its plan takes ${maxBatch} a request.`);
  }
  const fetched = wanted.length === 0 ? await nothingFetched(deps, request) : await fetchBatch(deps, wanted, request);
  return {
    requested: given,
    found: cached.length + fetched.enriched.length,
    enriched: fetched.enriched.length,
    cached: cached.length,
    not_found: [...knownMisses, ...fetched.notFound],
    invalid,
    failed: fetched.failed,
    api_calls: fetched.charged,
    quota: fetched.status,
    ...(request.withBooks ? { books: inOrder(valid, [...cachedBooks, ...fetched.enriched]) } : {}),
  };
}

function inOrder(isbns: readonly string[], books: readonly CatalogueBook[]): CatalogueBook[] {
  const byIsbn = new Map(books.map((book) => [book.isbn13, book]));
  return isbns.map((isbn) => byIsbn.get(isbn)).filter((book) => book !== undefined);
}

function nothingValid(given: readonly string[], invalid: SortedIsbns["invalid"]): Problem {
  const reasons = new Map(invalid.map(({ isbn, reason }) => [isbn, reason]));
  const errors = given.map((isbn, index) => ({
    path: `isbns.${index}`,
    message: reasons.get(isbn) ?? "is not valid",
    value: isbn,
  }));
  return new Problem("invalid_request", "None of the ISBNs is valid; nothing was asked of the provider.", { members: { errors } });
}

interface Fetched {
  readonly enriched: readonly CatalogueBook[];
  readonly notFound: readonly string[];
  readonly failed: readonly FailedIsbn[];
  readonly charged: number;
  readonly status: QuotaStatus | null;
}

/** The catalogue knew everything: no quota is needed, so no quota can be missing. */
async function nothingFetched({ quota }: Deps, { caller }: Spender): Promise<Fetched> {
  const status = await quota.getStatus({ view: { own: caller } }).catch(() => null);
  return { enriched: [], notFound: [], failed: [], charged: 0, status };
}

async function fetchBatch(deps: Deps, isbns: readonly string[], spender: Spender): Promise<Fetched> {
  const spending = spendingOf(spender, { batchOf: isbns.length });
  const paid = await payFor(deps, spending, async (options) => deps.isbndb.books(isbns, options));
  if (paid.result !== "answered") throw problemOf(paid);
  const { charged, status } = paid;
  return { ...(await keep(deps, isbns, paid.value)), charged, status };
}

/** Stores what came back. It is paid for: where the catalogue fails now, each ISBN says so, and nothing is called "not found". */
async function keep({ db, clock }: Deps, isbns: readonly string[], page: BooksPage): Promise<Omit<Fetched, "charged" | "status">> {
  const now = clock();
  const records = new Map(page.books.map((book) => [book.isbn13, book]));
  const arrived = isbns.map((isbn) => records.get(isbn)).filter((book) => book !== undefined);
  const absent = isbns.filter((isbn) => !records.has(isbn));
  const notFound = page.unreadable === 0 ? absent : [];
  const unreadable = page.unreadable === 0 ? [] : absent;
  const failed = unreadable.map((isbn) => ({
    isbn,
    error: `one of the provider's ${page.unreadable} unreadable records may be this book`,
  }));

  const [books, misses] = await Promise.allSettled([saveBooks(db, page.books, now), saveMisses(db, notFound, now)]);
  // A miss that is not remembered only costs being asked for again.
  if (misses.status === "rejected") log.error("ISBNs nobody knows could not be remembered", errorFields(misses.reason));
  if (books.status === "fulfilled") return { enriched: arrived.map((book) => ({ ...book, fetched_at: now })), notFound, failed };
  log.error("Books that were paid for could not be stored", { isbns: arrived.length, ...errorFields(books.reason) });
  return { enriched: [], notFound, failed: [...arrived.map(({ isbn13 }) => ({ isbn: isbn13, error: NOT_STORED })), ...failed] };
}
