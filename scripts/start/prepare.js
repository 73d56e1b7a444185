/** Steps of the setup. Runs on Node 20 without dependencies. */
import { fileURLToPath } from "node:url";
import { copyAssets } from "./assets.js";
import { ensureDependencies } from "./dependencies.js";
import { UserError } from "./user-error.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export async function prepare() {
  try {
    await ensureDependencies(ROOT);
    copyAssets(ROOT);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
