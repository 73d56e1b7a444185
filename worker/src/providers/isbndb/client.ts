/**
 * The only client of the provider, ISBNdb's API v2. One method call makes at most one request and never retries or counts. The provider's
 * behavior is data: a report, and a value only if the meaning is "ok". Only invalid arguments throw.
 */
import { readText } from "../../lib/read-text.ts";
import { messageOf, parseJson } from "./body.ts";
import { type Exchange, type Outcome, outcomeOf } from "./outcome.ts";
import { type RateLimits, readRateLimits } from "./ratelimit.ts";
import {
  type BuiltRequest,
  authorRequest,
  booksRequest,
  KEY_REQUEST,
  type ProviderRequest,
  type Released,
  releasedRequest,
} from "./request.ts";
import { retryAfterSeconds } from "../../lib/retry-after.ts";
import { type AuthorPage, type BooksPage, type KeyStatus, readAuthorPage, readBooksPage, readKeyAnswer } from "./schema.ts";

/** Name of the requested operation. */
export type Endpoint = keyof IsbndbClient;

/** Times are epoch milliseconds of the given clock. `receivedAt` is when the headers arrived or the request was abandoned. */
export interface CallReport extends RateLimits {
  endpoint: Endpoint;
  outcome: Outcome;
  /** Null if no response arrived. */
  status: number | null;
  requestedAt: number;
  receivedAt: number;
}

export type Answer<T> = { report: CallReport; value: T } | { report: CallReport; value: null };

export interface CallOptions {
  /** Epoch milliseconds. No request is sent after it. */
  deadline?: number;
  /**
   * Called exactly once per call as soon as the cost is known, unless an invalid argument throws. For a 2xx that is when its headers
   * arrive, before the body is read. If the body turns out to be cut off or malformed, the returned report says "unreadable" instead of
   * "ok". Both are charged alike.
   */
  onOutcome?: (report: CallReport) => void;
}

export interface ClientConfig {
  baseUrl: string;
  apiKey: string;
  /** Epoch milliseconds. */
  clock: () => number;
  /** Covers headers and body. */
  timeoutMs?: number;
}

export interface IsbndbClient {
  /** Unknown ISBNs are missing from the result. The maximum per request depends on the plan: 10, 100 or 1,000. */
  books(isbns: readonly string[], options?: CallOptions): Promise<Answer<BooksPage>>;
  author(name: string, page: number, pageSize: number, options?: CallOptions): Promise<Answer<AuthorPage>>;
  /** New releases of one month, optionally about one subject. */
  released(query: Released, options?: CallOptions): Promise<Answer<BooksPage>>;
  /** The provider's own count for today. Free of charge. */
  key(options?: CallOptions): Promise<Answer<KeyStatus>>;
}

// The provider fails with a 500 above about 6 MB. Only a broken response is this large.
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_REFUSAL_BYTES = 64 * 1024;
const UNKNOWN_LIMITS: RateLimits = { daily: null, rate: null };

export function createIsbndbClient({ baseUrl, apiKey, clock, timeoutMs = 20_000 }: ClientConfig): IsbndbClient {
  // Checked here without quoting the key. fetch would quote it in its error, after the call was paid for.
  if (!/^[\u0021-\u007e]+$/u.test(apiKey)) throw new TypeError("apiKey must consist of visible ASCII characters");
  const root = new URL(baseUrl).href.replace(/\/+$/u, "");

  async function call<T>(
    endpoint: Endpoint,
    built: BuiltRequest,
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

    if ("refused" in built) return end({ kind: "never_sent", reason: built.refused }, UNKNOWN_LIMITS, requestedAt);
    if (options.deadline !== undefined && requestedAt > options.deadline) {
      return end({ kind: "never_sent", reason: "past_deadline" }, UNKNOWN_LIMITS, requestedAt);
    }

    const signal = AbortSignal.timeout(timeoutMs);
    let response: Response;
    try {
      response = await globalThis.fetch(`${root}${built.path}`, initOf(built, apiKey, signal));
    } catch {
      return end({ kind: "no_answer", reason: signal.aborted ? "timed_out" : "connection_lost" }, UNKNOWN_LIMITS, clock());
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
    author: async (name, page, pageSize, options) => call("author", authorRequest(name, { page, pageSize }), readAuthorPage, options),
    released: async (query, options) => call("released", releasedRequest(query), readBooksPage, options),
    key: async (options) => call("key", KEY_REQUEST, readKeyAnswer, options),
  };
}

function initOf(request: ProviderRequest, apiKey: string, signal: AbortSignal): RequestInit {
  // The key has no scheme prefix. "no-store": a cached response would have an outdated count.
  const shared = { method: request.method, redirect: "manual", cache: "no-store", signal } satisfies RequestInit;
  const headers = { authorization: apiKey, accept: "application/json" };
  return request.method === "GET"
    ? { ...shared, headers }
    : { ...shared, headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(request.json) };
}
