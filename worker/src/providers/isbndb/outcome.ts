/** Interprets one request: its meaning, its cost, and whether to retry. No I/O. No clock. */
import type { RateLimits } from "./ratelimit.ts";

export type NeverSentReason = "past_deadline" | "text_too_long" | "text_unusable";

/** The facts of one request, before interpretation. */
export type Exchange =
  | { kind: "never_sent"; reason: NeverSentReason }
  | { kind: "no_answer"; reason: "timed_out" | "connection_lost" }
  | {
      kind: "answered";
      status: number;
      retryAfterSeconds: number | null;
      /** Message in the body of a refusal. */
      message: string | null;
      /** Whether the body of a 2xx, as far as it was read, has the expected shape. */
      readable: boolean;
      limits: RateLimits;
    };

type Answered = Extract<Exchange, { kind: "answered" }>;

export type Meaning =
  | "ok"
  /** The provider may add the book within 24 hours. */
  | "not_found"
  /** The limit per second or minute was exceeded. A retry works soon. */
  | "wait"
  /** The daily limit is used up until 00:00 UTC. */
  | "day_over"
  /** Wrong plan, or wrong host for the plan. */
  | "plan_refused"
  | "key_refused"
  | "request_refused"
  | "provider_failed"
  /** A 2xx whose body is cut off, malformed or of an unknown shape. */
  | "unreadable"
  | "timed_out"
  | "connection_lost"
  | "never_sent";

export interface Outcome {
  meaning: Meaning;
  /** Whether the provider counted it. "maybe" is charged too. Only "no" releases the calls. */
  sent: "no" | "yes" | "maybe";
  retry: "no" | "later" | "after_reset";
  /** From Retry-After, or from the `ratelimit` header of a refusal. Null if neither is known or waiting does not help. */
  retryAfterSeconds: number | null;
  /** An explanation for people. */
  detail: string;
}

const NEVER_SENT = {
  past_deadline: { retry: "later", detail: "not sent: the deadline had passed" },
  text_too_long: { retry: "no", detail: "not sent: the provider accepts at most 150 characters" },
  text_unusable: { retry: "no", detail: "not sent: the text is empty or not valid in a URL" },
} as const satisfies Record<NeverSentReason, Pick<Outcome, "retry" | "detail">>;

const NO_ANSWER = {
  timed_out: "sent, but no response arrived in time",
  connection_lost: "the connection was lost before a response arrived",
} as const;

export function outcomeOf(exchange: Exchange): Outcome {
  switch (exchange.kind) {
    case "never_sent":
      return { meaning: "never_sent", sent: "no", retryAfterSeconds: null, ...NEVER_SENT[exchange.reason] };
    case "no_answer":
      return { meaning: exchange.reason, sent: "maybe", retry: "later", retryAfterSeconds: null, detail: NO_ANSWER[exchange.reason] };
    case "answered":
      return answered(exchange);
  }
}

/** Every request that reached the provider counts, including 403, 404 and 500. */
function answered(exchange: Answered): Outcome {
  const meaning = meaningOf(exchange);
  return {
    meaning,
    sent: "yes",
    ...retryOf(meaning, exchange),
    detail: `the provider responded with ${exchange.status}${explanation(meaning, exchange)}`,
  };
}

type AnsweredMeaning = Exclude<Meaning, "timed_out" | "connection_lost" | "never_sent">;

function meaningOf({ status, readable, message, limits }: Answered): AnsweredMeaning {
  if (status >= 200 && status <= 299) return readable ? "ok" : "unreadable";
  switch (status) {
    case 400:
    case 413:
    case 414:
    case 415:
    case 422:
      return "request_refused";
    case 401:
      return "key_refused";
    case 403:
      return saysAllowanceIsSpent(message ?? "") ? "day_over" : "plan_refused";
    case 404:
      return "not_found";
    case 429:
      return tooMany(message ?? "", limits);
  }
  return "provider_failed";
}

/** Older responses report the used-up daily limit with a 403 ("daily hits reached"). A 403 for another limit, such as the page size, is excluded. */
function saysAllowanceIsSpent(message: string): boolean {
  return (
    /\b(daily|per day|hits|quota|limit)\b/iu.test(message) &&
    /reached|exceed|exhausted|used up/iu.test(message) &&
    !/\b(per (second|minute|request)|rate|page|size)\b/iu.test(message)
  );
}

/** "Limit Exceeded" does not name the limit, and some messages name both. The count in the header then decides. */
function tooMany(message: string, limits: RateLimits): "wait" | "day_over" {
  const pace = /\b(per[ -](second|minute)|rate)\b/iu.test(message);
  const day = /\b(daily|per[ -]day)\b/iu.test(message);
  if (pace !== day) return day ? "day_over" : "wait";
  return limits.daily?.left === 0 ? "day_over" : "wait";
}

function retryOf(meaning: AnsweredMeaning, exchange: Answered): Pick<Outcome, "retry" | "retryAfterSeconds"> {
  const { status, limits } = exchange;
  switch (meaning) {
    case "ok":
    case "not_found":
    case "plan_refused":
    case "key_refused":
    case "request_refused":
      return { retry: "no", retryAfterSeconds: null };
    case "wait":
      return { retry: "later", retryAfterSeconds: exchange.retryAfterSeconds ?? limits.rate?.resetSeconds ?? null };
    case "day_over":
      return { retry: "after_reset", retryAfterSeconds: exchange.retryAfterSeconds ?? limits.daily?.resetSeconds ?? null };
    case "unreadable":
      return { retry: "later", retryAfterSeconds: null };
    case "provider_failed":
      // Below 500 (a redirect, a 405) a retry would only be charged again.
      return status >= 500 ? { retry: "later", retryAfterSeconds: exchange.retryAfterSeconds } : { retry: "no", retryAfterSeconds: null };
  }
}

function explanation(meaning: AnsweredMeaning, { message }: Answered): string {
  if (meaning === "unreadable") return ", but the body was cut off or has an undocumented shape";
  return message === null ? "" : `: ${message}`;
}
