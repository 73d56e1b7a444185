/**
 * `npm run deploy`: checks, then migrates, then deploys. A failed step stops the rest.
 *
 * Creates missing databases first, because `wrangler deploy` would create them only after the new code is live. So each deployment has
 * the same order. The running version meets a newer schema, so migrations only add. `wrangler deploy` creates all other resources.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATH, columns, runCommand } from "./lib/options.ts";
import type { Values } from "./lib/options.ts";
import { checkConfiguration, checkCrons } from "./start/configuration.ts";
import { UserError } from "./start/user-error.js";
import type { RuntimeLog } from "./start/logs.ts";
import { applyMigrations } from "./start/migrations.ts";
import { DATABASES, ROOT, WORKER_CONFIG } from "./start/places.ts";
import { OPTIONAL_SECRETS, REQUIRED_SECRETS, localSecrets, readVars } from "./start/vars.ts";

const SECRETS = `The Worker's secrets (set one with \`npx wrangler secret put NAME\`):
${columns([
  ["required", REQUIRED_SECRETS.join(", ")],
  ["optional", `${OPTIONAL_SECRETS.join(", ")} (docs/configuration.md)`],
])}`;

const COMMAND_LINE = {
  command: "npm run deploy",
  about: "Checks, migrates and deploys the Worker.",
  options: {
    "dry-run": { help: "check and build into dist/ without deploying" },
    "secrets-file": {
      value: "FILE",
      kind: PATH,
      help: "NAME=VALUE lines to upload with the Worker, for the first deployment or to change a secret",
    },
  },
  after: `Requires \`npx wrangler login\`, or CLOUDFLARE_API_TOKEN and\nCLOUDFLARE_ACCOUNT_ID.\n\n${SECRETS}`,
} as const;

/** Runs the built Worker with its migrations and variables, without network. Returns the names of the databases. */
async function checkLocally(secrets: Readonly<Record<string, string>>): Promise<string[]> {
  console.log("Checking the configuration…");
  // Loading wrangler takes a second, so invalid options are reported first.
  const { startRuntime } = await import("./start/runtime.ts");
  const state = mkdtempSync(join(tmpdir(), "deploy-check-"));
  const logs: RuntimeLog[] = [];
  const onLog = (log: RuntimeLog) => logs.push(log);
  const worker = await startRuntime({ config: WORKER_CONFIG, port: 0, state, vars: secrets, network: "blocked", onLog });
  try {
    const names: string[] = [];
    for (const binding of DATABASES) {
      const { database, name, migrations } = await worker.database(binding);
      await applyMigrations(database, migrations);
      names.push(name);
    }
    const hint = "Nothing was deployed. Variables are in wrangler.jsonc.";
    await checkConfiguration(worker.url, logs, hint);
    await checkCrons({ url: worker.url, token: secrets["ADMIN_TOKEN"] ?? "" }, worker.crons, hint);
    return names;
  } finally {
    await worker.dispose();
    rmSync(state, { recursive: true, force: true });
  }
}

/** Runs wrangler. Returns its output with `capture`, otherwise prints it. */
function wrangler(args: readonly string[], { capture = false, interactive = false } = {}): string {
  const [command, line] = [join(ROOT, "node_modules/.bin/wrangler"), `wrangler ${args.join(" ")}`];
  console.log(`\n$ ${line}`);
  // Without a terminal wrangler continues without confirmation. A declined migration would look like success.
  const { status, stdout } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: [interactive ? "inherit" : "ignore", capture ? "pipe" : "inherit", "inherit"],
  });
  if (status !== 0) throw new UserError(`\`${line}\` failed. Later steps were not run.`);
  return stdout ?? "";
}

function existingDatabases(): ReadonlySet<unknown> {
  const listed: unknown = JSON.parse(wrangler(["d1", "list", "--json"], { capture: true }));
  return new Set(Array.isArray(listed) ? listed.map((database: { name?: unknown }) => database.name) : []);
}

async function deploy({ "dry-run": dryRun, "secrets-file": secretsFile }: Values<typeof COMMAND_LINE.options>): Promise<void> {
  const given = secretsFile === undefined ? {} : readVars(secretsFile);
  if (given === null) throw new UserError(`--secrets-file ${JSON.stringify(secretsFile)} does not exist.`);
  const databases = await checkLocally({ ...localSecrets(), ...given });
  if (dryRun) {
    wrangler(["deploy", "--dry-run", "--outdir", "dist"]);
    console.log("\nThe configuration is valid and the Worker builds. Nothing was deployed.");
    return;
  }
  const existing = existingDatabases();
  for (const database of databases) {
    if (!existing.has(database)) wrangler(["d1", "create", database, "--update-config=false"]);
    wrangler(["d1", "migrations", "apply", database, "--remote"]);
  }
  wrangler(["deploy", ...(secretsFile === undefined ? [] : ["--secrets-file", secretsFile])], { interactive: true });
  console.log(`\nDeployed. ${SECRETS}`);
  console.log("To check it, run: npm run smoke -- --base-url https://…");
}

await runCommand(COMMAND_LINE, deploy);
