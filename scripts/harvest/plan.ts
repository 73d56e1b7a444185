/** Estimates the calls and days of a harvest. No I/O. No clock. */
import type { QuotaStatus } from "./answers.ts";
import { quantity, formatCount } from "./words.ts";

export interface Plan {
  readonly authors: number;
  /** One call per page. The number of pages is estimated from the editions in the catalog. */
  readonly calls: number;
  /** null if the status is unavailable. */
  readonly left_today: number | null;
  readonly calls_per_day: number | null;
  /** Number of days including today. null if the status is unavailable or the limit is 0. */
  readonly days: number | null;
  /** Number of days if today had all its calls. */
  readonly full_days: number | null;
}

/** The provider returns at most 10,000 results per author, in pages of 1,000. */
const BOOKS_PER_PAGE = 1_000;
const LAST_PAGE = 10;

export interface PlannedAuthor {
  /** null if the catalog was not queried. */
  readonly editions: number | null;
}

export function planFor(authors: readonly PlannedAuthor[], maxPages: number | null, status: QuotaStatus | null): Plan {
  const most = Math.min(maxPages ?? LAST_PAGE, LAST_PAGE);
  const pages = ({ editions }: PlannedAuthor): number => Math.min(most, Math.max(1, Math.ceil((editions ?? 0) / BOOKS_PER_PAGE)));
  const calls = authors.reduce((sum, author) => sum + pages(author), 0);
  if (!status) return { authors: authors.length, calls, left_today: null, calls_per_day: null, days: null, full_days: null };
  const { safety_limit } = status;
  const remaining = status.background?.remaining ?? status.remaining;
  return {
    authors: authors.length,
    calls,
    left_today: remaining,
    calls_per_day: safety_limit,
    days: daysFor(calls, remaining, safety_limit),
    full_days: daysFor(calls, 0, safety_limit, 0),
  };
}

function daysFor(calls: number, today: number, perDay: number, daysBefore = 1): number | null {
  if (calls === 0) return 0;
  if (calls <= today) return 1;
  return perDay === 0 ? null : daysBefore + Math.ceil((calls - today) / perDay);
}

export function planLines({ authors, calls, left_today, calls_per_day, days, full_days }: Plan): string[] {
  const dayCount = (count: number | null): string => (count === null ? "never (the daily limit is 0)" : quantity(count, "day"));
  return [
    `Authors        ${formatCount(authors)}`,
    `Calls needed   at least ${formatCount(calls)} (one per page of 1,000 books, cached pages are free)`,
    ...(left_today === null || calls_per_day === null
      ? ["Days needed    unknown (status unavailable)"]
      : [
          `Days needed    ${dayCount(days)}, including today with ${quantity(left_today, "remaining call")}`,
          `               ${dayCount(full_days)} with ${quantity(calls_per_day, "call")} each`,
        ]),
    "No provider calls were made.",
  ];
}
