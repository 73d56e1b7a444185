/** The steps of setup. Runs on Node 20 with nothing installed. */
import { fileURLToPath } from "node:url";
import { copyAssets } from "./assets.js";
import { ensureDependencies } from "./dependencies.js";
import { Foreseen } from "./foreseen.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export async function prepare() {
  try {
    await ensureDependencies(ROOT);
    copyAssets(ROOT);
  } catch (error) {
    if (!(error instanceof Foreseen)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
