/** Receives alerts of monitoring systems, each in its own format with its own secret, and lists them. */
import { z } from "@hono/zod-openapi";
import { invalidField, invalidFields } from "../../errors.ts";
import { inBackground } from "../../http/background.ts";
import { wholeSecond, projectId } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { pageBySeq, pageQuery } from "../../http/paging.ts";
import { configuredSecret, assertSignature, assertToken } from "../../http/sources.ts";
import { abuseMetrics } from "../../jobs/catalog.ts";
import { readGroup } from "../../monitoring/alertmanager.ts";
import { readDatadog } from "../../monitoring/datadog.ts";
import { receiveSignals, relaySignals } from "../../monitoring/intake.ts";
import type { AlertResult } from "../../monitoring/intake.ts";
import { checkSignature } from "../../monitoring/signature.ts";
import { signalId, textOrNull } from "../../monitoring/signal.ts";
import type { ReadAlert, ReadBody } from "../../monitoring/signal.ts";
import { isoOrNull, isoSeconds } from "../../lib/time.ts";
import { ABUSE_PATTERNS } from "../../store/abuse/abuse.ts";
import { SIGNAL_SOURCES, listSignals } from "../../store/monitoring/signals.ts";
import { alertmanagerBody, datadogBody, grafanaBody, received, signals } from "./schemas.ts";
import { admin, adminOrSecret, answer, jsonBody, operations } from "../operation.ts";

export const monitoringRoutes = createRouter();
const operation = operations(monitoringRoutes, "Monitoring", admin);

const SIGNATURE = "x-grafana-alerting-signature";
const TIMESTAMP = "x-grafana-alerting-timestamp";
const DATADOG_HEADER = "x-datadog-token";

/** Credentials of each source, for the document. */
export const SOURCE_SCHEMES = {
  alertmanager: { type: "http", scheme: "bearer", description: "ALERTMANAGER_TOKEN, also as the password of basic authentication" },
  grafana: {
    type: "apiKey",
    in: "header",
    name: SIGNATURE,
    description: "Hex HMAC-SHA256 with GRAFANA_SECRET of the body, or of `timestamp:body`",
  },
  datadog: { type: "http", scheme: "bearer", description: `DATADOG_TOKEN, also in the header ${DATADOG_HEADER}` },
} as const;

const TAKEN = { 200: answer("All are stored", received) };

const DESCRIPTION =
  "Each alert has its own result. The response is 200 if one alert is readable. 503 means that nothing was stored, and that sending again is safe. A resolved alert is recorded and does not end a suspension.";

/** Each source has its own secret. */
const from = (source: keyof typeof SOURCE_SCHEMES) => operations(monitoringRoutes, "Monitoring", adminOrSecret(source));

const fromOutside = { anyQuery: true, description: DESCRIPTION, responses: TAKEN, problems: ["unprocessable"] } as const;

from("alertmanager")("post", "/alertmanager", {
  ...fromOutside,
  summary: "Receive alerts from Alertmanager (webhook version 4)",
  requestBody: alertmanagerBody,
}).handle(async (c) => {
  const { config } = c.get("deps");
  await assertToken(c, config.monitoring.alertmanagerToken);
  return c.json(await takeBody(c, (body) => readGroup("alertmanager", body)), 200);
});

from("grafana")("post", "/grafana", {
  ...fromOutside,
  summary: "Receive signed alerts from Grafana",
  request: {
    headers: z.object({
      [TIMESTAMP]: z.string().optional().describe("Seconds since 1970, within 5 minutes of now. Part of the signed text, if it is sent"),
    }),
  },
  requestBody: grafanaBody,
}).handle(async (c) => {
  const { config, clock } = c.get("deps");
  if (c.get("principal").kind !== "admin") {
    const secret = configuredSecret(config.monitoring.grafanaSecret);
    const signed = async () => {
      const [signature, timestamp] = [c.req.header(SIGNATURE) ?? "", c.req.header(TIMESTAMP) ?? null];
      return checkSignature({ body: await c.req.arrayBuffer(), signature, timestamp }, secret, clock());
    };
    await assertSignature(c, signed, SIGNATURE);
  }
  return c.json(await takeBody(c, (body) => readGroup("grafana", body)), 200);
});

from("datadog")("post", "/datadog", {
  ...fromOutside,
  summary: "Receive alerts from Datadog in our template's format",
  requestBody: datadogBody,
}).handle(async (c) => {
  const { config } = c.get("deps");
  await assertToken(c, config.monitoring.datadogToken, DATADOG_HEADER);
  return c.json(await takeBody(c, readDatadog), 200);
});

const signalBody = z
  .strictObject({
    id: signalId.describe("The same for a firing alert and its end"),
    status: z.enum(["firing", "resolved"]).default("firing"),
    project_id: projectId.optional().describe("Without a project, nothing happens"),
    pattern: z.enum(ABUSE_PATTERNS).optional().describe("Without a pattern, nothing happens"),
    metrics: abuseMetrics.default({}),
    enforce_action: z.boolean().default(true).describe("false: only report"),
    title: z.string().max(500).optional(),
    link: z.string().max(500).optional(),
    started_at: wholeSecond.optional().describe("Default: now"),
  })
  .openapi({
    example: { id: "waf-2025-12-30-17", project_id: "proj_reading_list", pattern: "SUSPICIOUS_PATTERN", title: "WAF: enumeration" },
  });

operation("post", "/signal", {
  summary: "Receive an alert from any other system",
  description: DESCRIPTION,
  request: { body: jsonBody(signalBody) },
  responses: TAKEN,
}).handle(async (c) => {
  const { id, status, project_id = null, pattern = null, metrics, enforce_action, title, link, started_at } = c.req.valid("json");
  const startedAt = started_at === undefined ? c.get("deps").clock() : Date.parse(started_at);
  const signal = {
    source: "api",
    key: id,
    status,
    projectId: project_id,
    pattern,
    metrics,
    enforce: enforce_action,
    startedAt,
  } as const;
  const whole = { ...signal, title: textOrNull(title), link: textOrNull(link) };
  return c.json(await take(c, [{ result: "read", index: 0, signal: whole }]), 200);
});

operation("get", "/signals", {
  summary: "List received alerts and their outcome",
  request: {
    query: z.object({
      source: z.enum(SIGNAL_SOURCES).optional().describe("Only alerts from this source"),
      project_id: projectId.optional().describe("Only alerts about this project"),
      ...pageQuery,
    }),
  },
  responses: { 200: answer("One page", signals) },
}).handle(async (c) => {
  const { source = null, project_id = null, ...query } = c.req.valid("query");
  const { db } = c.get("deps");
  const { items, next_cursor } = await pageBySeq(
    query,
    async (slice) => listSignals(db, { source, projectId: project_id, ...slice }),
    ({ seq: _seq, metrics, enforce, started_at, received_at, resolved_at, ...row }) => ({
      ...row,
      metrics: JSON.parse(metrics) as Record<string, number | string>,
      enforce_action: enforce === 1,
      started_at: isoSeconds(started_at),
      received_at: isoSeconds(received_at),
      resolved_at: isoOrNull(resolved_at),
    }),
  );
  return c.json({ signals: items, next_cursor }, 200);
});

async function takeBody(c: AppContext, read: (body: unknown) => ReadBody) {
  const body = read(parsed(await c.req.text()));
  if (body.result === "refused") throw invalidFields(body.errors, "unprocessable");
  const wrong = body.alerts.flatMap((alert) => (alert.result === "refused" ? alert.errors : []));
  if (body.alerts.every(({ result }) => result === "refused")) throw invalidFields(wrong, "unprocessable");
  return take(c, body.alerts);
}

/** Responds after the alerts were stored. Their jobs are created in the background, or by housekeeping after a failure. */
async function take(c: AppContext, alerts: readonly ReadAlert[]) {
  const deps = c.get("deps");
  const results = await receiveSignals(deps, alerts);
  if (results.some(({ outcome }) => outcome === "waiting")) inBackground(c, "Creating jobs of signals failed", relaySignals(deps));
  const having = (result: AlertResult["result"]): number => results.filter((each) => each.result === result).length;
  return {
    received: results.length,
    accepted: having("accepted"),
    resolved: having("resolved"),
    duplicates: having("duplicate"),
    refused: having("refused"),
    results,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw invalidField("body", "must be valid JSON. It is incomplete or malformed", undefined, "unprocessable");
  }
}
