/** Middleware order, the mounting table, and the handlers of missing routes and failures. */
import { methodNotAllowed } from "hono/method-not-allowed";
import { secureHeaders } from "hono/secure-headers";
import { dashboard, failurePage, acceptsPage } from "./dashboard/index.tsx";
import { Problem } from "./errors.ts";
import { createRouter, problemResponse } from "./http/index.ts";
import { answerHeaders } from "./middleware/answer-headers.ts";
import { authenticate } from "./middleware/authentication.ts";
import { jsonOnly, limitBody } from "./middleware/bodies.ts";
import { dispatchAfterChange } from "./middleware/dispatch.ts";
import { notFound, onError } from "./middleware/problems.ts";
import { rates } from "./middleware/rates.ts";
import { requestContext } from "./middleware/request-context.ts";
import { backupRoutes } from "./routes/backups/backups.ts";
import { restoreRoutes } from "./routes/backups/restores.ts";
import { changeRoutes } from "./routes/changes.ts";
import { authorRoutes } from "./routes/library/authors.ts";
import { batchRoutes } from "./routes/library/batch.ts";
import { bookRoutes } from "./routes/library/books.ts";
import { databaseRoutes } from "./routes/projects/database.ts";
import { docsRoutes, serveDocument } from "./routes/docs.ts";
import { harvestRoutes } from "./routes/library/harvest.ts";
import { healthRoutes } from "./routes/health.ts";
import { organizationRoutes } from "./routes/billing/organizations.ts";
import { projectKeyRoutes } from "./routes/keys/keys.ts";
import { projectUsageRoutes } from "./routes/limits/usage.ts";
import { projectRoutes } from "./routes/projects/projects.ts";
import { SOURCE_SCHEMES, monitoringRoutes } from "./routes/monitoring/monitoring.ts";
import { projectDetectionRoutes } from "./routes/abuse/detections.ts";
import { jobRoutes } from "./routes/jobs/jobs.ts";
import { metricsRoutes } from "./routes/monitoring/metrics.ts";
import { quotaRoutes } from "./routes/quota/quota.ts";
import { settingsRoutes } from "./routes/quota/settings.ts";
import { reservationRoutes } from "./routes/quota/reservations.ts";
import { webhookDeliveryRoutes } from "./routes/webhooks/deliveries.ts";
import { webhookRoutes } from "./routes/webhooks/webhooks.ts";
import { suspensionRoutes } from "./routes/suspension/suspension.ts";
import { usageEventRoutes } from "./routes/limits/usage-events.ts";

export const app = createRouter();

app.onError(onError);
app.notFound(async (c) => {
  const problem = notFound(c);
  return acceptsPage(c) ? failurePage(c, problem) : problemResponse(c, problem);
});

// The referrer is sent to our own pages only: without it, a browser would not reveal the origin of a form. No response has a CORS header, so
// other origins can read nothing.
app.use(secureHeaders({ referrerPolicy: "same-origin", xFrameOptions: "DENY" }));
app.use(answerHeaders);
app.use(requestContext(() => Date.now()));
app.use(
  methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) => {
      const headers = { Allow: [...methods, "OPTIONS"].join(", ") };
      if (c.req.method === "OPTIONS") return new Response(null, { status: 204, headers });
      return problemResponse(
        c,
        new Problem("method_not_allowed", `${c.req.method} is not allowed here. Allowed: ${headers.Allow}.`, { headers }),
      );
    },
  }),
);
app.use(authenticate);
app.use(rates);
app.use(limitBody);
app.use("/api/*", jsonOnly);
// Manual changes that create events, and repeated deliveries. Jobs dispatch their events when they end.
for (const path of ["suspend", "reactivate", "caps", "keys/*", "webhooks/*"]) app.use(`/api/projects/:id/${path}`, dispatchAfterChange);
for (const path of ["suspend", "reactivate", "webhooks/*"]) app.use(`/projects/:id/${path}`, dispatchAfterChange);

app.route("/", dashboard);
app.route("/", healthRoutes);
app.route("/", docsRoutes);
app.route("/", metricsRoutes);
app.route("/api/quota", quotaRoutes);
app.route("/api/quota", settingsRoutes);
app.route("/api/quota", reservationRoutes);
app.route("/api/harvest", harvestRoutes);
app.route("/api/usage", usageEventRoutes);
app.route("/api/jobs", jobRoutes);
app.route("/api/monitoring", monitoringRoutes);
app.route("/api", batchRoutes);
app.route("/api", authorRoutes);
app.route("/api", bookRoutes);
app.route("/api", organizationRoutes);
app.route("/api", projectRoutes);
app.route("/api", projectKeyRoutes);
app.route("/api", suspensionRoutes);
app.route("/api", projectUsageRoutes);
app.route("/api", changeRoutes);
app.route("/api", projectDetectionRoutes);
// Before the webhooks themselves, because "deliveries" is not an id.
app.route("/api", webhookDeliveryRoutes);
app.route("/api", webhookRoutes);
app.route("/api", databaseRoutes);
app.route("/api", backupRoutes);
app.route("/api", restoreRoutes);

app.openAPIRegistry.registerComponent("securitySchemes", "admin", {
  type: "http",
  scheme: "bearer",
  description: "The admin token (ADMIN_TOKEN)",
});
app.openAPIRegistry.registerComponent("securitySchemes", "metrics", {
  type: "http",
  scheme: "bearer",
  description: "METRICS_TOKEN, which only reads /metrics",
});
app.openAPIRegistry.registerComponent("securitySchemes", "project", {
  type: "http",
  scheme: "bearer",
  description: "A project's API key: qc_live_… or qc_test_…",
});
for (const [name, scheme] of Object.entries(SOURCE_SCHEMES)) app.openAPIRegistry.registerComponent("securitySchemes", name, scheme);
serveDocument(app);
