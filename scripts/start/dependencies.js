/** Brings node_modules to what package-lock.json says, and only then does anything at all. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Foreseen } from "./foreseen.js";
import { tryLock } from "./lock.js";
import { everyPackageIsThere, npmInstalled, readLockfile } from "./lockfile.js";
import { npmCi } from "./npm.js";

/** Programs that an install script puts in place, or an optional package of this platform: what breaks first. */
const PROGRAMS = ["node", "workerd", "esbuild"];

const LOCK_POLL_MS = 200;

/** @param {string} root */
const stampPath = (root) => join(root, "node_modules/.setup.json");

/** @param {string} root @param {string} name */
const programPath = (root, name) => join(root, "node_modules/.bin", name);

/**
 * @param {string} root the folder of package.json
 * @param {(root: string) => void} install throws `Foreseen` where it fails
 */
export async function ensureDependencies(root, install = npmCi) {
  const lockfile = readLockfile(join(root, "package-lock.json"));
  if (!lockfile) throw new Foreseen("package-lock.json is missing or damaged; `git checkout package-lock.json` brings it back.");
  if (isCurrent(root, lockfile)) return;

  const release = await waitForLock(`setup of ${root}`);
  try {
    // Another setup may have finished while this one waited.
    if (isCurrent(root, lockfile)) return;
    const installedByHand = npmInstalled(root, lockfile) && everyPackageIsThere(root, lockfile) && brokenProgram(root) === null;
    if (!installedByHand) {
      rmSync(stampPath(root), { force: true });
      install(root);
      const broken = brokenProgram(root);
      if (broken !== null) throw new Foreseen(brokenMessage(broken));
    }
    writeFileSync(stampPath(root), JSON.stringify(stampOf(root, lockfile)));
  } finally {
    release();
  }
}

/** @param {string} program */
function brokenMessage(program) {
  return (
    `The dependencies are installed, but node_modules/.bin/${program} does not run: its install script may be switched off. ` +
    `Allow scripts (\`npm config get ignore-scripts\` should say false), delete node_modules, and try again.`
  );
}

/** @param {string} name */
async function waitForLock(name) {
  for (;;) {
    const release = await tryLock(name);
    if (release) return release;
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
}

/**
 * Cheap enough for every start: the programs are compared by size, not run.
 * @param {string} root
 * @param {import("./lockfile.js").Lockfile} lockfile
 */
function stampOf(root, lockfile) {
  const sizes = PROGRAMS.map((name) => statSync(programPath(root, name), { throwIfNoEntry: false })?.size ?? null);
  return { lockfile: lockfile.hash, platform: `${process.platform}-${process.arch}`, sizes };
}

/**
 * @param {string} root
 * @param {import("./lockfile.js").Lockfile} lockfile
 */
function isCurrent(root, lockfile) {
  try {
    const stamp = readFileSync(stampPath(root), "utf8");
    return stamp === JSON.stringify(stampOf(root, lockfile)) && everyPackageIsThere(root, lockfile);
  } catch {
    return false;
  }
}

/** @param {string} root @returns {string | null} the name of one that does not run */
function brokenProgram(root) {
  return PROGRAMS.find((name) => spawnSync(programPath(root, name), ["--version"], { stdio: "ignore" }).status !== 0) ?? null;
}
