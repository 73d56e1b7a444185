/**
 * `npm run record-release`: what today's code leaves behind, for the tests of whoever changes it (test/upgrade). The part that runs the product
 * is test/upgrade/record.
 */
import "./start/offline.ts";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { Foreseen } from "./start/foreseen.js";
import { ROOT } from "./start/places.ts";

const HELP = `npm run record-release -- NAME     records what today's release leaves behind

Runs the code as it stands through two minutes of a simulated afternoon (it takes
seconds), and writes its database, ledger, KV, bucket, keys and answers to
test/upgrade/releases/NAME.json. To be done before a migration, or a step of the
ledger's tables, is added.

  NAME     the number of the newest migration, such as 0011; 0011-b where only
           the ledger's tables have changed since 0011
  --help   this page
`;

const fileOf = (name: string): string => `test/upgrade/releases/${name}.json`;

/** Null where the help was asked for. Throws `Foreseen` for what cannot be recorded here. */
function readName(args: readonly string[]): string | null {
  const { values, positionals } = parsed(args);
  if (values.help === true) return null;
  const newest = readdirSync(`${ROOT}worker/migrations`).toSorted().at(-1)?.slice(0, 4) ?? "";
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) {
    const given = name === undefined ? "missing" : JSON.stringify(positionals.join(" "));
    throw new Foreseen(`The name is ${given}; expected the number of the newest migration, ${newest}.`);
  }
  if (existsSync(`${ROOT}${fileOf(name)}`)) throw new Foreseen(`${fileOf(name)} is there, and a recording never changes.`);
  if (!new RegExp(`^${newest}(-[a-z])?$`, "u").test(name)) {
    const why = "Code is recorded as it stands: for an earlier release, check that one out.";
    throw new Foreseen(`The name is ${JSON.stringify(name)}; expected the number of the newest migration, ${newest}. ${why}`);
  }
  return name;
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: { help: { type: "boolean", short: "h" } } });
  } catch (error) {
    const [first = ""] = error instanceof Error ? error.message.split(/[.\n]/u, 1) : [];
    throw new Foreseen(`${first}; npm run record-release -- --help shows what there is.`);
  }
}

function run(tool: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): void {
  const env = { ...process.env, ...more };
  const { status } = spawnSync(`${ROOT}node_modules/.bin/${tool}`, args, { cwd: ROOT, stdio: "inherit", env });
  if (status !== 0) throw new Foreseen(`\`${tool} ${args.join(" ")}\` failed; what was to come after it was not done.`);
}

function record(name: string): void {
  // The recording is a snapshot in vitest's sense: a new one is written, in CI too, and none that is there is changed.
  run("vitest", ["run", "--config", "test/vitest.config.ts", "--project", "worker", "--update=new"], { RECORD_RELEASE: name });
  run("oxfmt", [fileOf(name)]);
  console.log(`\n${fileOf(name)} is written. Name it in test/upgrade/releases.ts, and the tests open it.`);
}

try {
  const name = readName(process.argv.slice(2));
  if (name === null) console.log(HELP);
  else record(name);
} catch (error) {
  console.error(error instanceof Foreseen ? error.message : error);
  process.exitCode = 1;
}
