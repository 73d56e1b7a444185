/** How long catalog entries save a call. No I/O. No clock. */
import { DAY_MS } from "../lib/time.ts";

export const BOOKS_FRESH_MS = 30 * DAY_MS;
/** Shorter, because the provider often adds missing books within a day. */
export const MISSES_FRESH_MS = 7 * DAY_MS;
