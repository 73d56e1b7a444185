/** UTC days as quota windows. No I/O. No clock: `now` is always given, in epoch milliseconds. */

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** A commit this close to midnight cannot be told apart from one on the other side: clocks differ. */
export const MIDNIGHT_MARGIN_MS = 5 * SECOND_MS;
/** The provider's own reset may lag: what it counts in the first two minutes may still be yesterday's. */
export const PROVIDER_RESET_LAG_MS = 120 * SECOND_MS;

/** The UTC day that contains `now`, YYYY-MM-DD. */
export function windowOf(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}

export function windowStart(now: number): number {
  return Math.floor(now / DAY_MS) * DAY_MS;
}

/** The next 00:00 UTC: always later than `now`. */
export function resetAt(now: number): number {
  return windowStart(now) + DAY_MS;
}

/** 0 to 23, UTC. */
export function hourOf(now: number): number {
  return Math.floor((now - windowStart(now)) / HOUR_MS);
}

/** ISO 8601 in UTC without milliseconds. */
export function isoSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d{3}Z$/, "Z");
}

/**
 * The windows that a reservation is charged in, from where it was opened and where it ends. One window is simple. Across a midnight,
 * a request surely sent on one side is charged there; without a time of sending, or within the margin, both are charged.
 */
export function chargedWindows(openedAt: number, endedAt: number, sentAt: number | undefined): readonly string[] {
  const opened = windowOf(openedAt);
  const ended = windowOf(endedAt);
  if (opened === ended) return [opened];
  const midnight = windowStart(endedAt);
  if (sentAt === undefined || Math.abs(sentAt - midnight) <= MIDNIGHT_MARGIN_MS) return [opened, ended];
  return [windowOf(sentAt)];
}
