/** Shortens log lines of the Worker for the screen. No I/O. */
import { stripVTControlCharacters } from "node:util";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface RuntimeLog {
  readonly level: string;
  readonly message: string;
}

/** Fields of every line that only help in a log search. */
const HIDDEN = new Set(["level", "message", "stack", "error_name", "request_id", "trace_id", "duration_ms"]);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}

/** Lines of the Worker are JSON objects. Lines of the runtime are text. */
export function readLog({ level, message }: RuntimeLog): LogLine {
  try {
    const fields: unknown = JSON.parse(message);
    if (isObject(fields)) return { level: textOf(fields["level"], level), message: textOf(fields["message"], ""), fields };
  } catch {
    // A line of the runtime.
  }
  return { level, message: stripVTControlCharacters(message.split("\n", 1)[0] ?? ""), fields: {} };
}

export function isWorthShowing({ level, message }: LogLine): boolean {
  return (level === "warn" || level === "error") && message !== "";
}

/** `14:03:11 error  Database query failed  error="no such table" path=/health`, cut to `width` characters. */
export function shortLine({ level, message, fields }: LogLine, now: Date, width: number): string {
  const details = Object.entries(fields).flatMap(([name, value]) => (HIDDEN.has(name) ? [] : [`${name}=${formatValue(value)}`]));
  const line = [`${now.toTimeString().slice(0, 8)} ${level.padEnd(5)}`, message, details.join(" ")].join("  ").trimEnd();
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

function formatValue(value: unknown): string {
  return typeof value === "string" && /^[\w./:@-]+$/u.test(value) ? value : JSON.stringify(value);
}
