/** Metrics for Prometheus. */
import { z } from "@hono/zod-openapi";
import { accepts } from "hono/accepts";
import type { Deps } from "../../deps.ts";
import { createRouter } from "../../http/index.ts";
import { assertMetricsReader } from "../../http/guards.ts";
import { inTime } from "../../lib/in-time.ts";
import { errorFields, log } from "../../lib/log.ts";
import { PerBinding, Recent } from "../../lib/recent.ts";
import { countOfLostBooks } from "../../library/full-catalog.ts";
import { catalogCounts, latestRuns, storedCounts, webhookTallies } from "../../store/monitoring/metrics.ts";
import type { CatalogCounts, StoredCounts } from "../../store/monitoring/metrics.ts";
import { EXPOSITION_TYPES, exportCounts, exposition } from "../../telemetry/index.ts";
import { metricFamilies } from "./metric-families.ts";
import type { Readings } from "./metric-families.ts";
import { adminOrSecret, operations } from "../operation.ts";

/** A scraper's default timeout is 10 s. A hanging source must not hide the other one. */
const DATABASE_TIMEOUT_MS = 5_000;
/** Counting reads an entry for each job and target, so it runs once a minute, not with every scrape. */
const COUNTED_EVERY_MS = 60_000;
const OPENMETRICS = "application/openmetrics-text";

export const metricsRoutes = createRouter();

operations(
  metricsRoutes,
  "Service",
  adminOrSecret("metrics"),
  [],
)("get", "/metrics", {
  summary: "Get metrics for Prometheus",
  description:
    "Text format 0.0.4, or OpenMetrics 1.0 if `Accept` prefers it. Needs the admin token or METRICS_TOKEN. Unreadable metrics are absent, and `coordinator_source_up` is 0.",
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
  await assertMetricsReader(c);
  const deps = c.get("deps");
  const [overview, stored, catalog] = await Promise.all([
    orNull("the ledger", deps.quota.getOverview(1, { own: null })),
    orNull("the database", inTime("The database", DATABASE_TIMEOUT_MS, readStored(deps))),
    orNull("the catalog", inTime("The catalog", DATABASE_TIMEOUT_MS, readCatalog(deps))),
  ]);
  const preferred = accepts(c, { header: "Accept", supports: [OPENMETRICS, "text/plain"], default: "text/plain" });
  const format = preferred === OPENMETRICS ? "openmetrics" : "prometheus";
  const text = exposition(metricFamilies({ overview, stored, catalog, lostBooks: countOfLostBooks(), exports: exportCounts() }), format);
  c.header("Cache-Control", "no-store");
  c.header("Vary", "Accept");
  return c.body(text, 200, { "Content-Type": EXPOSITION_TYPES[format] });
});

/** A failed source does not hide the metrics of the other one. */
async function orNull<Answer>(source: string, answer: Promise<Answer>): Promise<Answer | null> {
  return answer.catch((error: unknown) => {
    log.warn("Source of metrics failed", { source, ...errorFields(error) });
    return null;
  });
}

/** Outlive a request. Keyed by binding, because each request has its own databases. */
const recentCounts = new PerBinding((_: D1Database) => new Recent<StoredCounts>(COUNTED_EVERY_MS));
const recentCatalogCounts = new PerBinding((_: D1Database) => new Recent<CatalogCounts>(COUNTED_EVERY_MS));

async function readStored({ db, clock }: Deps): Promise<Readings["stored"]> {
  const recent = recentCounts.of(db.binding).get(clock(), async () => storedCounts(db));
  const [counts, runs, webhooks] = await Promise.all([recent, latestRuns(db), webhookTallies(db)]);
  return { counts, runs, webhooks };
}

async function readCatalog(deps: Deps): Promise<CatalogCounts> {
  return recentCatalogCounts.of(deps.catalog.binding).get(deps.clock(), async () => catalogCounts(deps));
}
