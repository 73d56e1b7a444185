/** Formats numbers, durations and names for people. No I/O. */

export const SECOND_MS = 1_000;

export const formatCount = (count: number): string => count.toLocaleString("en-US");

export function quantity(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `4 s`, `12 min`, `3 h 05 min`, `2 days 4 h`. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / SECOND_MS));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${quantity(Math.floor(hours / 24), "day")} ${hours % 24} h`;
}

/** `05:12:33`. */
export function countdown(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / SECOND_MS));
  return [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, "0")).join(":");
}

/** Removes control characters from names and server texts, because a terminal obeys them. */
export const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ");

/** `2025-12-31T00:00:00Z` as `00:00 UTC`. */
export const clockTime = (iso: string): string => `${iso.slice(11, 16)} UTC`;

/** Shortens long names. A list of authors may contain other text. */
export const shorten = (name: string): string => (name.length > 60 ? `${name.slice(0, 59)}…` : name);
