/**
 * `npm run deploy`: checks, then migrates, then deploys. The database is created where it does not exist yet (`wrangler deploy` would
 * do that too, but only after the code that needs the tables is live), so that one order serves the first deployment and every other:
 * the running version meets a schema that is newer than itself, which is why migrations only ever add. Everything else is provisioned
 * by `wrangler deploy`. A step that fails stops the rest.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATH, columns, runCommand } from "./lib/options.ts";
import type { Values } from "./lib/options.ts";
import { checkConfiguration, checkCrons } from "./start/configuration.ts";
import { Foreseen } from "./start/foreseen.js";
import type { RuntimeLog } from "./start/logs.ts";
import { applyMigrations } from "./start/migrations.ts";
import { DATABASE, ROOT, WORKER_CONFIG } from "./start/places.ts";
import { startRuntime } from "./start/runtime.ts";
import { OPTIONAL_SECRETS, REQUIRED_SECRETS, localSecrets, readVars } from "./start/vars.ts";

const SECRETS = `The Worker's secrets (set one with \`npx wrangler secret put NAME\`):
${columns([
  ["required", REQUIRED_SECRETS.join(", ")],
  ["optional", `${OPTIONAL_SECRETS.join(", ")} (docs/configuration.md)`],
])}`;

const COMMAND_LINE = {
  command: "npm run deploy",
  about: "Checks, migrates and deploys.",
  options: {
    "dry-run": { help: "check and build (into dist/); nothing leaves this machine" },
    "secrets-file": {
      value: "FILE",
      kind: PATH,
      help: "NAME=VALUE lines, uploaded together with the Worker: for the first deployment, or to change a secret",
    },
  },
  after: `Needs \`npx wrangler login\`, or CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID.\n\n${SECRETS}`,
} as const;

/** Runs the built Worker with its migrations and wrangler.jsonc's variables, away from the network. Returns the database's name. */
async function checkLocally(secrets: Readonly<Record<string, string>>): Promise<string> {
  console.log("Checking the configuration…");
  const state = mkdtempSync(join(tmpdir(), "deploy-check-"));
  const logs: RuntimeLog[] = [];
  const onLog = (log: RuntimeLog) => logs.push(log);
  const worker = await startRuntime({ config: WORKER_CONFIG, port: 0, state, vars: secrets, network: "blocked", onLog });
  try {
    const { database, name, migrations } = await worker.database(DATABASE);
    await applyMigrations(database, migrations);
    const hint = "Nothing was deployed. Variables stand in wrangler.jsonc.";
    await checkConfiguration(worker.url, logs, hint);
    await checkCrons({ url: worker.url, token: secrets["ADMIN_TOKEN"] ?? "" }, worker.crons, hint);
    return name;
  } finally {
    await worker.dispose();
    rmSync(state, { recursive: true, force: true });
  }
}

/** Returns what it printed, where that is `wanted`; otherwise it goes to the screen. */
function wrangler(args: readonly string[], { wanted = false, mayAsk = false } = {}): string {
  const [command, shown] = [join(ROOT, "node_modules/.bin/wrangler"), `wrangler ${args.join(" ")}`];
  console.log(`\n$ ${shown}`);
  // Without a terminal to ask on, wrangler takes the answers that go ahead; declined migrations would look like success.
  const { status, stdout } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: [mayAsk ? "inherit" : "ignore", wanted ? "pipe" : "inherit", "inherit"],
  });
  if (status !== 0) throw new Foreseen(`\`${shown}\` failed; what was to come after it was not done.`);
  return stdout ?? "";
}

function databaseExists(name: string): boolean {
  const listed: unknown = JSON.parse(wrangler(["d1", "list", "--json"], { wanted: true }));
  return Array.isArray(listed) && listed.some((database: { name?: unknown }) => database.name === name);
}

async function deploy({ "dry-run": dryRun, "secrets-file": secretsFile }: Values<typeof COMMAND_LINE.options>): Promise<void> {
  const given = secretsFile === undefined ? {} : readVars(secretsFile);
  if (given === null) throw new Foreseen(`--secrets-file is ${JSON.stringify(secretsFile)}; there is no such file.`);
  const database = await checkLocally({ ...localSecrets(), ...given });
  if (dryRun) {
    wrangler(["deploy", "--dry-run", "--outdir", "dist"]);
    console.log("\nThe configuration is right and the Worker builds. Nothing was deployed.");
    return;
  }
  if (!databaseExists(database)) wrangler(["d1", "create", database, "--update-config=false"]);
  wrangler(["d1", "migrations", "apply", database, "--remote"]);
  wrangler(["deploy", ...(secretsFile === undefined ? [] : ["--secrets-file", secretsFile])], { mayAsk: true });
  console.log(`\nDeployed. ${SECRETS}`);
  console.log("Check it from outside: npm run smoke -- --base-url https://…");
}

await runCommand(COMMAND_LINE, deploy);
