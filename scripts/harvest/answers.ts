/** Schemas of the API responses that the harvest reads. Other fields are ignored. No I/O. */
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
  /** Remaining calls for background work: all remaining calls minus the floor. */
  background: z.object({ floor: count, remaining: count }).nullable().catch(null),
  enforcement: z.string(),
  /** `snapshot`: the ledger is unavailable, and this is its last published state. */
  source: z.enum(["ledger", "snapshot"]),
  as_of: z.string(),
  /** `used` is negative for the caller `operator` if today's count was lowered. */
  callers: z.array(z.object({ caller: z.string(), used: z.int() })),
  forecast: z.object({ calls_per_hour: count, exhausted_at: z.string().nullable() }),
});

export type QuotaStatus = z.infer<typeof quotaStatus>;

/**
 * Whether background work has used up today's calls. False without the ledger, because a snapshot is not exact. Reserved calls may be
 * released within minutes, so that only used calls count.
 */
export function isDayUsedUp({ source, enforcement, safety_limit, used, background }: QuotaStatus): boolean {
  return source === "ledger" && enforcement === "enforce" && used + (background?.floor ?? 0) >= safety_limit;
}

export const bibliography = z.object({
  author: z.string(),
  /** Books in the pages of this response, or in the whole bibliography if `cached`. */
  books_found: count,
  pages_fetched: count,
  api_calls: count,
  cached: z.boolean(),
  complete: z.boolean(),
  quota_exhausted: z.boolean(),
  next_page: z.int().min(1).optional(),
  errors: z.array(z.object({ page: z.int(), code: z.string(), message: z.string() })),
  /** Only displayed. An invalid value does not reject a response that cost calls. */
  quota: quotaStatus.nullable().catch(null),
});

export type Bibliography = z.infer<typeof bibliography>;

export const topAuthors = z.object({
  authors: z.array(z.object({ author_name: z.string(), edition_count: count })),
});

/** Problem document of the API. Errors of other servers have none of these fields. */
export const problem = z.object({
  code: z.string().optional().catch(undefined),
  detail: z.string().optional().catch(undefined),
  reset_at: z.iso.datetime().optional().catch(undefined),
  /** When reserved calls may be available again. */
  available_at: z.iso.datetime().optional().catch(undefined),
  calls_charged: count.optional().catch(undefined),
  retry: z.enum(["no", "later", "after_reset"]).optional().catch(undefined),
  quota: quotaStatus.optional().catch(undefined),
});

export type ProblemBody = z.infer<typeof problem>;
