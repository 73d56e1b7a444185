/** Reads Datadog's webhook in the form of our template: all values are strings. No I/O. No clock. */
import { z } from "zod";
import { fieldErrors } from "../lib/field-errors.ts";
import { aboutProject, metricsOf, patternOrNull, projectOrNull, idText, textOrNull } from "./signal.ts";
import type { ReadBody } from "./signal.ts";

const SCHEMA = "qc.datadog.v1";

/** Datadog leaves unknown variables and variables without a value in this form. */
const UNEXPANDED = /^\$[A-Z_]+(\[[^\]]*\])?$/u;

const UNEXPANDED_MESSAGE =
  "must have a value. Datadog did not replace the variable: the monitor has no value for it, or the template is wrong";

const identifier = idText.trim().min(1, "must be a string that is not empty");

const template = z.looseObject({
  schema: z.literal(SCHEMA, `must be ${JSON.stringify(SCHEMA)}`),
  cycle_key: identifier,
  transition: identifier,
  alert_id: identifier,
  title: z.string().optional(),
  project_id: aboutProject.project_id,
  pattern: aboutProject.abuse_pattern,
  enforce_action: aboutProject.enforce_action,
  date_ms: z.string("must be a string").regex(/^\d{1,15}$/u, "must be milliseconds since 1970, as digits"),
  link: z.string().optional(),
});

const FIRING: ReadonlySet<string> = new Set(["triggered", "re-triggered", "renotify"]);

/** `body`: parsed JSON. */
export function readDatadog(body: unknown): ReadBody {
  const unexpanded = Object.entries(typeof body === "object" && body !== null ? body : {}).filter(
    ([, value]) => typeof value === "string" && UNEXPANDED.test(value),
  );
  if (unexpanded.length > 0) {
    return {
      result: "refused",
      errors: unexpanded.map(([path, value]) => ({ path, message: UNEXPANDED_MESSAGE, value: String(value).slice(0, 80) })),
    };
  }
  const read = template.safeParse(body);
  if (!read.success) return { result: "refused", errors: fieldErrors(read.error.issues, body, "body") };
  const { cycle_key, transition, alert_id, title, project_id, pattern, enforce_action, date_ms, link } = read.data;
  const metrics = metricsOf(read.data, "body");
  if ("errors" in metrics) return { result: "refused", errors: metrics.errors };
  const change = transition.toLowerCase();
  const resolved = change.endsWith("recovered");
  const alarming = resolved || FIRING.has(change);
  return {
    result: "read",
    alerts: [
      {
        result: "read",
        index: 0,
        signal: {
          source: "datadog",
          // A warning or missing data gets its own key, so that a later alert does not count as a duplicate.
          key: [alert_id, cycle_key, project_id ?? "", ...(alarming ? [] : [change])].join(":"),
          status: resolved ? "resolved" : "firing",
          projectId: projectOrNull(project_id),
          pattern: alarming ? patternOrNull(pattern) : null,
          metrics: metrics.metrics,
          enforce: enforce_action !== "false",
          title: textOrNull(title),
          link: textOrNull(link),
          startedAt: Number(date_ms),
        },
      },
    ],
  };
}
