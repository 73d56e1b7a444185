/**
 * The only door to the provider, ISBNdb's API v2. One method call is at most one request; it never retries and never counts.
 * What the provider does is data: a report, and a value exactly when the meaning is "ok". Only wrong arguments of ours throw.
 */
import { readText } from "../../lib/read-text.ts";
import { messageOf, parseJson } from "./body.ts";
import type { BookRecord } from "./book-record.ts";
import { type Exchange, type Outcome, outcomeOf } from "./outcome.ts";
import { type RateLimits, readRateLimits } from "./ratelimit.ts";
import {
  type Asked,
  authorRequest,
  bookRequest,
  booksRequest,
  KEY_REQUEST,
  type ProviderRequest,
  type Released,
  releasedRequest,
} from "./request.ts";
import { retryAfterSeconds } from "../../lib/retry-after.ts";
import { type AuthorPage, type BooksPage, type KeyStatus, readAuthorPage, readBookAnswer, readBooksPage, readKeyAnswer } from "./schema.ts";

/** What was asked for, in one word. */
export type Endpoint = keyof IsbndbClient;

/** Times are epoch milliseconds of the given clock; `receivedAt` is when the headers came, or when we gave up. */
export interface CallReport extends RateLimits {
  endpoint: Endpoint;
  outcome: Outcome;
  /** Null where no answer came. */
  status: number | null;
  requestedAt: number;
  receivedAt: number;
}

export type Answer<T> = { report: CallReport; value: T } | { report: CallReport; value: null };

export interface CallOptions {
  /** Epoch milliseconds; after it nothing is sent. */
  deadline?: number;
  /**
   * Called exactly once a call (unless an argument is wrong, which throws), as soon as the cost is known: for a 2xx when its headers arrive, before the body is read.
   * Should that body turn out cut off or malformed, the returned report says "unreadable" where this one said "ok"; both
   * are charged alike.
   */
  onOutcome?: (report: CallReport) => void;
}

export interface ClientConfig {
  baseUrl: string;
  apiKey: string;
  /** Epoch milliseconds. */
  clock: () => number;
  /** For headers and body together. */
  timeoutMs?: number;
}

export interface IsbndbClient {
  /** Unknown ISBNs are left out of the answer. How many one request may hold depends on the plan: 10, 100 or 1,000. */
  books(isbns: readonly string[], options?: CallOptions): Promise<Answer<BooksPage>>;
  book(isbn: string, options?: CallOptions): Promise<Answer<BookRecord>>;
  author(name: string, page: number, pageSize: number, options?: CallOptions): Promise<Answer<AuthorPage>>;
  /** What appeared in one month, about one subject or any. */
  released(query: Released, options?: CallOptions): Promise<Answer<BooksPage>>;
  /** The provider's own count of today. Free of charge. */
  key(options?: CallOptions): Promise<Answer<KeyStatus>>;
}

// A bulk answer over about 6 MB is a 500 of the provider's; this much only a broken one sends.
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_REFUSAL_BYTES = 64 * 1024;
const UNTOLD: RateLimits = { daily: null, rate: null };

export function createIsbndbClient({ baseUrl, apiKey, clock, timeoutMs = 20_000 }: ClientConfig): IsbndbClient {
  // Refused here and without a quotation: fetch would quote the key, and only after the call was paid for.
  if (!/^[\u0021-\u007e]+$/u.test(apiKey)) throw new TypeError("apiKey must be visible ASCII characters");
  const root = new URL(baseUrl).href.replace(/\/+$/u, "");

  async function call<T>(
    endpoint: Endpoint,
    asked: Asked,
    read: (json: unknown) => T | null,
    options: CallOptions = {},
  ): Promise<Answer<T>> {
    const requestedAt = clock();
    const reportOf = (exchange: Exchange, limits: RateLimits, receivedAt: number): CallReport => ({
      endpoint,
      outcome: outcomeOf(exchange),
      status: exchange.kind === "answered" ? exchange.status : null,
      requestedAt,
      receivedAt,
      ...limits,
    });
    const end = (exchange: Exchange, limits: RateLimits, receivedAt: number): Answer<T> => {
      const report = reportOf(exchange, limits, receivedAt);
      options.onOutcome?.(report);
      return { report, value: null };
    };

    if ("refused" in asked) return end({ kind: "never_sent", reason: asked.refused }, UNTOLD, requestedAt);
    if (options.deadline !== undefined && requestedAt > options.deadline) {
      return end({ kind: "never_sent", reason: "past_deadline" }, UNTOLD, requestedAt);
    }

    const signal = AbortSignal.timeout(timeoutMs);
    let response: Response;
    try {
      response = await globalThis.fetch(`${root}${asked.path}`, initOf(asked, apiKey, signal));
    } catch {
      return end({ kind: "no_answer", reason: signal.aborted ? "timed_out" : "connection_lost" }, UNTOLD, clock());
    }

    const receivedAt = clock();
    const { status, headers, body } = response;
    const limits = readRateLimits(headers);
    const facts = {
      kind: "answered",
      status,
      retryAfterSeconds: retryAfterSeconds(headers.get("retry-after"), receivedAt),
      limits,
    } as const;
    if (!response.ok) {
      const message = messageOf(await readText(body, MAX_REFUSAL_BYTES, signal), apiKey);
      return end({ ...facts, message, readable: false }, limits, receivedAt);
    }

    const report = reportOf({ ...facts, message: null, readable: true }, limits, receivedAt);
    try {
      options.onOutcome?.(report);
    } catch (fault) {
      await body?.cancel();
      throw fault;
    }
    const value = read(parseJson(await readText(body, MAX_BODY_BYTES, signal)));
    if (value !== null) return { report, value };
    return { report: reportOf({ ...facts, message: null, readable: false }, limits, receivedAt), value: null };
  }

  return {
    books: async (isbns, options) => call("books", booksRequest(isbns), readBooksPage, options),
    book: async (isbn, options) => call("book", bookRequest(isbn), readBookAnswer, options),
    author: async (name, page, pageSize, options) => call("author", authorRequest(name, { page, pageSize }), readAuthorPage, options),
    released: async (query, options) => call("released", releasedRequest(query), readBooksPage, options),
    key: async (options) => call("key", KEY_REQUEST, readKeyAnswer, options),
  };
}

function initOf(request: ProviderRequest, apiKey: string, signal: AbortSignal): RequestInit {
  // The key goes without a scheme word. "no-store": an answer out of a cache would carry the count of another moment.
  const shared = { method: request.method, redirect: "manual", cache: "no-store", signal } satisfies RequestInit;
  const headers = { authorization: apiKey, accept: "application/json" };
  return request.method === "GET"
    ? { ...shared, headers }
    : { ...shared, headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(request.json) };
}
