/** One existing resource of each kind, and a function that sends requests. */
import { env } from "cloudflare:workers";
import { ADMIN_TOKEN, call, freshStart, post, quotaStatus, settings, simulator, withTheirJobs } from "../support/worker.ts";
import { makeOrganization, makeProject, right } from "../support/tenants/http.ts";
import { callWith } from "../routes/support.ts";
import type { Reply } from "../routes/support.ts";
import type { Names, Sent } from "./requests.ts";
import { settledContents } from "./stores.ts";
import type { Contents } from "./stores.ts";

/** Longer than any request that is not stuck. */
const DEADLINE_MS = 20_000;

export interface World {
  readonly names: Names;
  readonly key: string;
  readonly contents: Contents;
}

/** A Workflows binding that starts nothing. Jobs are recorded only, because their work is not part of an answer. */
const instance = { status: async () => ({ status: "queued" }), terminate: async () => undefined };
const JOBS = {
  create: async () => instance,
  createBatch: async ({ instances }: { instances: { id: string }[] }) => ({ created: instances, errors: [] }),
  get: async () => instance,
  deleteBatch: async () => undefined,
};

export async function makeWorld(): Promise<World> {
  await freshStart();
  await makeOrganization("org");
  const scopes = ["read", "enrich", "database", "admin"];
  const { api_key } = await makeProject("mine", { key: { name: "all", scopes } });
  await makeProject("other");
  const create = async (path: string, body: unknown): Promise<{ id: string }> => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const { status, text } = await callWith({ JOBS }, path, { method: "POST", headers, body: JSON.stringify(body) });
    if (status >= 300) throw new Error(`${path}: ${status} ${text}`);
    return JSON.parse(text) as { id: string };
  };
  const job = await create("/api/jobs", { type: "housekeeping", payload: {} });
  const spare = await create("/api/projects/mine/keys", { name: "spare", scopes: ["read"] });
  const webhook = await create("/api/projects/mine/webhooks", { url: "https://receiver.example/hooks" });
  await create("/api/projects/mine/suspend", { reason: "Test" });
  await create("/api/projects/mine/reactivate", { reason: "Test" });
  const backup = await create("/api/projects/mine/backups", {});
  const delivery = await env.DB.prepare("SELECT id FROM webhook_deliveries LIMIT 1").first<string>("id");
  withTheirJobs();
  await resetQuota();
  const names: Names = {
    id: "mine",
    project_id: "mine",
    organization_id: "org",
    "organizations.id": "org",
    "jobs.id": job.id,
    "quota.id": "reservation-1",
    isbn: "9780201633610",
    key_id: spare.id,
    webhook_id: webhook.id,
    delivery_id: delivery ?? "none",
    backup_id: backup.id,
  };
  return { names, key: api_key.key, contents: await settledContents() };
}

/** Resets the ledger and the simulator, with a small limit and no pace. */
export async function resetQuota(): Promise<void> {
  right(await call("DELETE", "/api/quota/settings"));
  await settings({ rate_per_second: 0, daily_limit: 40, safety_buffer: 0, background_floor: 0 });
  await simulator.control("POST", "/reset");
  await simulator.control("PUT", "/settings", { rate_per_second: 0, clock: new Date().toISOString() });
  right(await post("/api/quota/reset"));
}

/** Sends a request. Throws if no answer arrives in time. */
export async function send(world: World, method: string, { as, path, headers, body }: Sent): Promise<Reply> {
  const sent = {
    authorization: `Bearer ${as === "admin" ? ADMIN_TOKEN : world.key}`,
    ...(body === null ? {} : { "content-type": "application/json" }),
    ...headers,
  };
  const answer = callWith({ JOBS }, path, { method, headers: sent, ...(body === null ? {} : { body }) });
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

export const ledgerState = async (): Promise<string> => JSON.stringify(await quotaStatus());
