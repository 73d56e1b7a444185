/** The viewer behind /docs, served from our own origin: copied to where wrangler.jsonc serves static files from. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const TARGET = "worker/assets/docs-assets";

const SOURCES = [
  "node_modules/swagger-ui-dist/swagger-ui.css",
  "node_modules/swagger-ui-dist/swagger-ui-bundle.js",
  "node_modules/swagger-ui-dist/favicon-32x32.png",
  "scripts/docs-assets/start.js",
];

/** @param {string} path */
function contentsOf(path) {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

/** @param {string} root the folder of package.json */
export function copyDocsAssets(root) {
  mkdirSync(join(root, TARGET), { recursive: true });
  for (const source of SOURCES) {
    const wanted = readFileSync(join(root, source));
    const target = join(root, TARGET, source.slice(source.lastIndexOf("/") + 1));
    // By content: npm gives every file the same date.
    if (contentsOf(target)?.equals(wanted)) continue;
    // Renamed into place, so that nobody is ever served half a file.
    writeFileSync(`${target}.${process.pid}`, wanted);
    renameSync(`${target}.${process.pid}`, target);
  }
}
