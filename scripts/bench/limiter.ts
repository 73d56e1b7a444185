/** Installs hono-rate-limiter in a separate folder, because it is not a dependency of the product. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Exact versions, so that runs are comparable. hono-rate-limiter imports `unstorage` for a store that is not used here. */
const PACKAGES = { "hono-rate-limiter": "0.5.4", "@hono-rate-limiter/cloudflare": "0.2.2", hono: "4.13.19", unstorage: "1.17.3" };

/** Longest excerpt of npm's error. */
const MAX_CHARACTERS = 200;

/** Folder of the installed packages, or the reason for a failure. */
export function installLimiter(folder: string): { readonly modules: string } | { readonly missing: string } {
  const modules = join(folder, "node_modules");
  if (existsSync(join(modules, "hono-rate-limiter/package.json"))) return { modules };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: PACKAGES }));
  const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", "--loglevel=error"];
  const { status, stderr, error } = spawnSync("npm", args, { cwd: folder, encoding: "utf8" });
  if (status === 0) return { modules };
  const reason = (error?.message ?? stderr).trim().replaceAll(/\s+/gu, " ").slice(0, MAX_CHARACTERS);
  return { missing: `hono-rate-limiter was not installed (${reason})` };
}
