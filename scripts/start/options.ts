/** The command line of `npm start`. No I/O. */
import { PATH, readOptions as read, integerFrom, oneOf } from "../lib/options.ts";
import { UserError } from "./user-error.js";

const DEFAULT_PORT = 8787;
const LAST_PORT = 65_535;
const PORT = integerFrom(1, LAST_PORT);

export const COMMAND_LINE = {
  command: "npm start",
  about: "Starts the Worker and a simulated ISBNdb on this machine.",
  options: {
    port: { value: "N", kind: PORT, help: `the Worker's port (${DEFAULT_PORT})` },
    "simulator-port": { value: "N", kind: PORT, help: "the simulator's port (--port plus one)" },
    state: { value: "DIR", kind: PATH, help: "the folder for all data (.state)" },
    vars: { value: "FILE", kind: PATH, help: "local secrets and variables (.dev.vars, created if missing)" },
    "no-demo": { help: "do not add demo books and a demo project" },
    watch: { help: "rebuild when a source file changes (npm run dev)" },
    logs: { help: "show all log lines unchanged, not only warnings and errors" },
    "strict-platform": { help: "enforce Cloudflare's limits" },
    plan: { value: "PLAN", kind: oneOf(["paid", "free"]), help: "the plan of --strict-platform (paid)" },
  },
} as const;

export interface Options {
  readonly port: number;
  readonly simulatorPort: number;
  /** Relative to the working directory. */
  readonly state: string;
  readonly vars: string;
  readonly demo: boolean;
  readonly watch: boolean;
  readonly logs: boolean;
  /** Plan whose limits are enforced. null: local workerd's own limits. */
  readonly strictPlan: "paid" | "free" | null;
}

/** null if --help is given. Throws `UserError` for invalid options. */
export function readOptions(args: readonly string[]): Options | null {
  const given = read(COMMAND_LINE, args);
  if (given === null) return null;
  const { port = DEFAULT_PORT, state = ".state", vars = ".dev.vars", "no-demo": noDemo, watch, logs, plan } = given.values;
  const isStrict = given.values["strict-platform"];
  if (plan !== undefined && !isStrict) throw new UserError("--plan needs --strict-platform. Add --strict-platform.");
  const simulatorPort = given.values["simulator-port"] ?? port + 1;
  if (simulatorPort > LAST_PORT) throw new UserError(`--port is ${port}, the last port. Add --simulator-port.`);
  if (simulatorPort === port) throw new UserError(`--port and --simulator-port must differ (got ${port} for both).`);
  return { port, simulatorPort, state, vars, demo: !noDemo, watch, logs, strictPlan: isStrict ? (plan ?? "paid") : null };
}
