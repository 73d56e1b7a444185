/** The API's answers as far as the harvest reads them; fields it does not know are left alone. No I/O. */
import { z } from "zod";

const count = z.int().min(0);

export const quotaStatus = z.object({
  date: z.string(),
  daily_limit: count,
  safety_limit: count,
  used: count,
  reserved: count,
  remaining: count,
  percentage_used: z.number(),
  reset_at: z.iso.datetime(),
  can_make_calls: z.boolean(),
  /** What bulk work may have: what is left, less the floor for interactive callers. */
  background: z.object({ floor: count, remaining: count }).nullable().catch(null),
  enforcement: z.string(),
  /** `snapshot`: the ledger did not answer, and this is what it published last. */
  source: z.enum(["ledger", "snapshot"]),
  as_of: z.string(),
  /** An operator who lowers the day's count leaves a negative number under its own name. */
  callers: z.array(z.object({ caller: z.string(), used: z.int() })),
  forecast: z.object({ calls_per_hour: count, exhausted_at: z.string().nullable() }),
});

export type QuotaStatus = z.infer<typeof quotaStatus>;

/**
 * Only the ledger itself can say that the day is over for bulk work: without it nobody knows. What others hold may come back within
 * minutes, so that only what is spent ends a day.
 */
export function saysDayIsOver({ source, enforcement, safety_limit, used, background }: QuotaStatus): boolean {
  return source === "ledger" && enforcement === "enforce" && used + (background?.floor ?? 0) >= safety_limit;
}

export const bibliography = z.object({
  author: z.string(),
  /** In the pages of this answer; of the whole bibliography where it is `cached`. */
  books_found: count,
  pages_fetched: count,
  api_calls: count,
  cached: z.boolean(),
  complete: z.boolean(),
  quota_exhausted: z.boolean(),
  next_page: z.int().min(1).optional(),
  errors: z.array(z.object({ page: z.int(), code: z.string(), message: z.string() })),
  /** Shown, and not needed: an answer that was paid for is not thrown away for it. */
  quota: quotaStatus.nullable().catch(null),
});

export type Bibliography = z.infer<typeof bibliography>;

export const topAuthors = z.object({
  authors: z.array(z.object({ author_name: z.string(), edition_count: count })),
});

/** A problem as the API tells it; anything else that is no success has none of this. */
export const problem = z.object({
  code: z.string().optional().catch(undefined),
  detail: z.string().optional().catch(undefined),
  reset_at: z.iso.datetime().optional().catch(undefined),
  /** When calls that are only held may be had again. */
  available_at: z.iso.datetime().optional().catch(undefined),
  calls_charged: count.optional().catch(undefined),
  retry: z.enum(["no", "later", "after_reset"]).optional().catch(undefined),
  quota: quotaStatus.optional().catch(undefined),
});

export type ProblemBody = z.infer<typeof problem>;
