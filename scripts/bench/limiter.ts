/** hono-rate-limiter in a folder of its own: what it is compared with is no dependency of the product. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Exact, so that two runs compare with the same. `unstorage` is what hono-rate-limiter imports for a store nobody uses here. */
const PACKAGES = { "hono-rate-limiter": "0.5.4", "@hono-rate-limiter/cloudflare": "0.2.2", hono: "4.13.19", unstorage: "1.17.3" };

/** As npm says it in its own words, which may be many. */
const SHOWN_CHARACTERS = 200;

/** The folder of installed packages, or why there is none. */
export function installLimiter(folder: string): { readonly modules: string } | { readonly missing: string } {
  const modules = join(folder, "node_modules");
  if (existsSync(join(modules, "hono-rate-limiter/package.json"))) return { modules };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: PACKAGES }));
  const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", "--loglevel=error"];
  const { status, stderr, error } = spawnSync("npm", args, { cwd: folder, encoding: "utf8" });
  if (status === 0) return { modules };
  const reason = (error?.message ?? stderr).trim().replaceAll(/\s+/gu, " ").slice(0, SHOWN_CHARACTERS);
  return { missing: `hono-rate-limiter could not be installed (${reason})` };
}
