/** Classifies refusals and errors of the API. No I/O. */
import { problem } from "./answers.ts";
import type { ProblemBody, QuotaStatus } from "./answers.ts";

export type Refusal =
  /** Wait and retry. Today's calls are not used up. */
  | { readonly kind: "pace"; readonly detail: string; readonly seconds: number; readonly charged: number }
  /** Today's calls are used up. `resetAt` is null if the response has no time of the reset. */
  | {
      readonly kind: "exhausted";
      readonly detail: string;
      readonly resetAt: string | null;
      readonly quota: QuotaStatus | null;
      readonly charged: number;
    }
  /** The request for this author is invalid. A retry would fail too. */
  | { readonly kind: "unusable"; readonly detail: string }
  /** All requests of this run would fail. */
  | { readonly kind: "fatal"; readonly detail: string }
  /** Temporary failure, unless `retry` is false. */
  | {
      readonly kind: "trouble";
      readonly detail: string;
      readonly retryAfterSeconds: number | null;
      readonly charged: number;
      readonly retry: boolean;
      /** The result on the server is unknown. */
      readonly lost: boolean;
    };

/** Used for a refusal without Retry-After. */
const DEFAULT_PAUSE_SECONDS = 5;
/** Reservations last minutes. With a shorter Retry-After today's calls are not used up. */
const SOON_SECONDS = 600;

interface ResponseHead {
  readonly status: number;
  readonly headers: Headers;
}

export function refusalOf({ status, headers }: ResponseHead, text: string): Refusal {
  const body = problemIn(text);
  const charged = body.calls_charged ?? 0;
  const detail = body.detail ?? `The server returned ${status}`;
  const retryAfterSeconds = secondsIn(headers.get("retry-after"));
  const exhausted = { kind: "exhausted", detail, resetAt: body.reset_at ?? null, quota: body.quota ?? null, charged } as const;
  switch (status) {
    case 400:
    case 413:
    case 422:
      return { kind: "unusable", detail };
    case 401:
      return { kind: "fatal", detail: `Invalid token: ${detail} Pass --token or set ADMIN_TOKEN.` };
    case 403:
      return { kind: "fatal", detail: `Token not allowed: ${detail}` };
    case 429:
      // Rate limits in front of the coordinator have no code. They are temporary.
      if (body.code === undefined || body.code === "pace_exceeded" || body.code === "rate_limited") {
        return { kind: "pace", detail, seconds: retryAfterSeconds ?? DEFAULT_PAUSE_SECONDS, charged };
      }
      if (body.available_at !== undefined && retryAfterSeconds !== null && retryAfterSeconds <= SOON_SECONDS) {
        return { kind: "pace", detail, seconds: retryAfterSeconds, charged };
      }
      return exhausted;
  }
  if (status >= 500 || status === 408) {
    if (body.retry === "after_reset") return exhausted;
    const lost = body.code === undefined || body.code === "internal_error";
    return { kind: "trouble", detail, retryAfterSeconds, charged, retry: body.retry !== "no", lost };
  }
  return { kind: "fatal", detail: `${detail} (${status}). Check --base-url.` };
}

function problemIn(text: string): ProblemBody {
  try {
    return problem.safeParse(JSON.parse(text)).data ?? {};
  } catch {
    return {};
  }
}

/** `Retry-After` in seconds. A date is ignored. */
function secondsIn(header: string | null): number | null {
  return header !== null && /^\d{1,9}$/u.test(header.trim()) ? Number(header) : null;
}
