/** The Worker's log lines, made short enough to be read as they pass. No I/O. */
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

/** Stands in every line, and helps only those who search a log. */
const HIDDEN = new Set(["level", "message", "stack", "error_name", "request_id", "trace_id", "duration_ms"]);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}

/** Ours are one JSON object each; the runtime's own are text. */
export function readLog({ level, message }: RuntimeLog): LogLine {
  try {
    const fields: unknown = JSON.parse(message);
    if (isObject(fields)) return { level: textOf(fields["level"], level), message: textOf(fields["message"], ""), fields };
  } catch {
    // Not one of ours.
  }
  return { level, message: stripVTControlCharacters(message.split("\n", 1)[0] ?? ""), fields: {} };
}

export function isWorthShowing({ level, message }: LogLine): boolean {
  return (level === "warn" || level === "error") && message !== "";
}

/** `14:03:11 error  The database did not answer  error="no such table" path=/health`, cut to `width` characters. */
export function shortLine({ level, message, fields }: LogLine, now: Date, width: number): string {
  const details = Object.entries(fields).flatMap(([name, value]) => (HIDDEN.has(name) ? [] : [`${name}=${shown(value)}`]));
  const line = [`${now.toTimeString().slice(0, 8)} ${level.padEnd(5)}`, message, details.join(" ")].join("  ").trimEnd();
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

function shown(value: unknown): string {
  return typeof value === "string" && /^[\w./:@-]+$/u.test(value) ? value : JSON.stringify(value);
}
