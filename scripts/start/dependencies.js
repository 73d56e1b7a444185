/** Installs what package-lock.json names with `npm ci`, once for each version of that file. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Foreseen } from "./foreseen.js";
import { tryLock } from "./lock.js";

/** NODE_ENV=production would leave out what runs the Worker locally. */
const ARGUMENTS = ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];

/** Programs that an install script puts in place: what breaks first. */
const PROGRAMS = ["node", "workerd", "esbuild"];

const LOCK_POLL_MS = 200;
/** npm's reasons come first, followed by pages of usage. */
const SHOWN_LINES = 15;

/**
 * @param {string} root the folder of package.json
 * @param {(root: string) => void} install throws `Foreseen` where it fails
 */
export async function ensureDependencies(root, install = npmCi) {
  const stamp = join(root, "node_modules/.setup");
  if (read(stamp) === stampOf(root)) return;
  let release = await tryLock(`setup of ${root}`);
  for (; !release; release = await tryLock(`setup of ${root}`)) await sleep(LOCK_POLL_MS);
  try {
    // Another setup may have finished meanwhile.
    if (read(stamp) === stampOf(root)) return;
    if (!isInstalled(root) || brokenProgram(root) !== undefined) {
      rmSync(stamp, { force: true });
      install(root);
      const broken = brokenProgram(root);
      if (broken !== undefined) throw new Foreseen(brokenMessage(broken));
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
 * Cheap enough for every start: the programs are compared by size, not run. Without the version of Node: `npm start` begins with the system's
 * and continues with the one in node_modules, and no package depends on it.
 * @param {string} root
 */
function stampOf(root) {
  const text = read(join(root, "package-lock.json"));
  if (text === null) throw new Foreseen("package-lock.json is missing. Restore it with `git checkout package-lock.json`.");
  const sizes = PROGRAMS.map((name) => statSync(programPath(root, name), { throwIfNoEntry: false })?.size);
  return `${createHash("sha256").update(text).digest("hex")} ${process.platform}-${process.arch} ${sizes.join(" ")}\n`;
}

/**
 * Whether somebody ran `npm ci`: npm notes what it installed as its last act. Packages for other platforms are in the lockfile only.
 * @param {string} root
 */
function isInstalled(root) {
  const [wanted, there] = [packagesIn(join(root, "package-lock.json")), packagesIn(join(root, "node_modules/.package-lock.json"))];
  const isThere = Object.entries(wanted).every(([path, { version, optional, devOptional }]) => {
    if (path === "") return true;
    if (!there[path]) return optional === true || devOptional === true;
    return there[path].version === version && existsSync(join(root, path, "package.json"));
  });
  return isThere && Object.keys(there).every((path) => path in wanted);
}

/**
 * @typedef {{ version?: string, optional?: boolean, devOptional?: boolean }} Package
 * @param {string} path
 * @returns {Record<string, Package>} by path
 */
const packagesIn = (path) => JSON.parse(read(path) ?? '{ "packages": {} }').packages;

/** @param {string} root @returns {string | undefined} the first that does not run */
function brokenProgram(root) {
  return PROGRAMS.find((name) => spawnSync(programPath(root, name), ["--version"], { stdio: "ignore" }).status !== 0);
}

/** @param {string} program */
const brokenMessage = (program) =>
  `The dependencies are installed, but node_modules/.bin/${program} does not run. Its install script may be switched off. ` +
  "Check that `npm config get ignore-scripts` says false, delete node_modules, and try again.";

/** @param {string} root */
function npmCi(root) {
  console.log("Installing dependencies (once)…");
  // The npm that runs us and its Node: PATH may lead to others, and our own Node may be the one in node_modules, which npm deletes.
  const { npm_execpath: script = "", npm_node_execpath: node } = process.env;
  const [command, ...first] = node !== undefined && /npm-cli\.c?js$/.test(script) ? [node, script] : ["npm"];
  const { status, signal, error, stdout, stderr } = spawnSync(command, [...first, ...ARGUMENTS], { cwd: root, encoding: "utf8" });
  if (status === 0) return;
  if (error) throw new Foreseen(`npm could not be started (${error.message}).`);
  if (signal) throw new Foreseen("Installing the dependencies was interrupted. Run the same command again.");
  const lines = (stderr.trim() || stdout.trim()).split("\n").map((line) => `  ${line}\n`);
  const shown = [...lines.slice(0, SHOWN_LINES), ...(lines.length > SHOWN_LINES ? ["  …\n"] : [])].join("");
  throw new Foreseen(`The dependencies could not be installed. npm says:\n\n${shown.trimEnd()}`);
}
