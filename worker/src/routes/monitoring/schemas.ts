/** Signals in the OpenAPI document. monitoring/ reads the bodies of external systems. */
import { z } from "@hono/zod-openapi";
import { ALERT_RESULTS } from "../../monitoring/intake.ts";
import { ABUSE_PATTERNS } from "../../store/abuse/abuse.ts";
import { SIGNAL_OUTCOMES, SIGNAL_SOURCES } from "../../store/monitoring/signals.ts";
import { nextCursor } from "../../http/paging.ts";
import { time } from "../../http/fields.ts";

const text = { type: "string" } as const;
const texts = { type: "object", additionalProperties: text } as const;
const LABELS = { alertname: "ProjectRequestRate", project_id: "proj_reading_list", abuse_pattern: "EXCESSIVE_USAGE" };

const alert = (more: object) => ({
  type: "object",
  required: ["status", "fingerprint", "startsAt", "labels"],
  properties: {
    status: { enum: ["firing", "resolved"] },
    fingerprint: { ...text, description: "Identifies the alert, together with startsAt" },
    startsAt: text,
    endsAt: text,
    labels: { ...texts, description: "Needs `project_id` and `abuse_pattern`. Without them, nothing happens" },
    annotations: { ...texts, description: "Measurements by name, such as `requests_per_minute`" },
    generatorURL: text,
    ...more,
  },
});

const group = (version: string, more: object, alertMore: object) => ({
  type: "object",
  required: ["version", "alerts"],
  properties: { version: { const: version }, groupKey: text, alerts: { type: "array", minItems: 1, items: alert(alertMore) }, ...more },
});

const firing = { status: "firing", fingerprint: "6f1c0b1a7d1e4a6b", startsAt: "2025-12-30T14:00:00.000Z", labels: LABELS, annotations: {} };

/** A body with its own parser. Errors are 422 instead of 400, because the senders do not retry 422. */
const body = (schema: object, example: object) => ({ required: true, content: { "application/json": { schema: { ...schema, example } } } });

export const alertmanagerBody = body(group("4", { truncatedAlerts: { type: "integer" } }, {}), { version: "4", alerts: [firing] });

export const grafanaBody = body(
  group("1", { orgId: { type: "integer" }, title: text, state: text, message: text }, { values: { type: ["object", "null"] } }),
  {
    version: "1",
    alerts: [{ ...firing, values: { requests_per_minute: 640 } }],
  },
);

export const datadogBody = body(
  {
    type: "object",
    required: ["schema", "cycle_key", "transition", "alert_id", "date_ms"],
    properties: {
      schema: { const: "qc.datadog.v1" },
      cycle_key: text,
      transition: text,
      alert_id: text,
      title: text,
      project_id: text,
      pattern: text,
      enforce_action: { enum: ["true", "false"], description: "false: only report" },
      date_ms: { type: "string", pattern: "^\\d{1,15}$" },
      link: text,
    },
  },
  {
    schema: "qc.datadog.v1",
    cycle_key: "1735567200",
    transition: "Triggered",
    alert_id: "4711",
    title: "Requests of a project",
    project_id: "proj_reading_list",
    pattern: "EXCESSIVE_USAGE",
    date_ms: "1767103200000",
    link: "https://app.datadoghq.com/event/1",
  },
);

export const received = z
  .object({
    received: z.int(),
    accepted: z.int().describe("New alerts"),
    resolved: z.int().describe("Ends of alerts, recorded with their start"),
    duplicates: z.int().describe("Alerts received before"),
    refused: z.int().describe("Invalid alerts. The others were accepted"),
    results: z
      .array(
        z.object({
          index: z.int().describe("Position in the request"),
          result: z.enum(ALERT_RESULTS),
          key: z.string().optional(),
          outcome: z.enum(SIGNAL_OUTCOMES).optional(),
          errors: z
            .array(z.object({ path: z.string(), message: z.string(), value: z.unknown().optional() }))
            .readonly()
            .optional(),
        }),
      )
      .readonly()
      .describe("In the order given"),
  })
  .openapi("ReceivedSignals");

const signal = z
  .object({
    source: z.enum(SIGNAL_SOURCES),
    key: z.string().describe("Identifies the alert"),
    status: z.enum(["firing", "resolved"]),
    project_id: z.string().nullable(),
    pattern: z.enum(ABUSE_PATTERNS).nullable(),
    metrics: z.record(z.string(), z.union([z.number(), z.string()])).describe("Measurements of the sender"),
    enforce_action: z.boolean(),
    title: z.string().nullable(),
    link: z.string().nullable(),
    started_at: time,
    received_at: time.describe("First reception"),
    resolved_at: time.nullable().describe("Reception of its end, which does not end a suspension"),
    received: z.int().describe("Number of receptions"),
    outcome: z
      .enum(SIGNAL_OUTCOMES)
      .describe("`waiting`: its job will be created. `asked`: its job was created. The others have no job and name the reason"),
    job_id: z.string().nullable(),
  })
  .openapi("Signal");

export const signals = z.object({ signals: z.array(signal), next_cursor: nextCursor }).openapi("Signals");
