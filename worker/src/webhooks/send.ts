/** Makes all requests to endpoints. One call makes at most one request. The receiver's behavior is data and never throws. */
import { readStart } from "../lib/read-text.ts";
import { retryAfterSeconds } from "../lib/retry-after.ts";
import { readAddress } from "./address.ts";
import { signedHeaders } from "./signature.ts";

/** Covers headers and body. */
const TIMEOUT_SECONDS = 15;
const MAX_RESPONSE_BYTES = 20_000;

export interface Outgoing {
  readonly url: string;
  /** The header `webhook-id`. */
  readonly messageId: string;
  readonly body: string;
  /** Newest first. Each adds a signature. */
  readonly secrets: readonly string[];
}

export interface Answer {
  /** False if the address was blocked before any request was made. */
  readonly sent: boolean;
  /** null: no response. */
  readonly status: number | null;
  /** An explanation for people. Null for a 2xx. */
  readonly error: string | null;
  /** The first 20 KB of the body. Null without a response. */
  readonly response: string | null;
  readonly retryAfterSeconds: number | null;
  /** Epoch milliseconds of the given clock. */
  readonly startedAt: number;
  readonly endedAt: number;
}

/** `clock` returns epoch milliseconds. */
export async function send(
  { url, messageId, body, secrets }: Outgoing,
  { allowPrivate, clock }: { readonly allowPrivate: boolean; readonly clock: () => number },
): Promise<Answer> {
  const startedAt = clock();
  const none = { status: null, response: null, retryAfterSeconds: null, startedAt };
  // Checked again, because the rules may have changed since the endpoint was created.
  const address = readAddress(url, { allowPrivate, ownHost: null });
  if ("refused" in address) return { ...none, sent: false, error: `Not sent: the address ${address.refused}.`, endedAt: startedAt };

  const signed = await signedHeaders({ id: messageId, timestamp: Math.floor(startedAt / 1_000), body }, secrets);
  const headers = { ...signed, "content-type": "application/json", "user-agent": "quota-coordinator-webhooks/1.0" };
  const signal = AbortSignal.timeout(TIMEOUT_SECONDS * 1_000);
  let response: Response;
  try {
    // "manual": a redirect would send the message to an unchecked address.
    response = await globalThis.fetch(address.url, { method: "POST", headers, body, redirect: "manual", signal });
  } catch {
    const error = signal.aborted
      ? `No response within ${TIMEOUT_SECONDS} s.`
      : "Connection failed: unknown host name, closed port, or invalid certificate.";
    return { ...none, sent: true, error, endedAt: clock() };
  }
  const { status } = response;
  // The status decides, even if the body is cut off. A receiver that responded with 2xx has the message.
  const { text } = await readStart(response.body, MAX_RESPONSE_BYTES, signal);
  const endedAt = clock();
  return {
    sent: true,
    status,
    error: complaint(status),
    // SQLite ends displayed texts at a NUL.
    response: text.replaceAll("\0", "\u{FFFD}"),
    retryAfterSeconds: retryAfterSeconds(response.headers.get("retry-after"), endedAt),
    startedAt,
    endedAt,
  };
}

function complaint(status: number): string | null {
  if (status >= 200 && status <= 299) return null;
  if (status >= 300 && status <= 399) return `Answered ${status}: redirects are not followed. Use the final address.`;
  return status === 410 ? "Answered 410: the receiver no longer exists." : `Answered ${status}.`;
}
