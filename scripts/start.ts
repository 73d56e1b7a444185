/** `npm start`: the Worker and a simulated provider in local workerd, with no account and no network. */
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
import { Foreseen } from "./start/foreseen.js";
import { tryLock } from "./start/lock.js";
import { LogScreen } from "./start/log-screen.ts";
import { applyMigrations } from "./start/migrations.ts";
import { COMMAND_LINE, readOptions } from "./start/options.ts";
import type { Options } from "./start/options.ts";
import { DATABASE, SIMULATOR_CONFIG, WORKER_CONFIG } from "./start/places.ts";
import { HOST, needPort } from "./start/ports.ts";
import { readQuota, readyScreen } from "./start/screen.ts";
import { readOrWriteVars, withSimulator } from "./start/vars.ts";
import { wakeJobs } from "./start/wake-jobs.ts";

/** In a terminal Ctrl-C reaches workerd too, and its end may be noticed before the signal is. */
const SIGNAL_ARRIVES_WITHIN_MS = 250;

function stop(message: string, code: number): never {
  if (code === 1) console.error(message);
  else console.log(message);
  // Takes every child along; what workerd has answered is on disk by then.
  process.exit(code);
}

async function start(options: Options): Promise<void> {
  const state = resolve(options.state);
  const vars = resolve(options.vars);
  await claim(state, options);
  const simulatorUrl = `http://${HOST}:${options.simulatorPort}`;
  const workerVars = withSimulator(readOrWriteVars(vars, simulatorUrl), simulatorUrl);

  console.log("Starting the Worker and its simulated provider…");
  // Loading wrangler takes a second, which a wrong option need not wait for.
  const { startRuntime } = await import("./start/runtime.ts");
  superviseChildren((how) => setTimeout(() => stop(`workerd ended unexpectedly (${how}).`, 1), SIGNAL_ARRIVES_WITHIN_MS));

  const logs = new LogScreen(options.logs);
  const shared = { watch: options.watch, onLog: logs.add };
  const { ISBNDB_API_KEY: providerKey, ADMIN_TOKEN: token = "" } = workerVars;
  const warn = (message: string): void => console.error(message);
  // Nothing of an earlier run is alive by now, and nothing of this one yet.
  const startedAt = Date.now();
  const onReload = (failure: string | null): void => {
    sayReloaded(failure);
    // A rebuild is a new workerd.
    if (failure === null) void wakeJobs({ url: worker.url, token }, Date.now(), warn);
  };
  const [worker] = await Promise.all([
    startRuntime({ ...shared, onReload, config: WORKER_CONFIG, port: options.port, state: join(state, "worker"), vars: workerVars }),
    startRuntime({
      ...shared,
      onReload: sayReloaded,
      config: SIMULATOR_CONFIG,
      port: options.simulatorPort,
      state: join(state, "simulator"),
      vars: providerKey === undefined ? {} : { SIMULATOR_API_KEY: providerKey },
    }),
  ]);

  const { database, migrations } = await worker.database(DATABASE);
  await applyMigrations(database, migrations);
  const hint = `Variables stand in wrangler.jsonc, local ones in ${options.vars}; delete that file to have it written anew.`;
  await checkConfiguration(worker.url, logs.early, hint);
  await checkCrons({ url: worker.url, token }, worker.crons, hint);
  const demoBooks = options.demo ? await seedDemo(database, Date.now()) : 0;
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

/** Two workerds on the same files would ruin them, and a port can be had only once. */
async function claim(state: string, { state: given, port, simulatorPort }: Options): Promise<void> {
  try {
    mkdirSync(state, { recursive: true });
  } catch (error) {
    throw new Foreseen(
      `--state is ${JSON.stringify(given)}, which cannot be made a folder (${error instanceof Error ? error.message : "it is in the way"}).`,
    );
  }
  if ((await tryLock(`state ${realpathSync(state)}`)) === null) {
    throw new Foreseen(`${given} is in use by another npm start; stop that one, or choose another folder with --state DIR.`);
  }
  await needPort(port, "--port");
  await needPort(simulatorPort, "--simulator-port");
}

function sayReloaded(failure: string | null): void {
  console.log(failure === null ? "Reloaded." : `Not reloaded:\n${failure}`);
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
    stop(error instanceof Foreseen ? error.message : String(error instanceof Error ? error.stack : error), 1);
  }
}

await main();
