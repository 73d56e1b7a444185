/** Two projects: `shop` uses every feature, and `shut` is suspended. */
import { env } from "cloudflare:workers";
import { ask, ended } from "../../jobs/support.ts";
import { alert, group, toAlertmanager } from "../../monitoring/support.ts";
import { get, isbnNumber, post, put } from "../../support/worker.ts";
import { query } from "../../tenant-database/support.ts";
import { makeOrganization, right } from "../../support/tenants/http.ts";
import { backUp } from "../../tenants/backups/support.ts";
import { by, enrich } from "../../support/tenants/keys.ts";
import { createdBy } from "../../support/tenants/provisioning.ts";
import { makeWebhook } from "../../tenants/webhooks/support.ts";
import type { RecordedAnswers } from "../recording.ts";

/** Creates a project, waits for its job and returns its key. */
async function createProject(id: string): Promise<string> {
  const { made, job } = await createdBy({ id, name: id });
  if (job.status !== "completed" || made.api_key.key === null) throw new Error(`${id} was not created: ${JSON.stringify(job)}`);
  return made.api_key.key;
}

/** 17 of 20 uploads cause a warning. The event for yesterday is in none of today's sums. */
async function use(key: string): Promise<void> {
  right(await put("/api/projects/shop/caps", { function_invocations_per_day: 10, storage_uploads_per_day: 20 }));
  right(await put("/api/projects/shop/upstream-share", { calls_per_day: 50 }));
  for (const n of [100, 101, 102]) right(await enrich(key, [isbnNumber(n)]));
  right(await by(key, "POST", "/api/quota/reservations", { id: "held-by-shop", calls: 4, ttl_seconds: 120 }));
  const events = [
    { id: "e1", project_id: "shop", type: "storage_uploads_per_day", quantity: 17 },
    { id: "e2", project_id: "shop", type: "realtime_connections", quantity: 7, mode: "set" },
    { id: "e3", project_id: "shop", type: "function_invocations_per_day", quantity: 2, occurred_at: "2031-05-13T12:00:00Z" },
  ];
  right(await post("/api/usage/events", { events }));
  right(await get("/api/projects/shop/usage"));
  right(await query("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, at REAL)", {}, key));
  right(await query("INSERT INTO notes (text, at) VALUES ('one', 1.0), ('two\nlines', 9e999), (NULL, 2)", {}, key));
}

/** Runs a job to its end and returns its id. */
async function runJob(type: string, more: Record<string, unknown> = {}): Promise<string> {
  const { id, status, error } = await ended(right(await ask({ type, ...more })).id);
  if (status !== "completed") throw new Error(`${type} is ${status}: ${String(error)}`);
  return id;
}

async function rotatedKey(): Promise<NonNullable<RecordedAnswers["turned"]>> {
  const { id, key: before } = right(await post<{ id: string; key: string }>("/api/projects/shop/keys", { name: "turned" }));
  const { key: after } = right(await post<{ key: string }>(`/api/projects/shop/keys/${id}/rotate`, {}));
  return { id, before, after };
}

/** Uses both projects and returns the answers. */
export async function useProjects(): Promise<Omit<RecordedAnswers, "status" | "received" | "session">> {
  await makeOrganization("org", { billing_anchor: "2031-01-31T00:00:00Z", quotas: { api_calls: 100 } });
  const keys = { key: await createProject("shop"), shutKey: await createProject("shut") };
  right(await post("/api/projects/shut/suspend", { reason: "admin" }));
  await use(keys.key);

  const done = await runJob("housekeeping", { idempotency_key: "done" });
  // Each release has its own id, because the engine of a test run remembers every job.
  const { id: later } = right(await ask({ idempotency_key: `later-${env.TEST_RELEASE}`, delay_seconds: 3_600 }));
  const { id, secret } = await makeWebhook();
  await runJob("check_usage_limits");
  const { backup } = await backUp("shop");
  const turned = await rotatedKey();
  const labels = { alertname: "Spike", project_id: "shop", abuse_pattern: "ERROR_SPIKE" };
  right(await toAlertmanager(group(alert({ labels }))));
  return { keys, done, later, webhook: { id, secret }, backup: backup.id, turned };
}
