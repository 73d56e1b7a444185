/** `npm ci`, with one line on the screen where all goes well. */
import { spawnSync } from "node:child_process";
import { Foreseen } from "./foreseen.js";

/** NODE_ENV=production would leave out what runs the Worker locally. */
const ARGUMENTS = ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];

/** @returns {[string, ...string[]]} the npm that is running us, because PATH may lead to another */
function npmCommand() {
  const { npm_execpath: script, npm_node_execpath: node } = process.env;
  // Its Node too: ours may be the one in node_modules, which npm is about to delete.
  return script !== undefined && node !== undefined && /npm-cli\.c?js$/.test(script) ? [node, script] : ["npm"];
}

/** Its reasons come first, followed by pages of usage. */
const SHOWN_LINES = 15;

/** @param {string} message */
function beginningOf(message) {
  const lines = message.split("\n").map((line) => `  ${line}`);
  return [...lines.slice(0, SHOWN_LINES), ...(lines.length > SHOWN_LINES ? ["  …"] : [])].join("\n");
}

/** @param {string} root */
export function npmCi(root) {
  console.log("Installing dependencies (once)…");
  const [command, ...first] = npmCommand();
  const { status, signal, error, stdout, stderr } = spawnSync(command, [...first, ...ARGUMENTS], { cwd: root, encoding: "utf8" });
  if (status === 0) return;
  if (error) throw new Foreseen(`npm could not be started (${error.message}).`);
  if (signal) throw new Foreseen("Installing the dependencies was interrupted.");
  throw new Foreseen(`The dependencies could not be installed; npm says:\n\n${beginningOf(stderr.trim() || stdout.trim())}`);
}
