/** What runs in workerd: the product as `wrangler deploy` would upload it, and beside it the bench's own Workers. */
import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { build } from "esbuild";
import type { Plugin } from "esbuild";
import "../start/offline.ts";
import { Foreseen } from "../start/foreseen.js";
import { ROOT, SIMULATOR_CONFIG, WORKER_CONFIG } from "../start/places.ts";

export interface Bundles {
  readonly product: string;
  /** The product, but that a project is admitted by a bare `SELECT 1`. */
  readonly bare: string;
  /** The product, but that its ledger is one statement: what the exactness costs behind the same door. */
  readonly counter: string;
  /** The product, but that it writes no log: what a line costs where it is only printed. */
  readonly silent: string;
  readonly bench: string;
  readonly simulator: string;
  /** null where it could not be installed. */
  readonly limiter: string | null;
}

const BENCH = `${ROOT}scripts/bench/worker/`;

export async function buildAll(folder: string, limiterModules: string | null): Promise<Bundles> {
  const [bare, counter, silent, bench, simulator, limiter] = await Promise.all([
    bundle(`${ROOT}worker/src/index.ts`, { plugins: [instead("store", "admissions.ts", BARE)] }),
    bundle(`${ROOT}worker/src/index.ts`, { plugins: [instead("quota", "ledger.ts", ONE_STATEMENT)] }),
    bundle(`${ROOT}worker/src/index.ts`, { drop: ["console"] }),
    bundle(`${BENCH}index.ts`),
    bundle(SIMULATOR_CONFIG.replace("wrangler.jsonc", "worker.ts")),
    limiterModules === null ? null : bundle(`${BENCH}rate-limiter.ts`, { modules: limiterModules }),
  ]);
  return { product: productBundle(folder), bare, counter, silent, bench, simulator, limiter };
}

/** Through wrangler itself, so that it is what would be deployed. */
function productBundle(folder: string): string {
  const outdir = join(folder, "product");
  const wrangler = `${ROOT}node_modules/wrangler/bin/wrangler.js`;
  const args = [wrangler, "deploy", "--dry-run", "--outdir", outdir, "--config", WORKER_CONFIG];
  // With its banner it would look for a newer version of itself.
  const env = { ...process.env, WRANGLER_HIDE_BANNER: "true" };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", env });
  if (status !== 0) throw new Foreseen(`The product does not build; wrangler says:\n\n${stderr || stdout}`);
  return readFileSync(join(outdir, "index.js"), "utf8");
}

async function bundle(
  entry: string,
  { plugins = [], drop = [], modules }: { plugins?: Plugin[]; drop?: "console"[]; modules?: string } = {},
): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    mainFields: ["module", "main"],
    external: ["cloudflare:*", "node:*"],
    plugins,
    drop,
    ...(modules === undefined ? {} : { nodePaths: [modules] }),
  });
  return outputFiles[0]?.text ?? "";
}

/** The first admission of an instance is the real one; after it, its facts, behind the cheapest round trip that there is. */
const BARE = `
import { admit as real } from "./admissions.ts?real";
export { returnAdmission } from "./admissions.ts?real";
let known = null;
export async function admit(db, question, use) {
  if (known === null) return (known = await real(db, question, use));
  await db.prepare("SELECT 1").first();
  return { ...known, admitted: use !== null };
}`;

/** One statement instead of the ledger's transaction, and a status that was worked out once: all else is the product's. */
const ONE_STATEMENT = `
import { QuotaLedger as Real } from "./ledger.ts?real";
export class QuotaLedger extends Real {
  #status = null;
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, used INTEGER NOT NULL)");
    ctx.storage.sql.exec("INSERT INTO counter VALUES (1, 0) ON CONFLICT DO NOTHING");
  }
  async reserve({ id, cost, caller, ttlSeconds }) {
    this.#status ??= await super.status({ own: caller });
    if ("empty" in this.#status) return [this.#status, (this.#status = null)][0];
    const sql = "UPDATE counter SET used = used + ?1 WHERE used + ?1 <= ?2 RETURNING used";
    const [row] = this.ctx.storage.sql.exec(sql, cost.calls, this.#status.safety_limit).toArray();
    if (row === undefined) throw new Error("The bench asked for more than there is");
    const now = Date.now();
    const reservation = { id, calls: cost.calls, expiresAt: now + ttlSeconds * 1000, startAt: now, decidedAt: now, probe: false };
    return { result: "granted", reservation, status: this.#status };
  }
}`;

/** A module of the product with another in its place, which may still ask for the real one as `<name>?real`. */
function instead(folder: string, file: string, contents: string): Plugin {
  const resolveDir = `${ROOT}worker/src/${folder}/`;
  return {
    name: `instead of ${file}`,
    setup: (build) => {
      build.onResolve({ filter: /\?real$/ }, () => ({ path: `${resolveDir}${file}`, namespace: "real" }));
      build.onLoad({ filter: /.*/, namespace: "real" }, ({ path }) => ({ contents: readFileSync(path, "utf8"), loader: "ts", resolveDir }));
      build.onLoad({ filter: new RegExp(`/${folder}/${file.replaceAll(".", "\\.")}$`), namespace: "file" }, () => ({
        contents,
        loader: "ts",
        resolveDir,
      }));
    },
  };
}
