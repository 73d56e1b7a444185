/** Builds the response of a decision and a result, with the effects of faults. */
import type { Admission } from "./account.ts";
import { formatResult } from "./dialect.ts";
import type { Fault } from "./faults.ts";
import { MINUTE_QUOTA } from "./results.ts";
import type { Answer, Result } from "./results.ts";

const error = (status: number, message: string): Result => ({ kind: "error", status, message });

const OVER_IN_2025 = error(403, "daily hits reached");
const OVER_IN_2026 = error(429, "Daily quota exceeded, please try again later");

/** Result of a granted request, or the provider's refusal. */
const resultFor = ({ verdict, fault, settings }: Admission, granted: () => Result): Result => {
  switch (verdict) {
    case "billed":
    case "free":
      return granted();
    case "minute_quota":
      return error(429, MINUTE_QUOTA);
    case "daily_quota":
      return fault?.kind !== "daily_quota" && settings.dialect === "2025" ? OVER_IN_2025 : OVER_IN_2026;
    case "daily_403":
      return OVER_IN_2025;
    case "wrong_plan":
      return error(403, "Your subscription plan does not include this API host");
    case "abandoned":
      return error(504, "Gateway Timeout");
  }
};

/** Messages of statuses without a given body. */
const STATUS_MESSAGES: Record<number, string> = {
  404: "Not Found",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304]);

const statusOfFault = ({ status, body }: Extract<Fault, { kind: "status" }>, { settings }: Admission): Answer => {
  if (body !== undefined) return { status, body };
  return formatResult(error(status, STATUS_MESSAGES[status] ?? `Status ${status}`), settings.dialect);
};

const answerOf = (admission: Admission, granted: () => Result): Answer => {
  const { fault, settings, verdict } = admission;
  const reached = verdict === "billed" || verdict === "free";
  if (reached && fault?.kind === "status") return statusOfFault(fault, admission);
  if (reached && fault?.kind === "too_large")
    return formatResult(error(500, "Response payload size exceeded maximum allowed payload size"), settings.dialect);
  return formatResult(resultFor(admission, granted), settings.dialect);
};

/** Wrangler's proxy repeats a GET if the connection breaks before the headers arrive. */
const HEADERS_ARRIVE_WITHIN_MS = 250;

/** Announces the full length, sends half and then breaks the connection. */
const brokenBody = (bytes: Uint8Array): ReadableStream => {
  const { readable, writable } = new FixedLengthStream(bytes.byteLength);
  const writer = writable.getWriter();
  const breakHalfway = async (): Promise<void> => {
    await writer.write(bytes.subarray(0, Math.floor(bytes.byteLength / 2)));
    await scheduler.wait(HEADERS_ARRIVE_WITHIN_MS);
    await writer.abort(new Error("connection reset on demand"));
  };
  // Errors of the broken connection are expected.
  breakHalfway().catch(() => undefined);
  return readable;
};

const applyFault = (text: string, fault: Fault | undefined): string | ReadableStream => {
  const kind = fault?.kind;
  if (kind === "malformed_json") return text.replace(":", "=");
  if (kind === "cut_off_json") return text.slice(0, Math.floor(text.length / 2));
  return kind === "reset_connection" ? brokenBody(new TextEncoder().encode(text)) : text;
};

/** Delay of the response after billing. */
export const delayMs = ({ fault, settings }: Admission): number =>
  settings.latency_ms + (fault !== undefined && "hang_ms" in fault ? fault.hang_ms : 0);

export const send = (admission: Admission, granted: () => Result): Response => {
  const { fault, headers } = admission;
  const { status, body } = answerOf(admission, granted);
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const type = typeof body === "string" ? "text/html; charset=utf-8" : "application/json";
  const limits = fault?.kind === "missing_headers" ? {} : headers;
  return new Response(NULL_BODY_STATUSES.has(status) ? null : applyFault(text, fault), {
    status,
    headers: { "content-type": type, ...limits, ...fault?.headers },
  });
};
