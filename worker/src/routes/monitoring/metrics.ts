/** What Prometheus scrapes. */
import { z } from "@hono/zod-openapi";
import { accepts } from "hono/accepts";
import { createRouter } from "../../http/index.ts";
import { needMetricsReader } from "../../http/guards.ts";
import { inTime } from "../../lib/in-time.ts";
import { errorFields, log } from "../../lib/log.ts";
import { latestRuns, storedCounts, webhookTallies } from "../../store/monitoring/metrics.ts";
import type { StoredCounts } from "../../store/monitoring/metrics.ts";
import { EXPOSITION_TYPES, exportCounts, exposition } from "../../telemetry/index.ts";
import { metricFamilies } from "./metric-families.ts";
import type { Readings } from "./metric-families.ts";
import { adminOrSecret, operations } from "../operation.ts";

/** A scraper gives up after 10 s by default, and would learn nothing of the other source. */
const DATABASE_TIMEOUT_MS = 5_000;
/** They read an entry for each job that is kept and each target: worth it once a minute, not with every scrape. */
const COUNTED_EVERY_MS = 60_000;
const OPENMETRICS = "application/openmetrics-text";

export const metricsRoutes = createRouter();

operations(
  metricsRoutes,
  "Service",
  adminOrSecret("metrics"),
  [],
)("get", "/metrics", {
  summary: "Metrics for Prometheus",
  description:
    "Text format 0.0.4, or OpenMetrics 1.0 where `Accept` prefers it. For the administrator's token or METRICS_TOKEN. What could not be read is absent, and `coordinator_source_up` says so.",
  request: {
    headers: z.object({ accept: z.string().optional().describe(`\`${OPENMETRICS}\` for OpenMetrics`).openapi({ example: OPENMETRICS }) }),
  },
  responses: {
    200: {
      description: "All metrics",
      content: { "text/plain": { schema: z.string() }, [OPENMETRICS]: { schema: z.string() } },
    },
  },
}).handle(async (c) => {
  await needMetricsReader(c);
  const { quota, db, clock } = c.get("deps");
  const [overview, stored] = await Promise.all([
    orNull("the ledger", quota.getOverview(1, { own: null })),
    orNull("the database", inTime("The database", DATABASE_TIMEOUT_MS, readStored(db, clock()))),
  ]);
  const preferred = accepts(c, { header: "Accept", supports: [OPENMETRICS, "text/plain"], default: "text/plain" });
  const format = preferred === OPENMETRICS ? "openmetrics" : "prometheus";
  const text = exposition(metricFamilies({ overview, stored, exports: exportCounts() }), format);
  c.header("Cache-Control", "no-store");
  c.header("Vary", "Accept");
  return c.body(text, 200, { "Content-Type": EXPOSITION_TYPES[format] });
});

/** One source's failure is told by the metrics of the others. */
async function orNull<Answer>(source: string, answer: Promise<Answer>): Promise<Answer | null> {
  return answer.catch((error: unknown) => {
    log.warn("Metrics without a source", { source, ...errorFields(error) });
    return null;
  });
}

interface Counted {
  readonly at: number;
  readonly counts: StoredCounts;
}

/** Outlives a request; keyed by binding, as all that an isolate remembers. */
const counted = new WeakMap<D1Database, Counted>();

async function readStored(db: D1Database, now: number): Promise<Readings["stored"]> {
  const known = counted.get(db);
  const isFresh = known !== undefined && Math.abs(now - known.at) < COUNTED_EVERY_MS;
  const [counts, runs, webhooks] = await Promise.all([isFresh ? known.counts : storedCounts(db), latestRuns(db), webhookTallies(db)]);
  if (!isFresh) counted.set(db, { at: now, counts });
  return { counts, runs, webhooks };
}
