/** How long the catalogue's knowledge is worth a call saved. No I/O. No clock. */
import { DAY_MS } from "../lib/time.ts";

export const BOOKS_FRESH_MS = 30 * DAY_MS;
/** Shorter: the provider adds what it does not know, often within a day. */
export const MISSES_FRESH_MS = 7 * DAY_MS;
