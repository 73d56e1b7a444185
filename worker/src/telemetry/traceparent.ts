/** W3C Trace Context, level 2: one place in a trace as a header. No I/O. No clock. */
import { sha256Hex } from "../lib/bytes.ts";

export interface Place {
  /** 32 hex digits, not all zero. */
  readonly traceId: string;
  /** 16 hex digits, not all zero. */
  readonly spanId: string;
  /** The sender wants the trace recorded. */
  readonly sampled: boolean;
}

const FORM = /^(?<version>[\da-f]{2})-(?<traceId>[\da-f]{32})-(?<spanId>[\da-f]{16})-(?<flags>[\da-f]{2})(?<rest>-.*)?$/u;
const SAMPLED = 1;
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** null: the header is not valid, so a new trace begins. Later versions may add text after the known part. Version ff is forbidden. */
export function readTraceparent(header: string | null | undefined): Place | null {
  const { version, traceId, spanId, flags, rest } = FORM.exec(header?.trim() ?? "")?.groups ?? {};
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (version === "ff" || (version === "00" && rest !== undefined)) return null;
  if (/^0+$/u.test(traceId) || /^0+$/u.test(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

export function writeTraceparent({ traceId, spanId, sampled }: Place): string {
  return `00-${traceId}-${spanId}-0${sampled ? SAMPLED : 0}`;
}

function randomHex(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toHex();
}

/** All zeros are not an id. The chance is 2^-64. */
export const newTraceId = (): string => randomHex(TRACE_ID_BYTES);
export const newSpanId = (): string => randomHex(SPAN_ID_BYTES);

/**
 * The place of something with its own id. It is derived from the id, so it needs no storage. Without a parent it begins a trace, whose id is
 * derived from the name too.
 */
export async function placeOf(name: string, parent: Place | null): Promise<Place> {
  const digits = await sha256Hex(name);
  return {
    traceId: parent?.traceId ?? digits.slice(0, 2 * TRACE_ID_BYTES),
    spanId: digits.slice(2 * TRACE_ID_BYTES, 2 * (TRACE_ID_BYTES + SPAN_ID_BYTES)),
    sampled: parent?.sampled ?? true,
  };
}
