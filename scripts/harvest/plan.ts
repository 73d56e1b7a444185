/** What a harvest would cost. No I/O. No clock. */
import type { QuotaStatus } from "./answers.ts";
import { counted, grouped } from "./words.ts";

export interface Plan {
  readonly authors: number;
  /** One a page: the first of each author, and what the catalogue's editions let expect beyond. */
  readonly calls: number;
  /** Null where nobody could say. */
  readonly left_today: number | null;
  readonly calls_per_day: number | null;
  /** Days from today on, today included; null where nobody could say, or no day has any calls. */
  readonly days: number | null;
  /** Days if each were whole. */
  readonly full_days: number | null;
}

/** The provider gives 10,000 results an author, in pages of 1,000. */
const BOOKS_PER_PAGE = 1_000;
const LAST_PAGE = 10;

export interface Expected {
  /** Null where the catalogue was not asked. */
  readonly editions: number | null;
}

export function planFor(authors: readonly Expected[], maxPages: number | null, status: QuotaStatus | null): Plan {
  const most = Math.min(maxPages ?? LAST_PAGE, LAST_PAGE);
  const pages = ({ editions }: Expected): number => Math.min(most, Math.max(1, Math.ceil((editions ?? 0) / BOOKS_PER_PAGE)));
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
  const dayCount = (count: number | null): string => (count === null ? "never: no day has any calls" : counted(count, "day"));
  return [
    `Authors        ${grouped(authors)}`,
    `Calls needed   at least ${grouped(calls)}: one a page of 1,000 books; none for what was fetched in the last 30 days`,
    ...(left_today === null || calls_per_day === null
      ? ["Days needed    unknown: the status did not come"]
      : [
          `Days needed    ${dayCount(days)}, today included, of which ${counted(left_today, "call")} ${left_today === 1 ? "is" : "are"} left`,
          `               ${dayCount(full_days)} of ${counted(calls_per_day, "call")} each`,
        ]),
    "Nothing was spent.",
  ];
}
