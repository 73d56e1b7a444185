/** What is metered, in the words of the tables. */

/** What a project is capped in: three counters that begin at 0 with every UTC day, and one gauge. */
export const CAP_TYPES = ["db_queries_per_day", "realtime_connections", "storage_uploads_per_day", "function_invocations_per_day"] as const;
export type CapType = (typeof CAP_TYPES)[number];

/** What usage may be reported for: the caps, and what an organisation is billed for. */
export const METERS = [...CAP_TYPES, "api_calls"] as const;
export type Meter = (typeof METERS)[number];
