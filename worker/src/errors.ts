/** The problem catalogue: every error the API can answer with, in RFC 9457 terms. Knows no HTTP framework. */

const QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded";

interface ProblemKind {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 422 | 429 | 500 | 502 | 503;
  readonly title: string;
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean;
  /** Whether somebody should look: logged as an error, not as information. */
  readonly alarming: boolean;
  readonly type?: string;
}

export const PROBLEMS = {
  invalid_request: { status: 400, title: "The request is not valid", retryable: false, alarming: false },
  unauthorized: { status: 401, title: "Credentials are missing or not accepted", retryable: false, alarming: false },
  forbidden: { status: 403, title: "These credentials do not allow this", retryable: false, alarming: false },
  project_suspended: { status: 403, title: "The project is suspended", retryable: false, alarming: false },
  not_found: { status: 404, title: "There is nothing here", retryable: false, alarming: false },
  method_not_allowed: { status: 405, title: "This method is not offered here", retryable: false, alarming: false },
  conflict: { status: 409, title: "The request contradicts what is already there", retryable: false, alarming: false },
  payload_too_large: { status: 413, title: "The body is too large", retryable: false, alarming: false },
  unsupported_media_type: { status: 415, title: "The body must be JSON", retryable: false, alarming: false },
  unprocessable: { status: 422, title: "The request is well-formed but makes no sense", retryable: false, alarming: false },
  quota_exhausted: {
    status: 429,
    title: "Too few of the provider's calls for today are left",
    retryable: true,
    alarming: false,
    type: QUOTA_EXCEEDED,
  },
  pace_exceeded: { status: 429, title: "Too many requests at this moment", retryable: true, alarming: false },
  monthly_quota_exceeded: {
    status: 429,
    title: "The organisation's calls for this billing period are used up",
    retryable: true,
    alarming: false,
    type: QUOTA_EXCEEDED,
  },
  cap_exceeded: { status: 429, title: "The project has reached its cap", retryable: true, alarming: false, type: QUOTA_EXCEEDED },
  too_many_failures: { status: 429, title: "Too many wrong credentials from this address", retryable: true, alarming: false },
  upstream_error: { status: 502, title: "The provider failed", retryable: true, alarming: true },
  quota_unavailable: { status: 503, title: "The quota ledger did not answer", retryable: true, alarming: true },
  database_busy: { status: 503, title: "The project's database takes nothing at this moment", retryable: true, alarming: false },
  project_not_ready: { status: 503, title: "The project is not ready yet", retryable: true, alarming: false },
  storage_unavailable: { status: 503, title: "The database did not answer", retryable: true, alarming: true },
  internal_error: { status: 500, title: "A fault of ours", retryable: false, alarming: true },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Members beside the RFC's own that help the caller act, in the API's snake_case. */
export type ProblemMembers = Readonly<Record<string, unknown>>;

interface ProblemOptions {
  readonly members?: ProblemMembers;
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
  /** There may be thousands a second, and something else tells of them: no line of its own in the log. */
  readonly unlogged?: boolean;
}

/** Thrown where a request cannot go on; the front door turns it into `application/problem+json`. `detail` is shown to the caller. */
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

/** The body of RFC 9457 for one occurrence. Unknown failures become `internal_error`, which shows nothing of the inside. */
export function problemBody(problem: Problem): Record<string, unknown> {
  const { status, title, type } = problem.kind;
  return { type: type ?? "about:blank", title, status, detail: problem.detail, code: problem.code, ...problem.members };
}
