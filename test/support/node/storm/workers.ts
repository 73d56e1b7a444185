/** The product as deployed, and the simulated provider, each ready for its own workerd. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import type { V4WorkerOptions } from "miniflare";
import { ROOT } from "../process.ts";

type NamedWorker = V4WorkerOptions & { readonly name: string };

export const ADMIN_TOKEN = "storm-admin-token-0123456789";
export const METRICS_TOKEN = "storm-metrics-token-0123456789";
export const PROVIDER_KEY = "simulator-key";

const PRODUCT = "quota-coordinator";
/** A Worker in the product's workerd that can read its state. */
export const CONTROL = "storm-control";

const COMPATIBILITY_DATE = "2026-11-01";
const PRODUCT_CONFIG = `${ROOT}wrangler.jsonc`;

/** Configuration changes for the storm. */
const VARS = {
  ADMIN_TOKEN,
  METRICS_TOKEN,
  ISBNDB_API_KEY: PROVIDER_KEY,
  KEY_PEPPER: "storm-key-pepper-0123456789",
  SESSION_SECRET: "storm-session-secret-0123456789",
  ALLOW_PRIVATE_WEBHOOKS: "true",
  // With three requests per second, fifty clients would spend all their time waiting.
  ISBNDB_RATE_PER_SECOND: "0",
  // The same price for every request, so that requests can be compared with calls.
  ISBNDB_BULK_BILLING: "per_request",
  ISBNDB_TIMEOUT_SECONDS: "2",
  QUOTA_BACKGROUND_FLOOR: "20",
};

export async function productWorkers(folder: string, vars: Readonly<Record<string, string>>): Promise<NamedWorker[]> {
  const { unstable_getMiniflareWorkerOptions: optionsOf } = await import("wrangler");
  const { modulesRules: _, rootPath: __, ...own } = optionsOf(PRODUCT_CONFIG).workerOptions;
  const product = {
    ...own,
    name: PRODUCT,
    modules: [{ type: "ESModule" as const, path: "index.js", contents: bundle(folder) }],
    compatibilityDate: COMPATIBILITY_DATE,
    bindings: Object.assign({}, own.bindings, VARS, vars),
  };
  return [product, controlWorker(own)];
}

/**
 * Miniflare could do this too, but it waits for responses in a blocking thread. In a storm, workerd waits for that thread to read its log.
 */
const CONTROL_CODE = `
import unsafe from "workerd:unsafe";
export default {
  async fetch(request, env) {
    const { of, name, sql, values, batch } = await request.json();
    const isDatabase = of === "DB" || of === "CATALOG";
    const stub = isDatabase || of === undefined ? null : env[of].get(env[of].idFromName(name));
    if (of === undefined) {
      await unsafe.abortAllDurableObjects();
      return Response.json([]);
    }
    if (batch !== undefined) {
      await env[of].batch(batch.map((each) => env[of].prepare(each)));
      return Response.json([]);
    }
    if (sql === undefined) {
      return unsafe.evict(stub, {}).then(() => Response.json([]), (error) => new Response(error.message, { status: 409 }));
    }
    if (stub === null) return Response.json((await env[of].prepare(sql).bind(...values).all()).results);
    const [{ columns, rows }] = await stub.__miniflare_introspectSqlite([{ sql, params: values }]);
    return Response.json(rows.map((row) => Object.fromEntries(columns.map((column, place) => [column, row[place]]))));
  },
};`;

function controlWorker({ d1Databases }: Partial<V4WorkerOptions>): NamedWorker {
  const object = (className: string) => ({ className, scriptName: PRODUCT, useSQLite: true });
  return {
    name: CONTROL,
    modules: [{ type: "ESModule", path: "control.js", contents: CONTROL_CODE }],
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: ["unsafe_module"],
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    durableObjects: { QuotaLedger: object("QuotaLedger"), TenantDatabase: object("TenantDatabase") },
    ...(d1Databases === undefined ? {} : { d1Databases }),
  };
}

/** Through wrangler itself, so that it equals an upload. */
function bundle(folder: string): string {
  const outdir = join(folder, "bundle");
  const args = [`${ROOT}node_modules/wrangler/bin/wrangler.js`, "deploy", "--dry-run", "--outdir", outdir, "--config", PRODUCT_CONFIG];
  const env = { ...process.env, WRANGLER_HIDE_BANNER: "true" };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", env });
  if (status !== 0) throw new Error(`the product does not build:\n${stderr || stdout}`);
  return readFileSync(join(outdir, "index.js"), "utf8");
}

export async function simulatorWorker(): Promise<NamedWorker> {
  const { outputFiles } = await build({
    entryPoints: [`${ROOT}scripts/isbndb-simulator/worker.ts`],
    bundle: true,
    write: false,
    format: "esm",
    conditions: ["workerd"],
    external: ["cloudflare:*"],
  });
  return {
    name: "isbndb-simulator",
    modules: [{ type: "ESModule", path: "worker.js", contents: outputFiles[0]?.text ?? "" }],
    compatibilityDate: COMPATIBILITY_DATE,
    durableObjects: { ACCOUNT: { className: "SimulatedAccount", useSQLite: true } },
    bindings: { SIMULATOR_API_KEY: PROVIDER_KEY },
  };
}
