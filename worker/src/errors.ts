/** The error catalog: every error of the API as an RFC 9457 problem. Knows no HTTP framework. */

const QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded";

interface ProblemKind {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 422 | 429 | 500 | 502 | 503;
  readonly title: string;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Whether an operator should look: logged as an error instead of information. */
  readonly alarming: boolean;
  readonly type?: string;
}

export const PROBLEMS = {
  invalid_request: { status: 400, title: "Bad request", retryable: false, alarming: false },
  unauthorized: { status: 401, title: "Unauthorized", retryable: false, alarming: false },
  forbidden: { status: 403, title: "Forbidden", retryable: false, alarming: false },
  project_suspended: { status: 403, title: "Project suspended", retryable: false, alarming: false },
  not_found: { status: 404, title: "Not found", retryable: false, alarming: false },
  method_not_allowed: { status: 405, title: "Method not allowed", retryable: false, alarming: false },
  conflict: { status: 409, title: "Conflict", retryable: false, alarming: false },
  payload_too_large: { status: 413, title: "Content too large", retryable: false, alarming: false },
  unsupported_media_type: { status: 415, title: "Unsupported media type", retryable: false, alarming: false },
  unprocessable: { status: 422, title: "Unprocessable content", retryable: false, alarming: false },
  quota_exhausted: {
    status: 429,
    title: "Quota exhausted",
    retryable: true,
    alarming: false,
    type: QUOTA_EXCEEDED,
  },
  pace_exceeded: { status: 429, title: "Too many requests", retryable: true, alarming: false },
  monthly_quota_exceeded: {
    status: 429,
    title: "Monthly allowance used up",
    retryable: true,
    alarming: false,
    type: QUOTA_EXCEEDED,
  },
  cap_exceeded: { status: 429, title: "Cap reached", retryable: true, alarming: false, type: QUOTA_EXCEEDED },
  too_many_failures: { status: 429, title: "Too many failed attempts", retryable: true, alarming: false },
  upstream_error: { status: 502, title: "Bad gateway", retryable: true, alarming: true },
  quota_unavailable: { status: 503, title: "Quota ledger unavailable", retryable: true, alarming: true },
  database_busy: { status: 503, title: "Database busy", retryable: true, alarming: false },
  project_not_ready: { status: 503, title: "Project not ready", retryable: true, alarming: false },
  storage_unavailable: { status: 503, title: "Storage unavailable", retryable: true, alarming: true },
  internal_error: { status: 500, title: "Internal error", retryable: false, alarming: true },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Further members that help the caller act, in the API's snake_case. */
export type ProblemMembers = Readonly<Record<string, unknown>>;

interface ProblemOptions {
  readonly members?: ProblemMembers;
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
  /** Writes no log line, because there may be thousands per second and other records exist. */
  readonly unlogged?: boolean;
}

/** Thrown if a request cannot continue. The front door turns it into `application/problem+json`. The caller sees `detail`. */
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

/** The RFC 9457 body of one occurrence. Unknown failures become `internal_error` without internal details. */
export function problemBody(problem: Problem): Record<string, unknown> {
  const { status, title, type } = problem.kind;
  return { type: type ?? "about:blank", title, status, detail: problem.detail, code: problem.code, ...problem.members };
}
