/** Every route, with its allowed callers and a valid request. */

/** Monitoring systems. Each has its own secret. */
export type Source = "alertmanager" | "grafana" | "datadog";

/** `everybody`, `admin`, a monitoring system (or the administrator), or a key of a project with that scope, for one of five purposes. */
export type Access =
  | "everybody"
  | "admin"
  | Source
  /**
   * `use`: the project must be active. `settle`: its earlier reservations, even if it is suspended. `own`: the project itself, even if it is
   * suspended. `renew`: like `own`, but not if it is suspended for abuse. `use-own`: the project itself, and it must be active.
   */
  | { readonly scope: "read" | "enrich" | "database" | "admin"; readonly kind: "use" | "settle" | "own" | "renew" | "use-own" };

export interface Route {
  readonly method: string;
  /** Path of the route. Tests fill in `{id}` and `{key_id}`. */
  readonly path: string;
  readonly access: Access;
  readonly body?: unknown;
  /** Status for allowed callers. Default: 200. 404: allowed, but the book or reservation does not exist. */
  readonly success?: number;
}

const use = (scope: "read" | "enrich"): Access => ({ scope, kind: "use" });
const settle: Access = { scope: "enrich", kind: "settle" };
const renew: Access = { scope: "admin", kind: "renew" };
const own = (scope: "read" | "admin"): Access => ({ scope, kind: "own" });

const ISBNS = { isbns: ["9780201633610"] };
const ALERT = { status: "firing", fingerprint: "f", startsAt: "2031-05-14T14:00:00Z", labels: {} };
const MONTH = { start_month: "2025-01", end_month: "2025-01", max_pages_per_month: 1 };

const WEBHOOK = `wh_${"A".repeat(20)}`;
const DELIVERY = `dlv_${"0".repeat(32)}`;

export const ROUTES: readonly Route[] = [
  { method: "GET", path: "/", access: "everybody" },
  { method: "GET", path: "/health", access: "everybody" },
  { method: "GET", path: "/metrics", access: "admin" },
  { method: "GET", path: "/openapi.json", access: "everybody" },
  { method: "GET", path: "/docs", access: "everybody" },
  { method: "GET", path: "/docs/errors", access: "everybody" },
  { method: "GET", path: "/api/quota/status", access: "everybody" },

  { method: "POST", path: "/api/enrich/batch-direct", access: use("enrich"), body: ISBNS },
  { method: "POST", path: "/api/authors/enrich-bibliography", access: use("enrich"), body: { author_name: "Jane Austen", max_pages: 1 } },
  { method: "POST", path: "/api/books/enrich-new-releases", access: use("enrich"), body: MONTH },
  { method: "GET", path: "/api/books/{isbn}", access: use("read"), success: 404 },
  { method: "GET", path: "/api/authors/top", access: use("read") },

  { method: "POST", path: "/api/quota/reservations", access: use("enrich"), body: { calls: 1 }, success: 201 },
  { method: "POST", path: "/api/quota/reservations/{reservation}/commit", access: settle, body: {}, success: 404 },
  { method: "GET", path: "/api/quota/reservations/{reservation}", access: settle, success: 404 },
  { method: "DELETE", path: "/api/quota/reservations/{reservation}", access: settle, success: 404 },
  { method: "GET", path: "/api/quota/history", access: "admin" },
  { method: "PUT", path: "/api/quota/usage", access: "admin", body: { used: 3 } },
  { method: "GET", path: "/api/quota/settings", access: "admin" },
  { method: "PUT", path: "/api/quota/settings", access: "admin", body: { daily_limit: 9_000 } },
  { method: "DELETE", path: "/api/quota/settings", access: "admin" },
  { method: "POST", path: "/api/quota/reset", access: "admin" },

  { method: "POST", path: "/api/harvest/targets", access: "admin", body: ISBNS },
  { method: "GET", path: "/api/harvest/status", access: "admin" },
  { method: "POST", path: "/api/harvest/run", access: "admin", body: { max_seconds: 1 } },

  { method: "POST", path: "/api/jobs", access: "admin", body: { type: "housekeeping", payload: {}, delay_seconds: 600 }, success: 202 },
  { method: "GET", path: "/api/jobs", access: "admin" },
  { method: "GET", path: "/api/jobs/schedules", access: "admin" },
  { method: "GET", path: "/api/jobs/{job}", access: "admin", success: 404 },
  { method: "POST", path: "/api/jobs/{job}/cancel", access: "admin", success: 404 },
  { method: "POST", path: "/api/jobs/{job}/retry", access: "admin", success: 404 },

  { method: "POST", path: "/api/organizations", access: "admin", body: { name: "New" }, success: 201 },
  { method: "GET", path: "/api/organizations", access: "admin" },
  { method: "GET", path: "/api/organizations/{organization}", access: "admin" },
  { method: "PATCH", path: "/api/organizations/{organization}", access: "admin", body: { name: "Renamed" } },
  { method: "DELETE", path: "/api/organizations/{organization}", access: "admin" },

  { method: "POST", path: "/api/projects", access: "admin", body: { organization_id: "org", name: "New" }, success: 201 },
  { method: "GET", path: "/api/projects", access: "admin" },
  { method: "GET", path: "/api/projects/{id}", access: own("read") },
  { method: "PATCH", path: "/api/projects/{id}", access: "admin", body: { name: "Renamed" } },
  { method: "DELETE", path: "/api/projects/{id}", access: "admin" },
  { method: "PUT", path: "/api/projects/{id}/caps", access: "admin", body: { db_queries_per_day: 7 } },
  { method: "PUT", path: "/api/projects/{id}/upstream-share", access: "admin", body: { calls_per_day: 7 } },
  { method: "POST", path: "/api/projects/{id}/suspend", access: "admin", body: { reason: "Test" } },
  { method: "POST", path: "/api/projects/{id}/reactivate", access: "admin", body: { reason: "Test" } },

  { method: "POST", path: "/api/projects/{id}/keys", access: renew, body: { name: "New" }, success: 201 },
  { method: "GET", path: "/api/projects/{id}/keys", access: own("admin") },
  { method: "GET", path: "/api/projects/{id}/keys/{key_id}", access: own("admin") },
  { method: "DELETE", path: "/api/projects/{id}/keys/{key_id}", access: own("admin") },
  { method: "POST", path: "/api/projects/{id}/keys/{key_id}/rotate", access: renew, body: { immediate: true } },
  { method: "POST", path: "/api/projects/{id}/keys/{key_id}/end-grace", access: own("admin") },

  {
    method: "POST",
    path: "/api/projects/{id}/database/query",
    access: { scope: "database", kind: "use-own" },
    body: { sql: "SELECT 1" },
  },

  { method: "POST", path: "/api/projects/{id}/backups", access: own("admin"), body: {}, success: 202 },
  { method: "GET", path: "/api/projects/{id}/backups", access: own("admin") },
  { method: "GET", path: "/api/projects/{id}/backups/{backup_id}", access: own("admin"), success: 404 },
  { method: "GET", path: "/api/projects/{id}/backups/{backup_id}/download", access: own("admin"), success: 404 },
  { method: "GET", path: "/api/projects/{id}/backups/{backup_id}/manifest", access: own("admin"), success: 404 },
  { method: "DELETE", path: "/api/projects/{id}/backups/{backup_id}", access: "admin", success: 404 },
  { method: "POST", path: "/api/projects/{id}/backups/{backup_id}/restore", access: "admin", body: { project_id: "new" }, success: 404 },
  { method: "GET", path: "/api/projects/{id}/restore", access: own("admin"), success: 404 },
  { method: "POST", path: "/api/projects/{id}/webhooks", access: renew, body: { url: "https://example.com/hooks" }, success: 201 },
  { method: "GET", path: "/api/projects/{id}/webhooks", access: own("admin") },
  { method: "GET", path: "/api/projects/{id}/webhooks/deliveries", access: own("admin") },
  { method: "GET", path: "/api/projects/{id}/webhooks/deliveries/{delivery_id}", access: own("admin"), success: 404 },
  { method: "POST", path: "/api/projects/{id}/webhooks/deliveries/{delivery_id}/replay", access: own("admin"), success: 404 },
  { method: "GET", path: "/api/projects/{id}/webhooks/{webhook_id}", access: own("admin"), success: 404 },
  { method: "PATCH", path: "/api/projects/{id}/webhooks/{webhook_id}", access: own("admin"), body: { description: "New" }, success: 404 },
  { method: "DELETE", path: "/api/projects/{id}/webhooks/{webhook_id}", access: own("admin"), success: 404 },
  { method: "POST", path: "/api/projects/{id}/webhooks/{webhook_id}/test", access: own("admin"), success: 404 },
  { method: "POST", path: "/api/projects/{id}/webhooks/{webhook_id}/rotate-secret", access: own("admin"), success: 404 },
  {
    method: "POST",
    path: "/api/projects/{id}/webhooks/{webhook_id}/replay",
    access: own("admin"),
    body: { since: "2031-05-14T00:00:00Z" },
    success: 404,
  },

  { method: "GET", path: "/api/projects/{id}/usage", access: own("read") },
  { method: "GET", path: "/api/projects/{id}/evaluations", access: own("read") },
  { method: "GET", path: "/api/projects/{id}/events", access: own("read") },
  { method: "GET", path: "/api/projects/{id}/suspensions", access: own("read") },
  { method: "GET", path: "/api/projects/{id}/detections", access: own("read") },
  { method: "GET", path: "/api/audit", access: "admin" },

  { method: "POST", path: "/api/monitoring/alertmanager", access: "alertmanager", body: { version: "4", alerts: [ALERT] } },
  { method: "POST", path: "/api/monitoring/grafana", access: "grafana", body: { version: "1", alerts: [ALERT] } },
  {
    method: "POST",
    path: "/api/monitoring/datadog",
    access: "datadog",
    body: { schema: "qc.datadog.v1", cycle_key: "1", transition: "Triggered", alert_id: "2", date_ms: "1936620000000" },
  },
  { method: "POST", path: "/api/monitoring/signal", access: "admin", body: { id: "one" } },
  { method: "GET", path: "/api/monitoring/signals", access: "admin" },
  {
    method: "POST",
    path: "/api/usage/events",
    access: "admin",
    body: { events: [{ id: "e1", project_id: "mine", type: "storage_uploads_per_day" }] },
  },
];

/** Pages for people, which the document does not describe. test/dashboard tests their access. */
export const PAGES: readonly string[] = [
  "GET /sign-in",
  "POST /sign-in",
  "POST /sign-out",
  "GET /projects",
  "GET /projects/{}",
  "GET /projects/{}/suspend",
  "POST /projects/{}/suspend",
  "GET /projects/{}/reactivate",
  "POST /projects/{}/reactivate",
  ...["test", "enable", "disable"].flatMap((act) => ["GET", "POST"].map((method) => `${method} /projects/{}/webhooks/{}/${act}`)),
  "GET /projects/{}/webhooks/deliveries/{}",
  "POST /projects/{}/webhooks/deliveries/{}/again",
  "GET /projects/{}/backups/new",
  "POST /projects/{}/backups/new",
  "GET /projects/{}/backups/{}/download",
  "GET /signals",
  "GET /jobs",
  "GET /jobs/{}",
  "POST /jobs/{}/retry",
  "GET /jobs/{}/cancel",
  "POST /jobs/{}/cancel",
  "GET /harvest",
  "GET /audit",
];

/** The path with values for its parameters. For a parameter without a known value, the resource does not exist. */
export function addressOf({ path }: Route, given: Readonly<Record<string, string>> = {}): string {
  const known = { isbn: "9780201633610", reservation: "abc", organization: "org", id: "mine", webhook_id: WEBHOOK, delivery_id: DELIVERY };
  const names: Record<string, string> = { ...known, ...given };
  return path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => names[name] ?? "Aa00000000");
}

export const routeName = ({ method, path }: Route): string => `${method} ${path}`;
