/** The range of a request for new releases: months × subjects × pages, and the cursor that points into it. No I/O. No clock. */
import { z } from "zod";
import { invalidField } from "../errors.ts";
import { fromBase64Url, toBase64Url } from "../lib/base64url.ts";
import { lastPage } from "./paging.ts";

export const RELEASES_PAGE_SIZE = 1_000;
/** Two years per request. The harvest is meant for more. */
export const MAX_MONTHS = 24;

export interface ReleasesQuery {
  /** YYYY-MM, both inclusive. */
  readonly startMonth: string;
  readonly endMonth: string;
  readonly maxPagesPerMonth: number;
  /** Empty: all new releases. */
  readonly subjects: readonly string[];
}

export interface ReleasesRange {
  readonly months: readonly string[];
  /** Null searches all subjects. */
  readonly subjects: readonly (string | null)[];
}

/** The next page to fetch, as indexes into the request's months and subjects. */
export interface Position {
  readonly month: number;
  readonly subject: number;
  readonly page: number;
}

/** Months since the year 0. */
function index(month: string): number {
  return Number(month.slice(0, 4)) * 12 + Number(month.slice(5, 7)) - 1;
}

/** For example, "2025-11" to "2026-02" are four months. Throws if the order is wrong or the span too long. */
export function monthsBetween(startMonth: string, endMonth: string): string[] {
  const count = index(endMonth) - index(startMonth) + 1;
  if (count < 1) throw invalidField("end_month", `must not be before \`start_month\`, which is ${startMonth}`, endMonth);
  if (count > MAX_MONTHS) {
    const message = `must be at most ${MAX_MONTHS} months after \`start_month\`, both included. These are ${count} months`;
    throw invalidField("end_month", message, endMonth);
  }
  return Array.from({ length: count }, (_, offset) => {
    const month = index(startMonth) + offset;
    return `${String(Math.floor(month / 12)).padStart(4, "0")}-${String((month % 12) + 1).padStart(2, "0")}`;
  });
}

const NO_CURSOR = "must be the unchanged cursor of an earlier response";

/** Identifies the query of a cursor, which is valid only for that query. */
function fingerprintOf({ startMonth, endMonth, maxPagesPerMonth, subjects }: ReleasesQuery): string {
  return JSON.stringify([startMonth, endMonth, maxPagesPerMonth, subjects]);
}

export function cursorOf(request: ReleasesQuery, { month, subject, page }: Position): string {
  return toBase64Url(JSON.stringify({ at: [month, subject, page], of: fingerprintOf(request) }));
}

const cursor = z.object({ at: z.tuple([z.int().min(0), z.int().min(0), z.int().min(1)]), of: z.string() });

/** The position of a cursor. Throws if it is malformed or belongs to another query. */
export function positionOf(request: ReleasesQuery, { months, subjects }: ReleasesRange, resume: string): Position {
  const parsed = cursor.safeParse(fromBase64Url(resume));
  if (!parsed.success) throw invalidField("resume", NO_CURSOR);
  if (parsed.data.of !== fingerprintOf(request))
    throw invalidField("resume", "must be sent with the same months, subjects and pages as before. Change only `resume`");
  const [month, subject, page] = parsed.data.at;
  const within = month < months.length && subject < subjects.length && page <= pagesAllowed(request);
  if (!within) throw invalidField("resume", NO_CURSOR);
  return { month, subject, page };
}

/** Maximum pages per month and subject. */
export function pagesAllowed({ maxPagesPerMonth }: ReleasesQuery): number {
  return Math.min(maxPagesPerMonth, lastPage(RELEASES_PAGE_SIZE));
}
