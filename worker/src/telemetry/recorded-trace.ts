/** A recorded trace with OpenTelemetry's spans. They are sent to the collector automatically when they end. */
import { waitUntil } from "cloudflare:workers";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace as api } from "@opentelemetry/api";
import type { Attributes as SdkAttributes, Context, HrTime, Span as SdkSpan } from "@opentelemetry/api";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import type { Resource } from "@opentelemetry/resources";
import { AlwaysOnSampler, TracerProvider } from "@opentelemetry/sdk-trace";
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";
import { Problem } from "../errors.ts";
import { exportSpans } from "./exporter.ts";
import type { Collector } from "./exporter.ts";
import type { Attributes, Kind, Past, RootTrace, Span } from "./trace.ts";
import { newSpanId, readTraceparent, writeTraceparent } from "./traceparent.ts";
import type { Place } from "./traceparent.ts";

export interface Recording {
  readonly serviceName: string;
  readonly collector: Collector;
  /** Epoch milliseconds. */
  readonly clock: () => number;
}

/** A trace may last minutes. This many ended spans are sent before its end, which bounds its memory. */
const SPANS_A_BATCH = 256;
/** Fits the detail of a problem. */
const MAX_TEXT_CHARACTERS = 512;
const MAX_ATTRIBUTES = 64;

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
} as const satisfies Record<Kind, SpanKind>;

/** Seconds and nanoseconds. The SDK would read a small number as the time of another clock. */
function timeOf(milliseconds: number): HrTime {
  const seconds = Math.floor(milliseconds / 1_000);
  return [seconds, Math.round((milliseconds - seconds * 1_000) * 1_000_000)];
}

/** Omits values that OTLP cannot express. JSON turns NaN into null, and integers beyond 2^53 are inexact. */
function sayable(attributes: Attributes): SdkAttributes {
  const fits = (value: unknown): boolean =>
    typeof value !== "number" || (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value));
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) => (value !== null && value !== undefined && fits(value) ? [[name, value]] : [])),
  );
}

/** One resource per service name, because the serializer groups spans by this object. */
const resources = new Map<string, Resource>();

function resourceOf(serviceName: string): Resource {
  const known = resources.get(serviceName) ?? defaultResource().merge(resourceFromAttributes({ "service.name": serviceName }));
  resources.set(serviceName, known);
  return known;
}

/**
 * Ended spans wait here until the outermost span ends. Other spans may end later. They are sent when no span is open.
 */
class Outbox implements SpanProcessor {
  readonly #send: (spans: readonly ReadableSpan[]) => Promise<void>;
  #open = 0;
  #ended: ReadableSpan[] = [];

  constructor(send: (spans: readonly ReadableSpan[]) => Promise<void>) {
    this.#send = send;
  }

  onStart(): void {
    this.#open += 1;
  }

  onEnd(span: ReadableSpan): void {
    this.#open -= 1;
    this.#ended.push(span);
    const outermost = span.parentSpanContext === undefined || span.parentSpanContext.isRemote === true;
    if (this.#open > 0 && !outermost && this.#ended.length < SPANS_A_BATCH) return;
    const batch = this.#ended;
    this.#ended = [];
    waitUntil(this.#send(batch));
  }

  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

/** Starts below `parent`, or a new trace with that id. A provider per trace costs microseconds and shares nothing between requests. */
export function recordedTrace(traceId: string, parent: Place | null, { serviceName, collector, clock }: Recording): RootTrace {
  let past: Place | null = null;
  const provider = new TracerProvider({
    resource: resourceOf(serviceName),
    sampler: new AlwaysOnSampler(),
    spanProcessors: [new Outbox(async (spans) => exportSpans(spans, collector, clock))],
    spanLimits: { attributeValueLengthLimit: MAX_TEXT_CHARACTERS, attributeCountLimit: MAX_ATTRIBUTES },
    idGenerator: { generateTraceId: () => past?.traceId ?? traceId, generateSpanId: () => past?.spanId ?? newSpanId() },
  });
  const tracer = provider.getTracer("quota-coordinator");
  const begin = (context: Context, name: string, attributes: Attributes, kind: Kind, startedAt: number): SdkSpan =>
    tracer.startSpan(name, { kind: KINDS[kind], attributes: sayable(attributes), startTime: timeOf(startedAt) }, context);

  const below =
    (context: Context): RootTrace["span"] =>
    async (name, attributes, work, kind = "internal") => {
      const started = begin(context, name, attributes, kind, clock());
      try {
        return await work(spanOf(started, context));
      } catch (error) {
        recordThrown(started, error, clock());
        throw error;
      } finally {
        started.end(timeOf(clock()));
      }
    };

  const spanOf = (span: SdkSpan, context: Context): Span => ({
    traceId,
    traceparent: writeTraceparent({ traceId, spanId: span.spanContext().spanId, sampled: true }),
    span: below(api.setSpan(context, span)),
    set: (attributes) => void span.setAttributes(sayable(attributes)),
    rename: (name) => void span.updateName(name),
    fail: (type, message) => failed(span, type, message),
  });

  const root = parent ? api.setSpanContext(ROOT_CONTEXT, { ...parent, traceFlags: TraceFlags.SAMPLED, isRemote: true }) : ROOT_CONTEXT;
  return {
    traceId,
    // Before its first span a new trace has no place. A placeholder still identifies the trace.
    traceparent: writeTraceparent(parent ?? { traceId, spanId: newSpanId(), sampled: true }),
    span: below(root),
    past: (name, place, { startedAt, endedAt, error }: Past, attributes) => {
      past = readTraceparent(place);
      const span = begin(root, name, attributes, "internal", startedAt);
      past = null;
      if (error) failed(span, error.type, error.message);
      span.end(timeOf(endedAt));
    },
  };
}

function failed(span: SdkSpan, type: string, message?: string): void {
  span.setAttribute("error.type", type);
  span.setStatus({ code: SpanStatusCode.ERROR, ...(message === undefined ? {} : { message }) });
}

/** Name and message only. The log has the stack. */
function recordThrown(span: SdkSpan, error: unknown, at: number): void {
  if (error instanceof Problem && !error.kind.alarming) {
    span.setAttribute("error.type", error.code);
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  const name = error instanceof Error ? error.name : "Error";
  span.recordException({ name, message: message.slice(0, MAX_TEXT_CHARACTERS) }, timeOf(at));
  failed(span, error instanceof Problem ? error.code : name, message.slice(0, MAX_TEXT_CHARACTERS));
}
