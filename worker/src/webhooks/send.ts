/** The only place that calls an endpoint. One call is at most one request; what the receiver does is data, and nothing it does throws. */
import { readBeginning } from "../lib/read-text.ts";
import { retryAfterSeconds } from "../lib/retry-after.ts";
import { readAddress } from "./address.ts";
import { signedHeaders } from "./signature.ts";

/** Of headers and body together. */
const TIMEOUT_SECONDS = 15;
const MAX_RESPONSE_BYTES = 20_000;

export interface Outgoing {
  readonly url: string;
  /** The header `webhook-id`. */
  readonly messageId: string;
  readonly body: string;
  /** The newest first; each signs. */
  readonly secrets: readonly string[];
}

export interface Answer {
  /** False where the address may not be called: nothing left the house. */
  readonly sent: boolean;
  /** null: no answer came. */
  readonly status: number | null;
  /** In words; null for a 2xx. */
  readonly error: string | null;
  /** The first 20 KB of the body; null where no answer came. */
  readonly response: string | null;
  readonly retryAfterSeconds: number | null;
  /** Epoch milliseconds of the given clock. */
  readonly startedAt: number;
  readonly endedAt: number;
}

/** `clock` gives epoch milliseconds. */
export async function send(
  { url, messageId, body, secrets }: Outgoing,
  { allowPrivate, clock }: { readonly allowPrivate: boolean; readonly clock: () => number },
): Promise<Answer> {
  const startedAt = clock();
  const none = { status: null, response: null, retryAfterSeconds: null, startedAt };
  // Looked at again: what was allowed when it was named may not be today.
  const address = readAddress(url, { allowPrivate, ownHost: null });
  if ("refused" in address) return { ...none, sent: false, error: `Not sent: the address ${address.refused}.`, endedAt: startedAt };

  const signed = await signedHeaders({ id: messageId, timestamp: Math.floor(startedAt / 1_000), body }, secrets);
  const headers = { ...signed, "content-type": "application/json", "user-agent": "quota-coordinator-webhooks/1.0" };
  const signal = AbortSignal.timeout(TIMEOUT_SECONDS * 1_000);
  let response: Response;
  try {
    // "manual": a redirect would carry the message to a place that nobody has looked at.
    response = await globalThis.fetch(address.url, { method: "POST", headers, body, redirect: "manual", signal });
  } catch {
    const error = signal.aborted
      ? `No answer within ${TIMEOUT_SECONDS} s.`
      : "No connection: the name is not known, nobody listens there, or the certificate is not valid.";
    return { ...none, sent: true, error, endedAt: clock() };
  }
  const { status } = response;
  // The status decides, however the body goes on: a receiver that said 2xx has the message.
  const { text } = await readBeginning(response.body, MAX_RESPONSE_BYTES, signal);
  const endedAt = clock();
  return {
    sent: true,
    status,
    error: complaint(status),
    // SQLite ends texts at a NUL where it shows them.
    response: text.replaceAll("\0", "\u{FFFD}"),
    retryAfterSeconds: retryAfterSeconds(response.headers.get("retry-after"), endedAt),
    startedAt,
    endedAt,
  };
}

function complaint(status: number): string | null {
  if (status >= 200 && status <= 299) return null;
  if (status >= 300 && status <= 399) return `Answered ${status}: redirects are not followed. Name the address where it leads to.`;
  return status === 410 ? "Answered 410: the receiver wants no more." : `Answered ${status}.`;
}
