/** Enriches a batch of ISBNs from the catalog and at most one paid call. */
import { Problem } from "../errors.ts";
import type { Deps } from "../deps.ts";
import { errorFields, log } from "../lib/log.ts";
import type { BooksPage } from "../providers/isbndb/index.ts";
import type { QuotaStatus, Spender } from "../quota/index.ts";
import { findBooks, freshIsbns, saveBooks, saveMisses } from "../store/library/books.ts";
import type { CatalogBook } from "../store/library/books.ts";
import { DatabaseFull } from "../store/database.ts";
import { BOOKS_FRESH_MS, MISSES_FRESH_MS } from "./freshness.ts";
import { CATALOG_FULL, reportLostBooks } from "./full-catalog.ts";
import { sortIsbns } from "./isbn.ts";
import type { SortedIsbns } from "./isbn.ts";
import { payFor, problemOf, spendingOf } from "./provider-call.ts";

export interface BatchRequest extends Spender {
  readonly isbns: SortedIsbns;
  /** Queries the provider again for books in the catalog. */
  readonly refresh: boolean;
  readonly withBooks: boolean;
}

const NOT_STORED = "found but not stored";

interface FailedIsbn {
  readonly isbn: string;
  readonly error: string;
}

interface Warning {
  readonly code: string;
  readonly message: string;
}

export interface BatchResult {
  /** Number of given ISBNs, including repetitions. */
  readonly requested: number;
  /** Distinct books: enriched and cached. */
  readonly found: number;
  /** Fetched from the provider by this call. */
  readonly enriched: number;
  /** Found in the catalog, free. */
  readonly cached: number;
  readonly not_found: readonly string[];
  readonly invalid: SortedIsbns["invalid"];
  readonly failed: readonly FailedIsbn[];
  /** Only if there are any. */
  readonly warnings?: readonly Warning[];
  readonly api_calls: number;
  readonly quota: QuotaStatus | null;
  readonly books?: readonly CatalogBook[];
}

/** Parses the given ISBNs. Throws `invalid_request` if none is valid, before any call is reserved or sent. */
export function readIsbns(given: readonly string[]): SortedIsbns {
  const sorted = sortIsbns(given);
  if (sorted.valid.length === 0) throw nothingValid(given, sorted.invalid);
  return sorted;
}

/** Throws a problem if the quota refuses, the provider fails, or the catalog cannot be read. */
export async function enrichBatch(deps: Deps, request: BatchRequest): Promise<BatchResult> {
  const now = deps.clock();
  const { given, valid, invalid } = request.isbns;

  const since = { books: now - BOOKS_FRESH_MS, misses: now - MISSES_FRESH_MS };
  const fresh = request.refresh ? { books: new Set<string>(), misses: new Set<string>() } : await freshIsbns(deps, valid, since);
  const cached = valid.filter((isbn) => fresh.books.has(isbn));
  const wanted = valid.filter((isbn) => !fresh.books.has(isbn) && !fresh.misses.has(isbn));
  const knownMisses = valid.filter((isbn) => fresh.misses.has(isbn) && !fresh.books.has(isbn));
  // Read before anything is paid for, so that a database that fails later cannot lose the result.
  const cachedBooks = request.withBooks && cached.length > 0 ? await findBooks(deps, cached) : [];

  const { maxBatch } = deps.config.isbndb;
  if (wanted.length > maxBatch) {
    throw new Problem(
      "unprocessable",
      `${wanted.length} ISBNs must be fetched, but the provider's plan accepts ${maxBatch} per request. Send fewer ISBNs.`,
    );
  }
  const fetched = wanted.length === 0 ? await cachedOnly(deps, request) : await fetchBatch(deps, wanted, request);
  return {
    requested: given,
    found: cached.length + fetched.enriched.length,
    enriched: fetched.enriched.length,
    cached: cached.length,
    not_found: [...knownMisses, ...fetched.notFound],
    invalid,
    failed: fetched.failed,
    ...(fetched.warnings.length > 0 ? { warnings: fetched.warnings } : {}),
    api_calls: fetched.charged,
    quota: fetched.status,
    ...(request.withBooks ? { books: inOrder(valid, [...cachedBooks, ...fetched.enriched]) } : {}),
  };
}

function inOrder(isbns: readonly string[], books: readonly CatalogBook[]): CatalogBook[] {
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
  return new Problem("invalid_request", "None of the ISBNs is valid. No request was sent to the provider.", { members: { errors } });
}

interface Fetched {
  readonly enriched: readonly CatalogBook[];
  readonly notFound: readonly string[];
  readonly failed: readonly FailedIsbn[];
  readonly warnings: readonly Warning[];
  readonly charged: number;
  readonly status: QuotaStatus | null;
}

/** Result for a batch that is completely cached. It needs no quota. */
async function cachedOnly({ quota }: Deps, { caller }: Spender): Promise<Fetched> {
  const status = await quota.getStatus({ view: { own: caller } }).catch(() => null);
  return { enriched: [], notFound: [], failed: [], warnings: [], charged: 0, status };
}

async function fetchBatch(deps: Deps, isbns: readonly string[], spender: Spender): Promise<Fetched> {
  return payFor(deps, {
    spending: spendingOf(spender, { batchOf: isbns.length }),
    records: isbns.length,
    send: async (options) => deps.isbndb.books(isbns, options),
    keep: async (paid) => {
      if (paid.result !== "answered") throw problemOf(paid);
      const { charged, status } = paid;
      return { ...(await store(deps, isbns, paid.value)), charged, status };
    },
  });
}

/** Stores a paid result. If the catalog fails, each ISBN reports it, and none is reported as not found. A full one is only a warning. */
async function store({ catalog, clock }: Deps, isbns: readonly string[], page: BooksPage): Promise<Omit<Fetched, "charged" | "status">> {
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

  const [books, misses] = await Promise.allSettled([saveBooks(catalog, page.books, now), saveMisses(catalog, notFound, now)]);
  // An unrecorded miss only costs another call later.
  if (misses.status === "rejected") log.error("Unknown ISBNs not recorded", errorFields(misses.reason));
  const enriched = arrived.map((book) => ({ ...book, fetched_at: now }));
  if (books.status === "fulfilled") return { enriched, notFound, failed, warnings: [] };
  reportLostBooks(arrived.length, books.reason);
  if (books.reason instanceof DatabaseFull) return { enriched, notFound, failed, warnings: [CATALOG_FULL] };
  const lost = arrived.map(({ isbn13 }) => ({ isbn: isbn13, error: NOT_STORED }));
  return { enriched: [], notFound, failed: [...lost, ...failed], warnings: [] };
}
