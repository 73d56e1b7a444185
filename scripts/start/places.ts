/** Where things are. */
import { fileURLToPath } from "node:url";

/** The folder of package.json, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const WORKER_CONFIG = `${ROOT}wrangler.jsonc`;
export const SIMULATOR_CONFIG = `${ROOT}scripts/isbndb-simulator/wrangler.jsonc`;

/** The D1 binding that holds everything relational. */
export const DATABASE = "DB";
