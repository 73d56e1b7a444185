/** Paths of the repository. */
import { fileURLToPath } from "node:url";

/** Folder of package.json, with a trailing slash. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const WORKER_CONFIG = `${ROOT}wrangler.jsonc`;
export const SIMULATOR_CONFIG = `${ROOT}scripts/isbndb-simulator/wrangler.jsonc`;

/** The Worker within Cloudflare's limits. Its settings say where the product is. */
export const STRICT_WORKER = `${ROOT}scripts/strict-platform/worker.ts`;

/** D1 binding of the catalog. */
export const CATALOG = "CATALOG";
/** All D1 bindings. */
export const DATABASES = ["DB", CATALOG] as const;
