/** Copies static files and their headers to the folder that wrangler.jsonc serves. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const TARGET = "worker/assets";

const BROWSER = "worker/src/dashboard/browser";

/** Files by folder. Several sources are concatenated. Holds the viewer of /docs and the dashboard. */
const FILES = {
  ".": { _headers: ["worker/_headers"] },
  "docs-assets": {
    "swagger-ui.css": ["node_modules/swagger-ui-dist/swagger-ui.css"],
    "swagger-ui-bundle.js": ["node_modules/swagger-ui-dist/swagger-ui-bundle.js"],
    "favicon-32x32.png": ["node_modules/swagger-ui-dist/favicon-32x32.png"],
    "start.js": ["scripts/docs-assets/start.js"],
  },
  "dashboard-assets": {
    "dashboard.css": ["base", "frame", "verdict", "charts", "lists", "tables", "forms"].map((name) => `${BROWSER}/styles/${name}.css`),
    "dashboard.js": [`${BROWSER}/dashboard.js`],
    "icon.svg": [`${BROWSER}/icon.svg`],
  },
};

/** @param {string} path */
function contentsOf(path) {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

/** @param {string} root folder of package.json */
export function copyAssets(root) {
  for (const [folder, files] of Object.entries(FILES)) {
    mkdirSync(join(root, TARGET, folder), { recursive: true });
    for (const [name, sources] of Object.entries(files)) {
      write(join(root, TARGET, folder, name), Buffer.concat(sources.map((source) => readFileSync(join(root, source)))));
    }
  }
}

/**
 * @param {string} target
 * @param {Buffer} content
 */
function write(target, content) {
  // Compares contents, because npm gives every file the same date.
  if (contentsOf(target)?.equals(content)) return;
  // Renaming is atomic, so that no browser receives half a file.
  writeFileSync(`${target}.${process.pid}`, content);
  renameSync(`${target}.${process.pid}`, target);
}
