/** Telemetry's public face. Knows no HTTP framework and no database. */
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
 * The trace of one request, cron tick or job step: goes on with the given one, where it is sane, or begins. A caller who does not want
 * its trace recorded is heard; with telemetry off the ids stay, for the log and for what comes next.
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

/** A trace that is not recorded: ids for the log and for the next service. Every span is the same object, so that it costs one call. */
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
