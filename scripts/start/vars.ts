/** File of local variables and secrets. The first run writes it. Later runs read it and never overwrite values. */
import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { UserError } from "./user-error.js";

export type Vars = Readonly<Record<string, string>>;

/** Default API key of the provider. The simulator accepts the key of the file. */
const SIMULATOR_KEY = "simulator-key";

export const REQUIRED_SECRETS = ["ADMIN_TOKEN", "ISBNDB_API_KEY", "KEY_PEPPER", "SESSION_SECRET"];
/** Each enables one monitoring system. */
export const OPTIONAL_SECRETS = ["METRICS_TOKEN", "ALERTMANAGER_TOKEN", "GRAFANA_SECRET", "DATADOG_TOKEN"];

/** Secrets with random values. They are added to a file of an older version. */
function randomSecrets(): Vars {
  const names = [...REQUIRED_SECRETS, ...OPTIONAL_SECRETS].slice(2);
  return Object.fromEntries(names.map((name) => [name, `local-${randomBytes(24).toString("hex")}`]));
}

/** Allows webhooks to this machine. For local use only. */
const LOCAL_RULES: Vars = { ALLOW_PRIVATE_WEBHOOKS: "true" };

/** All secrets of the Worker with local values. */
export function localSecrets(): Vars {
  return { ADMIN_TOKEN: `local-${randomBytes(12).toString("hex")}`, ISBNDB_API_KEY: SIMULATOR_KEY, ...randomSecrets() };
}

/** Variables of the Worker with the address of this run's simulator. */
export function simulatorVars(simulatorUrl: string): { ISBNDB_BASE_URL: string; SIMULATOR_CONTROL_URL: string } {
  return { ISBNDB_BASE_URL: simulatorUrl, SIMULATOR_CONTROL_URL: `${simulatorUrl}/_simulator` };
}

/** Reads the file. Creates it if it is missing and adds variables of newer versions. Existing values stay. */
export function readOrWriteVars(path: string, simulatorUrl: string): Vars {
  const found = readVars(path);
  try {
    if (found) addTo(path, found, { ...randomSecrets(), ...LOCAL_RULES });
    else {
      const header = "# Local values, written by `npm start` and never overwritten. Delete this file to create it again.";
      const lines = linesOf({ ...localSecrets(), ...LOCAL_RULES, ...simulatorVars(simulatorUrl) });
      writeFileSync(path, `${header}\n${lines}`, { flag: "wx", mode: 0o600 });
    }
  } catch (error) {
    throw new UserError(`Cannot write ${path} (${reason(error)}).`);
  }
  return readVars(path) ?? {};
}

const linesOf = (vars: Vars): string =>
  Object.entries(vars)
    .map(([name, value]) => `${name}="${value}"\n`)
    .join("");

function addTo(path: string, found: Vars, needed: Vars): void {
  const missing = Object.fromEntries(Object.entries(needed).filter(([name]) => found[name] === undefined));
  // The last line may lack a line break.
  if (Object.keys(missing).length > 0) appendFileSync(path, `\n# Added by a newer version.\n${linesOf(missing)}`);
}

/** null if the file does not exist. */
export function readVars(path: string): Vars | null {
  try {
    const entries = Object.entries(parseEnv(readFileSync(path, "utf8")));
    return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw new UserError(`Cannot read ${path} (${reason(error)}).`);
  }
}

/**
 * Variables with the address of this run's simulator, whose port may differ from the run that wrote the file. It replaces a missing
 * address and the address of an earlier simulator. Any other address was chosen by the user and stays.
 */
export function withSimulator(vars: Vars, simulatorUrl: string): Vars {
  const { ISBNDB_BASE_URL: given, SIMULATOR_CONTROL_URL: control } = vars;
  const isUserChoice = given !== undefined && originOf(given) !== originOf(control);
  return { ...vars, ...simulatorVars(simulatorUrl), ...(isUserChoice ? { ISBNDB_BASE_URL: given } : {}) };
}

/** Returns an invalid address unchanged, so that the Worker reports it. */
function originOf(address: string | undefined): string | undefined {
  return address === undefined ? undefined : (URL.parse(address)?.origin ?? address);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
