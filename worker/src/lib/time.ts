/** Times in epoch milliseconds, UTC days, and ISO 8601. No I/O. No clock. */
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** The UTC day that contains `now`, YYYY-MM-DD. */
export function dayOf(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}

export function startOfDay(now: number): number {
  return Math.floor(now / DAY_MS) * DAY_MS;
}

/** The next 00:00 UTC, always after `now`. */
export function endOfDay(now: number): number {
  return startOfDay(now) + DAY_MS;
}

/** The earliest of the known times. */
export function earliest(...times: (number | null)[]): number | null {
  const known = times.filter((at) => at !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** UTC, 0 to 23. */
export function hourOf(now: number): number {
  return Math.floor((now - startOfDay(now)) / HOUR_MS);
}

/** ISO 8601 in UTC without milliseconds. */
export function isoSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d{3}Z$/, "Z");
}

export const isoOrNull = (time: number | null): string | null => (time === null ? null : isoSeconds(time));
