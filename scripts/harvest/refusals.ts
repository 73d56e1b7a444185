/** What an answer that brought nothing means for the harvest. No I/O. */
import { problem } from "./answers.ts";
import type { ProblemBody, QuotaStatus } from "./answers.ts";

export type Refusal =
  /** Wait a moment: the day is not over. */
  | { readonly kind: "pace"; readonly detail: string; readonly seconds: number; readonly charged: number }
  /** The day is over. `resetAt` is null where the answer does not say when the next begins. */
  | {
      readonly kind: "exhausted";
      readonly detail: string;
      readonly resetAt: string | null;
      readonly quota: QuotaStatus | null;
      readonly charged: number;
    }
  /** This author cannot be asked for, now or ever. */
  | { readonly kind: "unusable"; readonly detail: string }
  /** No request of this run can succeed. */
  | { readonly kind: "fatal"; readonly detail: string }
  /** May pass by itself, unless `retry` says otherwise. */
  | {
      readonly kind: "trouble";
      readonly detail: string;
      readonly retryAfterSeconds: number | null;
      readonly charged: number;
      readonly retry: boolean;
      /** Nobody knows how far the server came. */
      readonly lost: boolean;
    };

/** For a refusal that does not say how long. */
const DEFAULT_PAUSE_SECONDS = 5;
/** Holds live for minutes: whoever is to come back so soon is not told that the day is over. */
const SOON_SECONDS = 600;

interface Answered {
  readonly status: number;
  readonly headers: Headers;
}

export function meaningOf({ status, headers }: Answered, text: string): Refusal {
  const told = problemIn(text);
  const charged = told.calls_charged ?? 0;
  const detail = told.detail ?? `The server answered ${status}`;
  const retryAfterSeconds = secondsIn(headers.get("retry-after"));
  const exhausted = { kind: "exhausted", detail, resetAt: told.reset_at ?? null, quota: told.quota ?? null, charged } as const;
  switch (status) {
    case 400:
    case 413:
    case 422:
      return { kind: "unusable", detail };
    case 401:
      return { kind: "fatal", detail: `The token is not accepted: ${detail} Pass --token, or set ADMIN_TOKEN.` };
    case 403:
      return { kind: "fatal", detail: `The token does not allow this: ${detail}` };
    case 429:
      // Some limits stand before the coordinator and know none of its codes: they are about the moment.
      if (told.code === undefined || told.code === "pace_exceeded") {
        return { kind: "pace", detail, seconds: retryAfterSeconds ?? DEFAULT_PAUSE_SECONDS, charged };
      }
      if (told.available_at !== undefined && retryAfterSeconds !== null && retryAfterSeconds <= SOON_SECONDS) {
        return { kind: "pace", detail, seconds: retryAfterSeconds, charged };
      }
      return exhausted;
  }
  if (status >= 500 || status === 408) {
    if (told.retry === "after_reset") return exhausted;
    const lost = told.code === undefined || told.code === "internal_error";
    return { kind: "trouble", detail, retryAfterSeconds, charged, retry: told.retry !== "no", lost };
  }
  return { kind: "fatal", detail: `${detail} (${status}). Is --base-url the coordinator's address?` };
}

function problemIn(text: string): ProblemBody {
  try {
    return problem.safeParse(JSON.parse(text)).data ?? {};
  } catch {
    return {};
  }
}

/** `Retry-After` in seconds; its other form, a date, is as good as none here. */
function secondsIn(header: string | null): number | null {
  return header !== null && /^\d{1,9}$/u.test(header.trim()) ? Number(header) : null;
}
