/**
 * Sends traces to the collector: OTLP over HTTP, in JSON. No request waits for it. Failures appear only in two counters and, once a minute,
 * in the log. Nothing is sent again: missing spans are counted as lost.
 */
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { MIN_SECRET_LENGTH, errorFields, log, withoutKeySecrets } from "../lib/log.ts";
import { parsedJson, readText } from "../lib/read-text.ts";

export interface Collector {
  readonly url: string;
  /** Removed from all messages before they are sent. */
  readonly secrets: readonly string[];
}

const TIMEOUT_MS = 5_000;
/** Limits exports in flight to a collector that hangs. A working collector stays below it. */
const MAX_UNDER_WAY = 64;
/** The response is `{}`, or a sentence about refused spans. */
const MAX_ANSWER_BYTES = 64 * 1024;
const WARN_EVERY_MS = 60_000;

/** Counts of this instance for `/metrics`. Lost: the export failed, or too many were in flight. */
const counts = { spans_exported: 0, spans_lost: 0, exports_succeeded: 0, exports_failed: 0 };
/** Start of each export. The platform may kill a request before its export ends, so old ones count as ended. */
const underWay = new Set<{ readonly since: number }>();
let warnedAt = Number.NEGATIVE_INFINITY;

export const exportCounts = (): Readonly<typeof counts> => ({ ...counts });

/** Never throws. Takes at most a few seconds. */
export async function exportSpans(spans: readonly ReadableSpan[], collector: Collector, clock: () => number): Promise<void> {
  // Serializing spans takes time, so it runs after the response.
  await new Promise((resolve) => setTimeout(resolve, 0));
  const mine = { since: clock() };
  for (const other of underWay) if (Math.abs(mine.since - other.since) > 2 * TIMEOUT_MS) underWay.delete(other);
  if (underWay.size >= MAX_UNDER_WAY) {
    lost(spans.length, { reason: "too many exports are in flight" }, collector, clock());
    return;
  }
  underWay.add(mine);
  try {
    const refused = Math.min(spans.length, await send(bodyOf(spans, collector.secrets), collector.url));
    counts.exports_succeeded += 1;
    counts.spans_exported += spans.length - refused;
    if (refused > 0) lost(refused, { reason: "the collector refused them" }, collector, clock());
  } catch (error) {
    counts.exports_failed += 1;
    const { error: reason } = errorFields(error);
    lost(spans.length, { reason }, collector, clock());
  } finally {
    underWay.delete(mine);
  }
}

function bodyOf(spans: readonly ReadableSpan[], secrets: readonly string[]): string {
  const json = new TextDecoder().decode(JsonTraceSerializer.serializeRequest([...spans]));
  const blotted = secrets
    .filter((secret) => secret.length >= MIN_SECRET_LENGTH)
    .reduce((text, secret) => text.replaceAll(JSON.stringify(secret).slice(1, -1), "[secret]"), json);
  return withoutKeySecrets(blotted);
}

/** Number of spans that the collector refused. Throws if the response is not from a collector. */
async function send(body: string, url: string): Promise<number> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const headers = { "content-type": "application/json" };
  const response = await globalThis.fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
  const text = await readText(response.body, MAX_ANSWER_BYTES, signal);
  if (!response.ok) throw new Error(`the collector answered ${response.status}`);
  if (text === null) throw new Error("the collector's answer was too large or too slow");
  return text.trim() === "" ? 0 : refusedSpans(text);
}

function refusedSpans(text: string): number {
  const answer = parsedJson(text);
  if (typeof answer !== "object" || answer === null) throw new Error("the collector's answer is not OTLP: is the endpoint right?");
  const { partialSuccess } = answer as { readonly partialSuccess?: { readonly rejectedSpans?: number | string } | null };
  // Protobuf's JSON writes 64-bit numbers as strings.
  const refused = Number(partialSuccess?.rejectedSpans ?? 0);
  return Number.isSafeInteger(refused) && refused > 0 ? refused : 0;
}

function lost(spans: number, why: Readonly<Record<string, unknown>>, { url }: Collector, now: number): void {
  counts.spans_lost += spans;
  if (Math.abs(now - warnedAt) < WARN_EVERY_MS) return;
  warnedAt = now;
  // The origin only, because the query may contain a token.
  log.warn("Sending traces failed", { collector: new URL(url).origin, ...why, ...counts });
}
