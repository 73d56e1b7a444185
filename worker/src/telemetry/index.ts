/** Public interface of telemetry. Independent of the HTTP framework and the database. */
import type { TelemetryConfig } from "../env.ts";
import { recordedTrace } from "./recorded-trace.ts";
import type { RootTrace, Span } from "./trace.ts";
import { newSpanId, newTraceId, readTraceparent, writeTraceparent } from "./traceparent.ts";
import type { Place } from "./traceparent.ts";

export { exportCounts } from "./exporter.ts";
export { EXPOSITION_TYPES, exposition } from "./exposition.ts";
export { jobEnded, jobStep, placeOfJob, quotaReset, usageSweepPage, webhookDelivery } from "./job-spans.ts";
export type { Attributes, RootTrace, Span, Trace } from "./trace.ts";

/**
 * The trace of one request, cron trigger or job step. Continues the given trace if it is valid, otherwise begins one. A caller may opt out of
 * recording. With telemetry off, the ids remain for the log and for later jobs.
 */
export function traceFrom(
  traceparent: string | null | undefined,
  { enabled, serviceName, url }: TelemetryConfig,
  { clock, secrets }: { readonly clock: () => number; readonly secrets: readonly string[] },
): RootTrace {
  const parent = readTraceparent(traceparent);
  if (!enabled || parent?.sampled === false) return quietTrace(parent ?? { traceId: newTraceId(), spanId: newSpanId(), sampled: false });
  return recordedTrace(parent?.traceId ?? newTraceId(), parent, { serviceName, clock, collector: { url, secrets } });
}

/** An unrecorded trace: ids for the log and for the next service. All spans share one object, which keeps them cheap. */
function quietTrace(place: Place): RootTrace {
  const { traceId } = place;
  const traceparent = writeTraceparent(place);
  const nothing = (): void => undefined;
  const quiet: Span & RootTrace = {
    traceId,
    traceparent,
    span: async (_name, _attributes, work) => work(quiet),
    set: nothing,
    rename: nothing,
    fail: nothing,
    past: nothing,
  };
  return quiet;
}
