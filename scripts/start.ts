/** `npm start`: runs the Worker and a simulated provider in local workerd, without account or network. */
import { mkdirSync, realpathSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join, resolve } from "node:path";
import { helpOf } from "./lib/options.ts";
import { onNpmEnd } from "./lib/parent.ts";
import { superviseChildren } from "./start/children.ts";
import { checkConfiguration, checkCrons } from "./start/configuration.ts";
import { tickCrons } from "./start/crons.ts";
import { demoKey } from "./start/demo-project.ts";
import { seedDemo } from "./start/demo.ts";
import { UserError } from "./start/user-error.js";
import { tryLock } from "./start/lock.js";
import { LogScreen } from "./start/log-screen.ts";
import { applyMigrations } from "./start/migrations.ts";
import { COMMAND_LINE, readOptions } from "./start/options.ts";
import type { Options } from "./start/options.ts";
import { CATALOG, DATABASES, SIMULATOR_CONFIG, STRICT_WORKER, WORKER_CONFIG } from "./start/places.ts";
import { HOST, assertPortFree } from "./start/ports.ts";
import { readQuota, readyScreen } from "./start/screen.ts";
import { readOrWriteVars, withSimulator } from "./start/vars.ts";
import { wakeJobs } from "./start/wake-jobs.ts";

/** Ctrl-C in a terminal also ends workerd, and its end may arrive before the signal. */
const SIGNAL_ARRIVES_WITHIN_MS = 250;

function stop(message: string, code: number): never {
  if (code === 1) console.error(message);
  else console.log(message);
  // Also ends all children. Every write that workerd confirmed is on disk.
  process.exit(code);
}

async function start(options: Options): Promise<void> {
  const state = resolve(options.state);
  const vars = resolve(options.vars);
  await lockResources(state, options);
  const simulatorUrl = `http://${HOST}:${options.simulatorPort}`;
  const workerVars = withSimulator(readOrWriteVars(vars, simulatorUrl), simulatorUrl);

  const within = options.strictPlan === null ? "" : ` within the limits of Cloudflare's ${options.strictPlan} plan`;
  console.log(`Starting the Worker and its simulated provider${within}…`);
  // The local runtime otherwise prints notes about its static files.
  process.env["WRANGLER_LOG"] ??= "error";
  // Loading wrangler takes a second, so invalid options are reported first.
  const { startRuntime } = await import("./start/runtime.ts");
  superviseChildren((reason) => setTimeout(() => stop(`workerd ended unexpectedly (${reason}).`, 1), SIGNAL_ARRIVES_WITHIN_MS));

  const logs = new LogScreen(options.logs);
  const shared = { watch: options.watch, onLog: logs.add };
  const { ISBNDB_API_KEY: providerKey, ADMIN_TOKEN: token = "" } = workerVars;
  const warn = (message: string): void => console.error(message);
  // All jobs from before this time belong to an earlier run.
  const startedAt = Date.now();
  const onReload = (failure: string | null): void => {
    printReload(failure);
    // A rebuild starts a new workerd.
    if (failure === null) void wakeJobs({ url: worker.url, token }, Date.now(), warn);
  };
  const [worker] = await Promise.all([
    startRuntime({
      ...shared,
      onReload,
      config: WORKER_CONFIG,
      ...(options.strictPlan === null ? {} : { entrypoint: STRICT_WORKER }),
      port: options.port,
      portOption: "--port",
      state: join(state, "worker"),
      vars: options.strictPlan === null ? workerVars : { ...workerVars, STRICT_PLATFORM_PLAN: options.strictPlan },
    }),
    startRuntime({
      ...shared,
      onReload: printReload,
      config: SIMULATOR_CONFIG,
      port: options.simulatorPort,
      portOption: "--simulator-port",
      state: join(state, "simulator"),
      vars: providerKey === undefined ? {} : { SIMULATOR_API_KEY: providerKey },
    }),
  ]);

  for (const binding of DATABASES) {
    const { database, migrations } = await worker.database(binding);
    await applyMigrations(database, migrations);
  }
  const hint = `Variables are in wrangler.jsonc and ${options.vars}. Delete ${options.vars} to create it again.`;
  await checkConfiguration(worker.url, logs.early, hint);
  await checkCrons({ url: worker.url, token }, worker.crons, hint);
  const demoBooks = options.demo ? await seedDemo((await worker.database(CATALOG)).database, Date.now()) : 0;
  const key = options.demo ? await demoKey({ url: worker.url, adminToken: token, state }) : null;

  logs.begin();
  tickCrons(worker.url, worker.crons, warn);
  await wakeJobs({ url: worker.url, token }, startedAt, warn);
  console.log(
    readyScreen({
      url: worker.url,
      token,
      key,
      simulatorUrl,
      providerUrl: workerVars["ISBNDB_BASE_URL"] ?? simulatorUrl,
      state: options.state,
      demoBooks,
      quota: await readQuota(worker.url),
    }),
  );
}

/** Locks the state folder and checks the ports. Two workerds on the same files would damage them. */
async function lockResources(state: string, { state: option, port, simulatorPort }: Options): Promise<void> {
  try {
    mkdirSync(state, { recursive: true });
  } catch (error) {
    throw new UserError(
      `Cannot create the folder --state ${JSON.stringify(option)} (${error instanceof Error ? error.message : String(error)}).`,
    );
  }
  if ((await tryLock(`state ${realpathSync(state)}`)) === null) {
    throw new UserError(`${option} is in use by another npm start. Stop it or choose another folder with --state DIR.`);
  }
  await assertPortFree(port, "--port");
  await assertPortFree(simulatorPort, "--simulator-port");
}

function printReload(failure: string | null): void {
  console.log(failure === null ? "Reloaded." : `Reload failed:\n${failure}`);
}

async function main(): Promise<void> {
  process.on("SIGINT", () => stop("\nStopped.", 130));
  process.on("SIGTERM", () => stop("Stopped.", 143));
  process.on("SIGHUP", () => stop("Stopped.", 129));
  onNpmEnd(() => stop("Stopped.", 143));
  enableCompileCache();
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === null) console.log(helpOf(COMMAND_LINE));
    else await start(options);
  } catch (error) {
    stop(error instanceof UserError ? error.message : String(error instanceof Error ? error.stack : error), 1);
  }
}

await main();
