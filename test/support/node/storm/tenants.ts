/** The tenants of a storm: projects of every kind, each with a key, and the records to compare later. */
import type { Storm } from "./storm.ts";

const READY_WITHIN_MS = 30_000;

const CAPS = { db_queries_per_day: null, realtime_connections: null, storage_uploads_per_day: null, function_invocations_per_day: null };
const SCOPES = ["read", "enrich", "database", "admin"];

export interface Tenant {
  readonly id: string;
  readonly organization: string;
  key: string;
  readonly keyId: string;
}

export const ALLOWANCE = "org_allowance";

/** `share` and the caps are small enough to be used up. */
const PROJECTS = {
  /** No limit except the daily one. */
  readers: { organization: "org_open", caps: {}, calls_per_day: null },
  /** Two caps that its clients reach. */
  tight: { organization: "org_open", caps: { db_queries_per_day: 25, function_invocations_per_day: 12 }, calls_per_day: null },
  /** A share of the provider's daily limit. */
  share: { organization: "org_open", caps: {}, calls_per_day: 10 },
  /** Its organization's month ends early. */
  thrifty: { organization: ALLOWANCE, caps: {}, calls_per_day: null },
  /** Suspended manually throughout the storm. */
  stopped: { organization: "org_open", caps: {}, calls_per_day: null },
  /** Suspended and reactivated repeatedly. */
  toggled: { organization: "org_open", caps: {}, calls_per_day: null },
  /** Its usage is reported by other services, so that sweeps warn it and suspend it. */
  reported: { organization: "org_reported", caps: { storage_uploads_per_day: 400, realtime_connections: 60 }, calls_per_day: null },
  /** Its key is replaced repeatedly. */
  rotating: { organization: "org_open", caps: {}, calls_per_day: null },
} as const;

export type TenantName = keyof typeof PROJECTS;
export type Tenants = Readonly<Record<TenantName, Tenant>>;

export const TENANT_NAMES = Object.keys(PROJECTS) as TenantName[];
export const SHARE = PROJECTS.share.calls_per_day;
export const MONTHLY = 40;

export async function settle(storm: Storm): Promise<Tenants> {
  const organizations = [["org_open", null] as const, [ALLOWANCE, MONTHLY] as const, ["org_reported", null] as const];
  // The billing periods begin before all usage that is reported today.
  const billing_anchor = `${new Date().toISOString().slice(0, 10)}T00:00:00Z`;
  for (const [id, api_calls] of organizations) {
    await need(storm, "/api/organizations", { id, name: id, billing_anchor, quotas: { api_calls } }, 201);
  }
  const made = await Promise.all(TENANT_NAMES.map(async (name) => [name, await project(storm, name)] as const));
  await need(storm, "/api/projects/stopped/suspend", { reason: "It stays so" }, 200);
  return Object.fromEntries(made) as Record<TenantName, Tenant>;
}

async function project(storm: Storm, name: TenantName): Promise<Tenant> {
  const { organization, caps, calls_per_day } = PROJECTS[name];
  const body = { id: name, name, organization_id: organization, calls_per_day, caps: { ...CAPS, ...caps }, key: { scopes: SCOPES } };
  const { api_key } = (await need(storm, "/api/projects", body, 201)) as { api_key: { id: string; key: string } };
  const giveUpAt = performance.now() + READY_WITHIN_MS;
  for (;;) {
    const answer = await storm.insist("setting up", { path: `/api/projects/${name}` });
    const { status } = answer.body["provisioning"] as { status: string };
    if (status === "done") return { id: name, organization, key: api_key.key, keyId: api_key.id };
    if (status === "failed" || performance.now() > giveUpAt) throw new Error(`${name} is not ready: ${answer.text}`);
    await storm.pause(50);
  }
}

async function need(storm: Storm, path: string, body: unknown, expected: number): Promise<Record<string, unknown>> {
  const answer = await storm.insist("setting up", { method: "POST", path, body });
  if (answer.status !== expected) throw new Error(`${path}: ${answer.status} ${answer.text}`);
  return answer.body;
}
