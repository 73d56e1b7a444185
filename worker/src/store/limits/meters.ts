/** Meters and caps, as the tables name them. */

/** A project's caps: three counters that start at 0 every UTC day, and one gauge. */
export const CAP_TYPES = ["db_queries_per_day", "realtime_connections", "storage_uploads_per_day", "function_invocations_per_day"] as const;
export type CapType = (typeof CAP_TYPES)[number];

/** Meters that usage reports may name: the caps, and the billed calls. */
export const METERS = [...CAP_TYPES, "api_calls"] as const;
export type Meter = (typeof METERS)[number];
