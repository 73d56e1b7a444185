/** Bundles for workerd: the product as uploaded by `wrangler deploy`, its variants and the Workers of the benchmark. */
import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import type { Plugin } from "esbuild";
import "../start/offline.ts";
import { UserError } from "../start/user-error.js";
import { ROOT, SIMULATOR_CONFIG, WORKER_CONFIG } from "../start/places.ts";

export interface Bundles {
  readonly product: string;
  /** The product, but with a bare `SELECT 1` as admission of a project. */
  readonly bare: string;
  /** The product, but with a one-statement ledger. Shows the cost of exactness. */
  readonly counter: string;
  /** The product, but without logs. Shows the cost of printing a log line. */
  readonly silent: string;
  readonly bench: string;
  readonly simulator: string;
  /** null if the installation failed. */
  readonly limiter: string | null;
}

const SOURCE = `${ROOT}worker/src/`;
const BENCH = `${ROOT}scripts/bench/worker/`;

export async function buildAll(folder: string, limiterModules: string | null): Promise<Bundles> {
  const [bare, counter, silent, bench, simulator, limiter] = await Promise.all([
    productWith("store/limits/admissions.ts", "bare-admission.ts"),
    productWith("quota/ledger.ts", "one-statement-ledger.ts"),
    bundle(`${SOURCE}index.ts`, { drop: ["console"] }),
    bundle(`${BENCH}index.ts`),
    bundle(SIMULATOR_CONFIG.replace("wrangler.jsonc", "worker.ts")),
    limiterModules === null ? null : bundle(`${BENCH}rate-limiter.ts`, { modules: limiterModules }),
  ]);
  return { product: productBundle(folder), bare, counter, silent, bench, simulator, limiter };
}

/** Bundles the product with wrangler, exactly as for a deployment. */
function productBundle(folder: string): string {
  const outdir = join(folder, "product");
  const wrangler = `${ROOT}node_modules/wrangler/bin/wrangler.js`;
  const args = [wrangler, "deploy", "--dry-run", "--outdir", outdir, "--config", WORKER_CONFIG];
  // The banner would check for a newer version over the network.
  const env = { ...process.env, WRANGLER_HIDE_BANNER: "true" };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", env });
  if (status !== 0) throw new UserError(`The build of the product failed. Output of wrangler:\n\n${stderr || stdout}`);
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

/** Bundles the product with one module replaced. The replacement may import the original as `product/…`. Throws if no file imports the module. */
export async function productWith(module: string, variant: string): Promise<string> {
  const replaced = `${SOURCE}${module}`;
  let imports = 0;
  const plugin: Plugin = {
    name: `instead of ${module}`,
    setup: (build) => {
      build.onResolve({ filter: /^product\// }, ({ path }) => ({ path: path.replace("product/", SOURCE) }));
      build.onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        if (resolve(resolveDir, path) !== replaced) return undefined;
        imports += 1;
        return { path: `${ROOT}scripts/bench/variants/${variant}` };
      });
    },
  };
  const contents = await bundle(`${SOURCE}index.ts`, { plugins: [plugin] });
  if (imports === 0) throw new Error(`No file of the product imports ${module}, so ${variant} would have no effect`);
  return contents;
}
