/**
 * `npm run record-release`: records the stored data of the current code for the upgrade tests (test/upgrade). test/upgrade/record runs the
 * product.
 */
import "./start/offline.ts";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { runCommand } from "./lib/options.ts";
import { UserError } from "./start/user-error.js";
import { ROOT } from "./start/places.ts";

const COMMAND_LINE = {
  command: "npm run record-release",
  about:
    "Records the data of the current release for the upgrade tests. Runs the code through two simulated minutes (this takes seconds). " +
    "Writes its database, ledger, KV, bucket, keys and responses to test/upgrade/releases/NAME.json. " +
    "Run it before you add a migration or change the ledger's tables.",
  argument: {
    name: "NAME",
    help: "number of the newest migration, such as 0011 (0011-b if only the ledger or the catalog has changed since)",
  },
  options: {},
} as const;

const fileOf = (name: string): string => `test/upgrade/releases/${name}.json`;

/** Throws `UserError` for a name that does not fit the current code. */
function checkName(name: string | undefined): asserts name is string {
  const newest = readdirSync(`${ROOT}worker/migrations`).toSorted().at(-1)?.slice(0, 4) ?? "";
  if (name === undefined) throw new UserError(`NAME is missing. Pass the number of the newest migration, ${newest}.`);
  if (existsSync(`${ROOT}${fileOf(name)}`)) throw new UserError(`${fileOf(name)} already exists. Recordings are never overwritten.`);
  if (!new RegExp(`^${newest}(-[a-z])?$`, "u").test(name)) {
    const hint = "To record an earlier release, check it out.";
    throw new UserError(`NAME must be the number of the newest migration, ${newest} (got ${JSON.stringify(name)}). ${hint}`);
  }
}

function run(tool: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): void {
  const env = { ...process.env, ...more };
  const { status } = spawnSync(`${ROOT}node_modules/.bin/${tool}`, args, { cwd: ROOT, stdio: "inherit", env });
  if (status !== 0) throw new UserError(`\`${tool} ${args.join(" ")}\` failed. Later steps were not run.`);
}

function record(name: string | undefined): void {
  checkName(name);
  // The recording is a vitest snapshot. This writes new ones, in CI too, and never changes existing ones.
  run("vitest", ["run", "--config", "test/vitest.config.ts", "--project", "worker", "--update=new"], { RECORD_RELEASE: name });
  run("oxfmt", [fileOf(name)]);
  console.log(`\n${fileOf(name)} written. Add it to test/upgrade/releases.ts.`);
}

await runCommand(COMMAND_LINE, (_, name) => record(name));
