/** What package-lock.json asks for, and whether node_modules is that. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, devOptional?: boolean, peer?: boolean }} Package
 * @typedef {{ hash: string, packages: Map<string, Package> }} Lockfile
 */

/**
 * @param {string} path
 * @returns {Lockfile | null} null where there is none, or none that can be read
 */
export function readLockfile(path) {
  try {
    const text = readFileSync(path, "utf8");
    const hash = createHash("sha256").update(text).digest("hex");
    const packages = new Map(Object.entries(JSON.parse(text).packages));
    packages.delete("");
    return { hash, packages };
  } catch {
    return null;
  }
}

/** Packages for other platforms are in the lockfile and nowhere else. @param {Package} wanted */
const mayBeAbsent = ({ optional, devOptional }) => optional === true || devOptional === true;

/**
 * A half-deleted node_modules looks whole to npm.
 * @param {string} root
 * @param {Lockfile} lockfile
 */
export function everyPackageIsThere(root, lockfile) {
  return [...lockfile.packages].every(([path, wanted]) => mayBeAbsent(wanted) || existsSync(join(root, path, "package.json")));
}

/**
 * Whether npm itself installed exactly this lockfile: it notes what it did as its last act.
 * @param {string} root
 * @param {Lockfile} lockfile
 */
export function npmInstalled(root, lockfile) {
  const installed = readLockfile(join(root, "node_modules/.package-lock.json"))?.packages;
  if (!installed) return false;
  const asWanted = [...lockfile.packages].every(([path, wanted]) => {
    const there = installed.get(path);
    return there ? there.version === wanted.version && there.integrity === wanted.integrity : mayBeAbsent(wanted);
  });
  return asWanted && [...installed.keys()].every((path) => lockfile.packages.has(path));
}
