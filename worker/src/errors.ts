/** Every error of the API, in the terms of RFC 9457. Independent of any HTTP framework. */
import { sentencesOf } from "./lib/field-errors.ts";
import type { FieldError } from "./lib/field-errors.ts";

const QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded";

interface ProblemKind {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 416 | 422 | 429 | 500 | 502 | 503;
  readonly title: string;
  /** One sentence for the documentation. */
  readonly meaning: string;
  /** The same request may succeed later without changes. */
  readonly retryable: boolean;
  /** An operator should look: logged as an error. */
  readonly alarming: boolean;
  /** A type that others have defined. By default `type` links to the documentation. */
  readonly type?: string;
}

export const PROBLEMS = {
  invalid_request: {
    status: 400,
    title: "Bad request",
    meaning: "The body, a field or a query parameter is invalid.",
    retryable: false,
    alarming: false,
  },
  unauthorized: { status: 401, title: "Unauthorized", meaning: "The credentials are missing or wrong.", retryable: false, alarming: false },
  forbidden: {
    status: 403,
    title: "Forbidden",
    meaning: "The credentials are valid but do not allow this request.",
    retryable: false,
    alarming: false,
  },
  project_suspended: {
    status: 403,
    title: "Project suspended",
    meaning: "The project is suspended. `reasons` lists why.",
    retryable: false,
    alarming: false,
  },
  not_found: { status: 404, title: "Not found", meaning: "The route or the resource does not exist.", retryable: false, alarming: false },
  method_not_allowed: {
    status: 405,
    title: "Method not allowed",
    meaning: "The route does not support this method.",
    retryable: false,
    alarming: false,
  },
  conflict: { status: 409, title: "Conflict", meaning: "The request conflicts with the current state.", retryable: false, alarming: false },
  payload_too_large: {
    status: 413,
    title: "Payload too large",
    meaning: "The body is larger than the route accepts.",
    retryable: false,
    alarming: false,
  },
  unsupported_media_type: {
    status: 415,
    title: "Unsupported media type",
    meaning: "The body is not declared as JSON.",
    retryable: false,
    alarming: false,
  },
  range_not_satisfiable: {
    status: 416,
    title: "Range not satisfiable",
    meaning: "`Range` begins at or after the end of the file.",
    retryable: false,
    alarming: false,
  },
  unprocessable: {
    status: 422,
    title: "Unprocessable request",
    meaning: "The request is valid JSON, but it cannot succeed.",
    retryable: false,
    alarming: false,
  },
  quota_exhausted: {
    status: 429,
    title: "Quota exhausted",
    meaning: "Too few of the provider's calls remain today.",
    retryable: true,
    alarming: false,
    type: QUOTA_EXCEEDED,
  },
  pace_exceeded: {
    status: 429,
    title: "Pace exceeded",
    meaning: "Requests arrive too fast. Quota remains: wait a moment.",
    retryable: true,
    alarming: false,
  },
  rate_limited: {
    status: 429,
    title: "Rate limited",
    meaning: "The project released too many unused reservations in the last minute.",
    retryable: true,
    alarming: false,
  },
  monthly_quota_exceeded: {
    status: 429,
    title: "Monthly quota exceeded",
    meaning: "The organization has used its allowance for this billing period.",
    retryable: true,
    alarming: false,
    type: QUOTA_EXCEEDED,
  },
  cap_exceeded: {
    status: 429,
    title: "Cap exceeded",
    meaning: "The project has reached a daily cap.",
    retryable: true,
    alarming: false,
    type: QUOTA_EXCEEDED,
  },
  too_many_failures: {
    status: 429,
    title: "Too many failures",
    meaning: "This address sent wrong credentials too often.",
    retryable: true,
    alarming: false,
  },
  upstream_error: {
    status: 502,
    title: "Provider failed",
    meaning: "The provider failed. `calls_charged` says how many calls were charged.",
    retryable: true,
    alarming: true,
  },
  quota_unavailable: {
    status: 503,
    title: "Quota unavailable",
    meaning: "The quota ledger did not answer. Nothing was sent to the provider.",
    retryable: true,
    alarming: true,
  },
  database_busy: {
    status: 503,
    title: "Database busy",
    meaning: "The project's database does not accept this statement now.",
    retryable: true,
    alarming: false,
  },
  project_not_ready: {
    status: 503,
    title: "Project not ready",
    meaning: "The project is still being provisioned.",
    retryable: true,
    alarming: false,
  },
  storage_unavailable: {
    status: 503,
    title: "Storage unavailable",
    meaning: "The database did not answer.",
    retryable: true,
    alarming: true,
  },
  internal_error: {
    status: 500,
    title: "Internal error",
    meaning: "The service failed. Its log holds the cause.",
    retryable: false,
    alarming: true,
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Further fields that help the caller act, in the API's snake_case. */
export type ProblemMembers = Readonly<Record<string, unknown>>;

interface ProblemOptions {
  readonly members?: ProblemMembers;
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
  /** Not logged: there may be thousands per second, and another line reports them. */
  readonly unlogged?: boolean;
}

/** Ends a request. The error handler turns it into `application/problem+json`. The caller sees `detail`. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly detail: string;
  readonly members: ProblemMembers;
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly unlogged: boolean;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.members = options.members ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers ?? {};
    this.unlogged = options.unlogged ?? false;
  }

  get kind(): ProblemKind {
    return PROBLEMS[this.code];
  }
}

/** A body of a megabyte may hold a hundred thousand mistakes. */
const MAX_ERRORS = 50;

/** Names each field, its value and the accepted values. */
export function invalidFields(all: readonly FieldError[], code: ProblemCode = "invalid_request"): Problem {
  return new Problem(code, sentencesOf(all), { members: { errors: all.slice(0, MAX_ERRORS) } });
}

/** `message` follows the field's name: "must be at most 200". */
export function invalidField(path: string, message: string, value?: unknown, code?: ProblemCode): Problem {
  return invalidFields([{ path, message, ...(value === undefined ? {} : { value }) }], code);
}

/** The entry of a code in the documentation. `docsUrl`: address of the page that lists all errors. */
export const documentationOf = (code: ProblemCode, docsUrl: string): string => `${docsUrl}#${code}`;

/** The body of RFC 9457 for one occurrence. `message` and `error` are for clients that read those names. */
export function problemBody({ kind, code, detail, members }: Problem, docsUrl: string): Record<string, unknown> {
  const link = documentationOf(code, docsUrl);
  const types = kind.type === undefined ? { type: link } : { type: kind.type, documentation_url: link };
  return { ...types, title: kind.title, status: kind.status, detail, code, message: detail, error: code, ...members };
}
