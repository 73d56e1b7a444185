/** From a decision and a result to the bytes that leave, spoiled where a fault asks for it. */
import type { Admission } from "./account.ts";
import { speak } from "./dialect.ts";
import type { Fault } from "./faults.ts";
import { MINUTE_QUOTA } from "./results.ts";
import type { Answer, Result } from "./results.ts";

const error = (status: number, message: string): Result => ({ kind: "error", status, message });

const OVER_IN_2025 = error(403, "daily hits reached");
const OVER_IN_2026 = error(429, "Daily quota exceeded, please try again later");

/** Refusals in the provider's words; what was granted gets its result. */
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

/** Words for statuses that come without a body of the test's own. */
const STATUS_WORDS: Record<number, string> = {
  404: "Not Found",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304]);

const orderedStatus = ({ status, body }: Extract<Fault, { kind: "status" }>, { settings }: Admission): Answer => {
  if (body !== undefined) return { status, body };
  return speak(error(status, STATUS_WORDS[status] ?? `Status ${status}`), settings.dialect);
};

const answerOf = (admission: Admission, granted: () => Result): Answer => {
  const { fault, settings, verdict } = admission;
  const reached = verdict === "billed" || verdict === "free";
  if (reached && fault?.kind === "status") return orderedStatus(fault, admission);
  if (reached && fault?.kind === "too_large")
    return speak(error(500, "Response payload size exceeded maximum allowed payload size"), settings.dialect);
  return speak(resultFor(admission, granted), settings.dialect);
};

/** Wrangler's proxy silently repeats a GET whose connection dies before the headers have reached it. */
const HEADERS_ON_THEIR_WAY_MS = 250;

/** Announces the whole length, sends half and breaks: the client's socket dies. */
const brokenBody = (bytes: Uint8Array): ReadableStream => {
  const { readable, writable } = new FixedLengthStream(bytes.byteLength);
  const writer = writable.getWriter();
  const breakHalfway = async (): Promise<void> => {
    await writer.write(bytes.subarray(0, Math.floor(bytes.byteLength / 2)));
    await scheduler.wait(HEADERS_ON_THEIR_WAY_MS);
    await writer.abort(new Error("connection reset on demand"));
  };
  // Either end may be gone by then: that is the point.
  breakHalfway().catch(() => undefined);
  return readable;
};

const spoil = (text: string, fault: Fault | undefined): string | ReadableStream => {
  const kind = fault?.kind;
  if (kind === "malformed_json") return text.replace(":", "=");
  if (kind === "cut_off_json") return text.slice(0, Math.floor(text.length / 2));
  return kind === "reset_connection" ? brokenBody(new TextEncoder().encode(text)) : text;
};

/** How long the answer is held back, after billing. */
export const delayMs = ({ fault, settings }: Admission): number =>
  settings.latency_ms + (fault !== undefined && "hang_ms" in fault ? fault.hang_ms : 0);

export const send = (admission: Admission, granted: () => Result): Response => {
  const { fault, headers } = admission;
  const { status, body } = answerOf(admission, granted);
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const type = typeof body === "string" ? "text/html; charset=utf-8" : "application/json";
  const limits = fault?.kind === "missing_headers" ? {} : headers;
  return new Response(NULL_BODY_STATUSES.has(status) ? null : spoil(text, fault), {
    status,
    headers: { "content-type": type, ...limits, ...fault?.headers },
  });
};
