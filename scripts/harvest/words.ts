/** Numbers and spans of time for people. No I/O. */

export const SECOND_MS = 1_000;

export const grouped = (count: number): string => count.toLocaleString("en-US");

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** `4 s`, `12 min`, `3 h 05 min`, `2 days 4 h`. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / SECOND_MS));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${counted(Math.floor(hours / 24), "day")} ${hours % 24} h`;
}

/** `05:12:33`. */
export function countdown(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / SECOND_MS));
  return [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, "0")).join(":");
}

/** One line, whatever somebody's name or a server's sentence holds: a terminal obeys control characters. */
export const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ");

/** `2025-12-31T00:00:00Z` as `00:00 UTC`. */
export const clockTime = (iso: string): string => `${iso.slice(11, 16)} UTC`;

/** What somebody put into a list of authors may be anything but a name. */
export const shortened = (name: string): string => (name.length > 60 ? `${name.slice(0, 59)}…` : name);
