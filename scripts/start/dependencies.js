/** Runs `npm ci` once for each version of package-lock.json. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "./user-error.js";
import { tryLock } from "./lock.js";

/** NODE_ENV=production would omit the packages that run the Worker locally. */
const ARGUMENTS = ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];

/** Programs that an install script creates. They break most often. */
const PROGRAMS = ["node", "workerd", "esbuild"];

const LOCK_POLL_MS = 200;
/** npm prints its reasons first and then pages of usage. */
const MAX_LINES = 15;

/**
 * @param {string} root folder of package.json
 * @param {(root: string) => void} install throws `UserError` on failure
 */
export async function ensureDependencies(root, install = npmCi) {
  const stamp = join(root, "node_modules/.setup");
  if (read(stamp) === stampOf(root)) return;
  let release = await tryLock(`setup of ${root}`);
  for (; !release; release = await tryLock(`setup of ${root}`)) await sleep(LOCK_POLL_MS);
  try {
    // Another setup may have finished in the meantime.
    if (read(stamp) === stampOf(root)) return;
    if (!isInstalled(root) || brokenProgram(root) !== undefined) {
      rmSync(stamp, { force: true });
      install(root);
      const broken = brokenProgram(root);
      if (broken !== undefined) throw new UserError(brokenMessage(broken));
    }
    writeFileSync(stamp, stampOf(root));
  } finally {
    release();
  }
}

/** @param {string} root @param {string} name */
const programPath = (root, name) => join(root, "node_modules/.bin", name);

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/**
 * Fast enough for each start, because programs are compared by size and not run. Does not include the version of Node: `npm start`
 * begins with the system's Node and continues with the one in node_modules, and no package depends on it.
 * @param {string} root
 */
function stampOf(root) {
  const text = read(join(root, "package-lock.json"));
  if (text === null) throw new UserError("package-lock.json is missing. Restore it with `git checkout package-lock.json`.");
  const sizes = PROGRAMS.map((name) => statSync(programPath(root, name), { throwIfNoEntry: false })?.size);
  return `${createHash("sha256").update(text).digest("hex")} ${process.platform}-${process.arch} ${sizes.join(" ")}\n`;
}

/**
 * Whether `npm ci` has finished. It writes its list of packages last. Packages for other platforms are only in the lockfile.
 * @param {string} root
 */
function isInstalled(root) {
  const [wanted, installed] = [packagesIn(join(root, "package-lock.json")), packagesIn(join(root, "node_modules/.package-lock.json"))];
  const isComplete = Object.entries(wanted).every(([path, { version, optional, devOptional }]) => {
    if (path === "") return true;
    if (!installed[path]) return optional === true || devOptional === true;
    return installed[path].version === version && existsSync(join(root, path, "package.json"));
  });
  return isComplete && Object.keys(installed).every((path) => path in wanted);
}

/**
 * @typedef {{ version?: string, optional?: boolean, devOptional?: boolean }} Package
 * @param {string} path
 * @returns {Record<string, Package>} by path
 */
const packagesIn = (path) => JSON.parse(read(path) ?? '{ "packages": {} }').packages;

/** @param {string} root @returns {string | undefined} first program that does not run */
function brokenProgram(root) {
  return PROGRAMS.find((name) => spawnSync(programPath(root, name), ["--version"], { stdio: "ignore" }).status !== 0);
}

/** @param {string} program */
const brokenMessage = (program) =>
  `The dependencies are installed, but node_modules/.bin/${program} does not run. Install scripts may be disabled. ` +
  "Check that `npm config get ignore-scripts` prints false, delete node_modules and try again.";

/** @param {string} root */
function npmCi(root) {
  console.log("Installing dependencies (once)…");
  // Uses the npm and Node that started this script. PATH may lead to others, and `npm ci` deletes the Node in node_modules.
  const { npm_execpath: script = "", npm_node_execpath: node } = process.env;
  const [command, ...first] = node !== undefined && /npm-cli\.c?js$/.test(script) ? [node, script] : ["npm"];
  const { status, signal, error, stdout, stderr } = spawnSync(command, [...first, ...ARGUMENTS], { cwd: root, encoding: "utf8" });
  if (status === 0) return;
  if (error) throw new UserError(`Cannot start npm (${error.message}).`);
  if (signal) throw new UserError("Installing the dependencies was interrupted. Run the same command again.");
  const lines = (stderr.trim() || stdout.trim()).split("\n").map((line) => `  ${line}\n`);
  const excerpt = [...lines.slice(0, MAX_LINES), ...(lines.length > MAX_LINES ? ["  …\n"] : [])].join("");
  throw new UserError(`Installing the dependencies failed. Output of npm:\n\n${excerpt.trimEnd()}`);
}
