/** `npm start`: the Worker and a simulated provider in local workerd, with no account and no network. */
import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { checkConfiguration, configurationProblems } from "./start/configuration.ts";
import { seedDemo } from "./start/demo.ts";
import { Foreseen } from "./start/foreseen.js";
import { tryLock } from "./start/lock.js";
import { isWorthShowing, readLog, shortLine } from "./start/logs.ts";
import type { RuntimeLog } from "./start/logs.ts";
import { applyMigrations } from "./start/migrations.ts";
import { HELP, readOptions } from "./start/options.ts";
import type { Options } from "./start/options.ts";
import { HOST, needPort } from "./start/ports.ts";
import type { Runtime } from "./start/runtime.ts";
import { readyScreen } from "./start/screen.ts";
import { readOrWriteVars, withSimulator } from "./start/vars.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SIMULATOR_CONFIG = `${ROOT}scripts/isbndb-simulator/wrangler.jsonc`;
const WORKER_CONFIG = `${ROOT}wrangler.jsonc`;
const DATABASE = "DB";
