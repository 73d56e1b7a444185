/** One workerd with all contenders. Each has its own socket without a proxy. */
import { spawnSync } from "node:child_process";
import "../start/offline.ts";
import type { V4WorkerOptions } from "miniflare";
import { applyMigrations } from "../start/migrations.ts";
import { ROOT, WORKER_CONFIG } from "../start/places.ts";
import type { Bundles } from "./bundles.ts";

export const ADMIN_TOKEN = "bench-admin-token-0123456789";

/** Highest limit of the configuration, so that the load is granted. */
export const DAILY_LIMIT = 100_000_000;

const VARS = {
  ADMIN_TOKEN,
  ISBNDB_API_KEY: "simulator-key",
  KEY_PEPPER: "bench-key-pepper-0123456789",
  SESSION_SECRET: "bench-session-secret-0123456789",
  ISBNDB_BASE_URL: "http://isbndb.test",
  ISBNDB_BULK_BILLING: "per_request",
  // The default pace of three calls per second would limit all results.
  ISBNDB_RATE_PER_SECOND: "0",
  QUOTA_DAILY_LIMIT: String(DAILY_LIMIT),
  QUOTA_SAFETY_BUFFER: "0",
};

const COMPATIBILITY_DATE = "2026-11-01";

type Name = keyof Bundles;

export interface Workerd {
  /** Address of a Worker. */
  readonly url: (worker: Name) => string;
  /** Resident memory in megabytes. */
  readonly memoryMb: () => number;
  /** Address of the inspector. */
  readonly inspector: () => Promise<URL>;
  readonly stop: () => Promise<void>;
}

function worker(name: string, contents: string, options: Partial<V4WorkerOptions>): V4WorkerOptions {
  return {
    name,
    modules: [{ type: "ESModule", path: `${name}.js`, contents }],
    compatibilityDate: COMPATIBILITY_DATE,
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    ...options,
  } as V4WorkerOptions;
}

async function workersOf(bundles: Partial<Bundles>): Promise<V4WorkerOptions[]> {
  const { unstable_getMiniflareWorkerOptions: optionsOf } = await import("wrangler");
  const workers: V4WorkerOptions[] = [];
  const { product, bare, counter, silent, bench, simulator, limiter } = bundles;
  // Static files are served without the Worker.
  const { assets: _, modulesRules: __, rootPath: ___, ...own } = optionsOf(WORKER_CONFIG).workerOptions;
  const bindings = Object.assign({}, own.bindings, VARS);
  const outbound = simulator === undefined ? {} : { outboundService: "simulator" };
  if (product !== undefined) workers.push(worker("product", product, { ...own, ...outbound, bindings }));
  const objects = {
    QUOTA_LEDGER: { className: "QuotaLedger", scriptName: "product", useSQLite: true },
    TENANT_DATABASE: { className: "TenantDatabase", scriptName: "product", useSQLite: true },
  };
  for (const [name, variant] of Object.entries({ bare, silent })) {
    if (variant !== undefined)
      workers.push(worker(name, variant, { ...own, ...outbound, bindings, durableObjects: objects, workflows: {} }));
  }
  if (counter !== undefined) workers.push(worker("counter", counter, { ...own, ...outbound, bindings, workflows: {} }));
  if (bench !== undefined) {
    const floor = { OBJECT: { className: "OneStatement", useSQLite: true } };
    const tenant = { TENANT_DATABASE: { className: "TenantDatabase", scriptName: "product", useSQLite: true } };
    const durableObjects = product === undefined ? floor : { ...floor, ...tenant };
    workers.push(worker("bench", bench, { durableObjects, kvNamespaces: { KV: "BENCH_KV" }, d1Databases: { DB: { id: "DB" } } }));
  }
  if (simulator !== undefined) {
    const durableObjects = { ACCOUNT: { className: "SimulatedAccount", useSQLite: true } };
    workers.push(worker("simulator", simulator, { durableObjects, bindings: { SIMULATOR_API_KEY: VARS.ISBNDB_API_KEY } }));
  }
  if (typeof limiter === "string") {
    const durableObjects = { LIMITER: { className: "DurableObjectRateLimiter", useSQLite: true } };
    workers.push(worker("limiter", limiter, { durableObjects, kvNamespaces: { LIMITER_KV: "LIMITER_KV" } }));
  }
  return workers;
}

/** Starts workerd with temporary storage. Without `migrated` the product's database is empty. */
export async function startWorkerd(bundles: Partial<Bundles>, { migrated = true, inspected = false } = {}): Promise<Workerd> {
  const before = new Set(workerdProcesses().keys());
  // Reads and discards logs, because the pipe would fill.
  const { Miniflare, convertV4MiniflareOptions } = await import("miniflare");
  const workers = await workersOf(bundles);
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({ workers, ...(inspected ? { inspectorPort: 0 } : {}), handleStructuredLogs: () => undefined }),
  );
  await miniflare.ready;
  const urls = new Map<string, string>();
  for (const [name, bundle] of Object.entries(bundles)) {
    if (bundle !== null) urls.set(name, (await miniflare.unsafeGetDirectURL(name)).origin);
  }
  if (migrated && bundles.product !== undefined) {
    await applyMigrations(await miniflare.getD1Database("DB", "product"), `${ROOT}worker/migrations`);
    await applyMigrations(await miniflare.getD1Database("CATALOG", "product"), `${ROOT}worker/catalog-migrations`);
  }
  const id = [...workerdProcesses().keys()].find((process) => !before.has(process));
  return {
    url: (name) => urls.get(name) ?? missing(name),
    memoryMb: () => (workerdProcesses().get(id ?? 0) ?? 0) / 1_024,
    inspector: async () => miniflare.getInspectorURL(),
    stop: async () => miniflare.dispose(),
  };
}

function missing(name: string): never {
  throw new Error(`This run has no Worker ${name}`);
}

/** Own workerd processes: resident kilobytes by process id. */
function workerdProcesses(): ReadonlyMap<number, number> {
  const { stdout } = spawnSync("ps", ["-eo", "pid=,ppid=,rss=,comm="], { encoding: "utf8" });
  const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/u));
  const own = rows.filter(([, parent, , name = ""]) => Number(parent) === process.pid && name.startsWith("workerd"));
  return new Map(own.map(([id, , kilobytes]) => [Number(id), Number(kilobytes)]));
}
