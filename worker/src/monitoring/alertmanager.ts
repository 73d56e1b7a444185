/**
 * Reads the webhook of Alertmanager (version 4) and of Grafana (version "1", the same envelope with more fields). A group holds several
 * alerts. Each is read separately. No I/O. No clock.
 */
import { z } from "zod";
import { fieldErrors } from "../lib/field-errors.ts";
import type { FieldError } from "../lib/field-errors.ts";
import { aboutProject, errorsAt, instant, metricsOf, patternOrNull, projectOrNull, signalId, textOrNull } from "./signal.ts";
import type { ReadAlert, ReadBody } from "./signal.ts";

/** More than a body can hold of real alerts. Each one gets a result, and a log line if it is invalid. */
const MAX_ALERTS = 10_000;

/** Later versions may add fields, so unknown ones are allowed. */
const envelope = (version: string) =>
  z.looseObject({
    version: z.literal(version, `must be ${JSON.stringify(version)}`),
    alerts: z
      .array(z.unknown(), "must be an array of alerts")
      .min(1, "must have at least one alert")
      .max(MAX_ALERTS, `must have at most ${MAX_ALERTS} alerts`),
    externalURL: z.string().optional(),
  });

const alertSchema = z.looseObject({
  status: z.enum(["firing", "resolved"]),
  fingerprint: signalId,
  startsAt: instant,
  labels: z.looseObject({ ...aboutProject, alertname: z.string().optional() }, "must be an object of texts"),
  annotations: z.object({ enforce_action: aboutProject.enforce_action }).catchall(z.string()).default({}),
  generatorURL: z.string().optional(),
  /** Grafana only: results of the rule's expressions. */
  values: z.record(z.string(), z.unknown()).nullish(),
});

const VERSIONS = { alertmanager: "4", grafana: "1" } as const;

/** Alerts of a group. `body`: parsed JSON. */
export function readGroup(source: keyof typeof VERSIONS, body: unknown): ReadBody {
  const read = envelope(VERSIONS[source]).safeParse(body);
  if (!read.success) return { result: "refused", errors: fieldErrors(read.error.issues, body, "body") };
  const { alerts, externalURL } = read.data;
  return { result: "read", alerts: alerts.map((alert, index) => readAlert(source, alert, index, externalURL)) };
}

function readAlert(source: keyof typeof VERSIONS, given: unknown, index: number, externalURL: string | undefined): ReadAlert {
  const place = `alerts.${index}`;
  const refused = (errors: readonly FieldError[]): ReadAlert => ({ result: "refused", index, errors });
  const read = alertSchema.safeParse(given);
  if (!read.success) return refused(errorsAt(place, read.error, given));
  const { status, fingerprint, startsAt, labels, annotations, generatorURL, values } = read.data;
  const [inValues, inAnnotations] = [metricsOf(values ?? {}, `${place}.values`), metricsOf(annotations, `${place}.annotations`)];
  if ("errors" in inValues) return refused(inValues.errors);
  if ("errors" in inAnnotations) return refused(inAnnotations.errors);
  const startedAt = Date.parse(startsAt);
  return {
    result: "read",
    index,
    signal: {
      source,
      // The same time may be written with a different zone or different fractions of a second.
      key: `${fingerprint}:${startedAt}`,
      status,
      projectId: projectOrNull(labels.project_id),
      pattern: patternOrNull(labels.abuse_pattern),
      metrics: { ...inAnnotations.metrics, ...inValues.metrics },
      enforce: (labels.enforce_action ?? annotations.enforce_action) !== "false",
      title: textOrNull(annotations["summary"] ?? labels.alertname),
      link: textOrNull(generatorURL === undefined || generatorURL === "" ? externalURL : generatorURL),
      startedAt,
    },
  };
}
