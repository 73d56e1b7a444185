/** Formats numbers and times for people. No I/O. No clock: `now` is an argument. All times are epoch milliseconds. */
import { DAY_MS, HOUR_MS, MINUTE_MS, dayOf, isoSeconds } from "../lib/time.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** 13,000. */
export const formatCount = (count: number): string => count.toLocaleString("en-US");

/** "1 call", "56 calls". */
export const quantity = (count: number, one: string, many = `${one}s`): string => `${formatCount(count)} ${count === 1 ? one : many}`;

/** "14:03 UTC". */
export const clockTime = (time: number): string => `${isoSeconds(time).slice(11, 16)} UTC`;

/** "14:03:11 UTC". */
export const preciseTime = (time: number): string => `${isoSeconds(time).slice(11, 19)} UTC`;

/** "14 May", or "14 May 2024" in another year. */
export function dayName(date: string, now: number): string {
  const [year = "", month = "", day = ""] = date.split("-");
  const short = `${Number(day)} ${MONTHS[Number(month) - 1] ?? month}`;
  return year === isoSeconds(now).slice(0, 4) ? short : `${short} ${year}`;
}

/** "14:03 UTC" for today, "12 May, 14:03 UTC" for another day. */
export function dateTime(time: number, now: number): string {
  const date = dayOf(time);
  return date === dayOf(now) ? clockTime(time) : `${dayName(date, now)}, ${clockTime(time)}`;
}

/** "45 s", "12 min", "3 h 20 min", "4 days". At most two parts. */
export function duration(milliseconds: number): string {
  const length = Math.max(0, milliseconds);
  if (length < MINUTE_MS) return `${Math.round(length / 1_000)} s`;
  const minutes = Math.floor(length / MINUTE_MS);
  if (length < HOUR_MS) return `${minutes} min`;
  if (length < 2 * DAY_MS) {
    const rest = minutes % 60;
    return rest === 0 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
  }
  return `${Math.floor(length / DAY_MS)} days`;
}

/** "just now", "5 min ago", "in 3 h". Past six hours the minutes are omitted. */
export function relative(time: number, now: number): string {
  const distance = Math.abs(now - time);
  if (distance < MINUTE_MS) return time > now ? "in less than a minute" : "just now";
  const rounded = distance > 6 * HOUR_MS ? Math.floor(distance / HOUR_MS) * HOUR_MS : distance;
  return time > now ? `in ${duration(rounded)}` : `${duration(rounded)} ago`;
}

/** Duration of one attempt: "310 ms", "2.1 s", "4 min". */
export function shortDuration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${milliseconds} ms`;
  return milliseconds < MINUTE_MS ? `${(milliseconds / 1_000).toFixed(1)} s` : duration(milliseconds);
}

/** Duration between start and end. A dash while it is unknown. */
export function elapsed({
  started_at: from,
  ended_at: to,
}: {
  readonly started_at: number | null;
  readonly ended_at: number | null;
}): string {
  return from === null || to === null ? "–" : shortDuration(to - from);
}

const UNITS = ["kB", "MB", "GB"];

/** "310 bytes", "2.1 kB", "48 MB". */
export function fileSize(bytes: number): string {
  if (bytes < 1_000) return quantity(bytes, "byte");
  const power = Math.min(UNITS.length, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1_000 ** power;
  return `${value < 10 ? value.toFixed(1) : formatCount(Math.round(value))} ${UNITS[power - 1] ?? ""}`;
}

const CAP_NAMES: Readonly<Record<string, string>> = {
  db_queries_per_day: "Database queries",
  realtime_connections: "Connections",
  storage_uploads_per_day: "Storage uploads",
  function_invocations_per_day: "Function calls",
};

/** Name of a cap for people. */
export const capName = (type: string): string => CAP_NAMES[type] ?? type;

/** Name of the reason for a suspension. */
export function reasonName(reason: string): string {
  const [kind, subject = ""] = reason.split(":");
  if (kind === "quota") return `Over its cap: ${capName(subject).toLowerCase()}`;
  if (kind === "abuse") return `Abuse: ${patternName(subject).toLowerCase()}`;
  return reason === "admin" ? "Suspended manually" : reason;
}

/** Detail of a reason. Groups digits in our own texts ("1,010 of 1,000") and leaves a person's words unchanged. */
export function reasonDetail(reason: string, detail: string): string {
  return reason.startsWith("quota:") ? detail.replaceAll(/\d{4,15}/gu, (digits) => formatCount(Number(digits))) : detail;
}

/** Name of an abuse pattern: "Error spike". */
export const patternName = (pattern: string): string => `${pattern.slice(0, 1)}${pattern.slice(1).toLowerCase().replaceAll("_", " ")}`;
