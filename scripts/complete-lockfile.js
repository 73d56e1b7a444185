/**
 * Adds optional packages of other platforms to package-lock.json. The package manager omits them if the registry or the installed tree does not list
 * them, and then `npm ci` fails on those platforms. Run it after each change of the dependencies.
 */
import { readFileSync, writeFileSync } from "node:fs";

const LOCKFILE = new URL("../package-lock.json", import.meta.url);

const SYSTEMS = new Set(["android", "darwin", "freebsd", "linux", "openharmony", "win32"]);
const PROCESSORS = new Set(["arm", "arm64", "x64", "ia32", "ppc64", "riscv64", "s390x", "wasm32"]);
/** Alternative names in some packages. @type {Record<string, string>} */
const OTHER_NAMES = { windows: "win32", 64: "x64" };

/**
 * @typedef {{ version?: string, dev?: boolean, optional?: boolean, os?: string[], cpu?: string[], optionalDependencies?: Record<string, string> }} Entry
 * @typedef {{ packages: Record<string, Entry> }} Lockfile
 */

/** Entry of a package, derived from its name. @param {string} name @param {string} version @param {Entry} parent @returns {Entry} */
function entryOf(name, version, parent) {
  const words = name.split(/[/-]/u).map((word) => OTHER_NAMES[word] ?? word);
  const os = words.find((word) => SYSTEMS.has(word));
  const cpu = words.find((word) => PROCESSORS.has(word));
  return {
    version,
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(parent.dev === true ? { dev: true } : {}),
    optional: true,
    ...(os === undefined ? {} : { os: [os] }),
  };
}

/** @type {Lockfile} */
const lock = JSON.parse(readFileSync(LOCKFILE, "utf8"));
let added = 0;
for (const [at, parent] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const top = `node_modules/${name}`;
    const nested = `${at}/node_modules/${name}`;
    const known = lock.packages[nested] !== undefined || lock.packages[top]?.version === version;
    // A range does not fix the installed version.
    if (known || !/^\d+\.\d+\.\d+/u.test(version)) continue;
    lock.packages[lock.packages[top] === undefined ? top : nested] = entryOf(name, version, parent);
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(LOCKFILE, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added} optional packages of other platforms added`);
