/** What monitoring systems report: each source in its own shape, let in by its own secret, and the list of what came. */
import { z } from "@hono/zod-openapi";
import { Problem, invalidField, invalidFields } from "../../errors.ts";
import { beside } from "../../http/background.ts";
import { instant, projectId } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { pageBySeq, pageQuery } from "../../http/paging.ts";
import { needSecret, needSignature, needToken } from "../../http/sources.ts";
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

/** How each source is let in, for the document. */
export const SOURCE_SCHEMES = {
  alertmanager: { type: "http", scheme: "bearer", description: "ALERTMANAGER_TOKEN; also as the password of basic authentication" },
  grafana: {
    type: "apiKey",
    in: "header",
    name: SIGNATURE,
    description: "Hex HMAC-SHA256 with GRAFANA_SECRET of the body, or of `timestamp:body`",
  },
  datadog: { type: "http", scheme: "bearer", description: `DATADOG_TOKEN; also in the header ${DATADOG_HEADER}` },
} as const;

const TAKEN = { 200: answer("All is written down, or was before", received) };

const DESCRIPTION =
  "Each alert is judged by itself: where one can be read the answer is 200, and what is wrong with the others stands in their rows. 503: nothing was written down, and sending it again is safe. An end is noted and lifts nothing.";

/** Lets each source in by a secret of its own. */
const from = (source: keyof typeof SOURCE_SCHEMES) => operations(monitoringRoutes, "Monitoring", adminOrSecret(source));

const fromOutside = { description: DESCRIPTION, responses: TAKEN, problems: ["unprocessable"] } as const;

from("alertmanager")("post", "/alertmanager", {
  ...fromOutside,
  summary: "Alerts from Alertmanager (webhook version 4)",
  requestBody: alertmanagerBody,
}).handle(async (c) => {
  const { config } = c.get("deps");
  await needToken(c, config.monitoring.alertmanagerToken);
  return c.json(await takeBody(c, (body) => readGroup("alertmanager", body)), 200);
});

from("grafana")("post", "/grafana", {
  ...fromOutside,
  summary: "Alerts from Grafana, signed",
  request: {
    headers: z.object({
      [TIMESTAMP]: z
        .string()
        .optional()
        .describe("Seconds since 1970, at most 5 minutes away; where it is sent it is part of what is signed"),
    }),
  },
  requestBody: grafanaBody,
}).handle(async (c) => {
  const { config, clock } = c.get("deps");
  if (c.get("principal").kind !== "admin") {
    const secret = needSecret(config.monitoring.grafanaSecret);
    const signed = async () => {
      const [signature, timestamp] = [c.req.header(SIGNATURE) ?? "", c.req.header(TIMESTAMP) ?? null];
      return checkSignature({ body: await c.req.arrayBuffer(), signature, timestamp }, secret, clock());
    };
    await needSignature(c, signed, SIGNATURE);
  }
  return c.json(await takeBody(c, (body) => readGroup("grafana", body)), 200);
});

from("datadog")("post", "/datadog", {
  ...fromOutside,
  summary: "Alerts from Datadog, in the shape of our template",
  requestBody: datadogBody,
}).handle(async (c) => {
  const { config } = c.get("deps");
  await needToken(c, config.monitoring.datadogToken, DATADOG_HEADER);
  return c.json(await takeBody(c, readDatadog), 200);
});

const signalBody = z
  .strictObject({
    id: signalId.describe("The same for the same alert, firing and resolved"),
    status: z.enum(["firing", "resolved"]).default("firing"),
    project_id: projectId.optional().describe("Without it nothing is done: it is about the whole"),
    pattern: z.enum(ABUSE_PATTERNS).optional().describe("Without it nothing is done"),
    metrics: abuseMetrics.default({}),
    enforce_action: z.boolean().default(true).describe("false: only report"),
    title: z.string().max(500).optional(),
    link: z.string().max(500).optional(),
    started_at: instant.optional().describe("Now, where it is left out"),
  })
  .openapi({
    example: { id: "waf-2025-12-30-17", project_id: "proj_reading_list", pattern: "SUSPICIOUS_PATTERN", title: "WAF: enumeration" },
  });

operation("post", "/signal", {
  summary: "One alert from anything else",
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
  summary: "What monitoring systems reported, and what became of it; the newest first",
  request: {
    query: z.object({
      source: z.enum(SIGNAL_SOURCES).optional().describe("Only of this source"),
      project_id: projectId.optional().describe("Only about this project"),
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

/** Written down is answered; the jobs are asked for beside the answer, and by housekeeping where that fails. */
async function take(c: AppContext, alerts: readonly ReadAlert[]) {
  const deps = c.get("deps");
  const results = await receiveSignals(deps, alerts);
  if (results.some(({ outcome }) => outcome === "waiting")) beside(c, "Signals wait for housekeeping", relaySignals(deps));
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
    throw invalidField("body", "must be JSON. It is cut off or damaged", undefined, "unprocessable");
  }
}
