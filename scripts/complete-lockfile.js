/**
 * npm leaves optional packages of other platforms out of package-lock.json where the registry at hand, or an installed tree, does not
 * show them; `npm ci` then refuses the lock elsewhere. This names them all: run it after every change of the dependencies.
 */
import { readFileSync, writeFileSync } from "node:fs";

const LOCKFILE = new URL("../package-lock.json", import.meta.url);

/** @type {Record<string, string>} */
const SYSTEMS = {
  android: "android",
  darwin: "darwin",
  freebsd: "freebsd",
  linux: "linux",
  openharmony: "openharmony",
  win32: "win32",
  windows: "win32",
};

/** @type {Record<string, string>} */
const PROCESSORS = {
  arm: "arm",
  arm64: "arm64",
  x64: "x64",
  64: "x64",
  ia32: "ia32",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  wasm32: "wasm32",
};

/**
 * @typedef {{ version?: string, dev?: boolean, optional?: boolean, os?: string[], cpu?: string[], optionalDependencies?: Record<string, string> }} Entry
 * @typedef {{ packages: Record<string, Entry> }} Lockfile
 */

/** The entry of a package that only its name tells about. @param {string} name @param {string} version @param {Entry} parent @returns {Entry} */
function entryOf(name, version, parent) {
  const words = name.split(/[/-]/u);
  const os = words.map((word) => SYSTEMS[word]).find((word) => word !== undefined);
  const cpu = words.map((word) => PROCESSORS[word]).find((word) => word !== undefined);
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
    // A range says nothing about which version would be installed.
    if (known || !/^\d+\.\d+\.\d+/u.test(version)) continue;
    lock.packages[lock.packages[top] === undefined ? top : nested] = entryOf(name, version, parent);
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(LOCKFILE, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added} optional packages of other platforms added`);
