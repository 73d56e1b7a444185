/**
 * `npm run record-release`: what today's code leaves behind, for the tests of whoever changes it (test/upgrade). The part that runs the product
 * is test/upgrade/record.
 */
import "./start/offline.ts";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { runCommand } from "./lib/options.ts";
import { Foreseen } from "./start/foreseen.js";
import { ROOT } from "./start/places.ts";

const COMMAND_LINE = {
  command: "npm run record-release",
  about:
    "Records what today's release leaves behind: runs the code through two minutes of a simulated afternoon (it takes seconds), and writes its " +
    "database, ledger, KV, bucket, keys and answers to test/upgrade/releases/NAME.json. Run it before you add a migration, or a step of " +
    "the ledger's tables.",
  argument: {
    name: "NAME",
    help: "the number of the newest migration, such as 0011; 0011-b where only the ledger's tables changed since 0011",
  },
  options: {},
} as const;

const fileOf = (name: string): string => `test/upgrade/releases/${name}.json`;

/** Throws `Foreseen` for what cannot be recorded here. */
function checkName(name: string | undefined): asserts name is string {
  const newest = readdirSync(`${ROOT}worker/migrations`).toSorted().at(-1)?.slice(0, 4) ?? "";
  if (name === undefined) throw new Foreseen(`The name is missing; expected the number of the newest migration, ${newest}.`);
  if (existsSync(`${ROOT}${fileOf(name)}`)) throw new Foreseen(`${fileOf(name)} is there, and a recording never changes.`);
  if (!new RegExp(`^${newest}(-[a-z])?$`, "u").test(name)) {
    const why = "Code is recorded as it stands: for an earlier release, check that one out.";
    throw new Foreseen(`The name is ${JSON.stringify(name)}; expected the number of the newest migration, ${newest}. ${why}`);
  }
}

function run(tool: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): void {
  const env = { ...process.env, ...more };
  const { status } = spawnSync(`${ROOT}node_modules/.bin/${tool}`, args, { cwd: ROOT, stdio: "inherit", env });
  if (status !== 0) throw new Foreseen(`\`${tool} ${args.join(" ")}\` failed; what was to come after it was not done.`);
}

function record(name: string | undefined): void {
  checkName(name);
  // The recording is a snapshot in vitest's sense: a new one is written, in CI too, and none that is there is changed.
  run("vitest", ["run", "--config", "test/vitest.config.ts", "--project", "worker", "--update=new"], { RECORD_RELEASE: name });
  run("oxfmt", [fileOf(name)]);
  console.log(`\n${fileOf(name)} is written. Name it in test/upgrade/releases.ts, and the tests open it.`);
}

await runCommand(COMMAND_LINE, (_, name) => record(name));
