/** The file of local variables and secrets: written on the first run, read on every one, never overwritten. */
import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { Foreseen } from "./foreseen.js";

export type Vars = Readonly<Record<string, string>>;

/** What the Worker calls the provider with; the simulator is told to expect whatever stands in the file. */
const SIMULATOR_KEY = "simulator-key";

export const REQUIRED_SECRETS = ["ADMIN_TOKEN", "ISBNDB_API_KEY", "KEY_PEPPER", "SESSION_SECRET"];
/** Each turns on a way to be monitored. */
export const OPTIONAL_SECRETS = ["METRICS_TOKEN", "ALERTMANAGER_TOKEN", "GRAFANA_SECRET", "DATADOG_TOKEN"];

/** Secrets that nobody chooses: a file from before one of them was needed gets it added. */
function randomSecrets(): Vars {
  const names = [...REQUIRED_SECRETS, ...OPTIONAL_SECRETS].slice(2);
  return Object.fromEntries(names.map((name) => [name, `local-${randomBytes(24).toString("hex")}`]));
}

/** What is allowed on this machine only: receivers of webhooks that stand on it too. */
const LOCAL_RULES: Vars = { ALLOW_PRIVATE_WEBHOOKS: "true" };

/** Every secret the Worker needs, with values for this machine only. */
export function localSecrets(): Vars {
  return { ADMIN_TOKEN: `local-${randomBytes(12).toString("hex")}`, ISBNDB_API_KEY: SIMULATOR_KEY, ...randomSecrets() };
}

/** Where this run's simulator is, in the Worker's own words. */
export function simulatorVars(simulatorUrl: string): { ISBNDB_BASE_URL: string; SIMULATOR_CONTROL_URL: string } {
  return { ISBNDB_BASE_URL: simulatorUrl, SIMULATOR_CONTROL_URL: `${simulatorUrl}/_simulator` };
}

/** Reads the file; writes it first where there is none, and adds what it did not need when it was written. What stands in it stays. */
export function readOrWriteVars(path: string, simulatorUrl: string): Vars {
  const found = readVars(path);
  try {
    if (found) addTo(path, found, { ...randomSecrets(), ...LOCAL_RULES });
    else {
      const header = "# Local values, written by `npm start` and never overwritten. Delete this file to have it written anew.";
      const lines = linesOf({ ...localSecrets(), ...LOCAL_RULES, ...simulatorVars(simulatorUrl) });
      writeFileSync(path, `${header}\n${lines}`, { flag: "wx", mode: 0o600 });
    }
  } catch (error) {
    throw new Foreseen(`${path} could not be written (${reason(error)}).`);
  }
  return readVars(path) ?? {};
}

const linesOf = (vars: Vars): string =>
  Object.entries(vars)
    .map(([name, value]) => `${name}="${value}"\n`)
    .join("");

function addTo(path: string, found: Vars, needed: Vars): void {
  const missing = Object.fromEntries(Object.entries(needed).filter(([name]) => found[name] === undefined));
  // The last line may lack its end.
  if (Object.keys(missing).length > 0) appendFileSync(path, `\n# Added by a newer version.\n${linesOf(missing)}`);
}

/** Null where there is no such file. */
export function readVars(path: string): Vars | null {
  try {
    const entries = Object.entries(parseEnv(readFileSync(path, "utf8")));
    return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw new Foreseen(`${path} could not be read (${reason(error)}).`);
  }
}

/**
 * The file with this run's simulator in it. The ports of the run that wrote the file mean nothing to this one, so an address that is
 * missing, or is the simulator's of that time, is replaced. Any other is the user's own choice of a provider, and stays.
 */
export function withSimulator(vars: Vars, simulatorUrl: string): Vars {
  const { ISBNDB_BASE_URL: given, SIMULATOR_CONTROL_URL: control } = vars;
  const ownChoice = given !== undefined && originOf(given) !== originOf(control);
  return { ...vars, ...simulatorVars(simulatorUrl), ...(ownChoice ? { ISBNDB_BASE_URL: given } : {}) };
}

/** What is no address is its own origin, so that the Worker gets to see it and can complain. */
function originOf(address: string | undefined): string | undefined {
  return address === undefined ? undefined : (URL.parse(address)?.origin ?? address);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
