/** The command line of `npm start`. No I/O. */
import { PATH, readOptions as read, wholeFrom } from "../lib/options.ts";
import { Foreseen } from "./foreseen.js";

const DEFAULT_PORT = 8787;
const LAST_PORT = 65_535;
const PORT = wholeFrom(1, LAST_PORT);

export const COMMAND_LINE = {
  command: "npm start",
  about: "Starts the Worker and a simulated ISBNdb on this machine.",
  options: {
    port: { value: "N", kind: PORT, help: `the Worker's port (${DEFAULT_PORT})` },
    "simulator-port": { value: "N", kind: PORT, help: "the simulator's port (the Worker's, plus one)" },
    state: { value: "DIR", kind: PATH, help: "the folder that keeps everything between runs (.state)" },
    vars: { value: "FILE", kind: PATH, help: "local secrets and variables (.dev.vars; written when missing)" },
    "no-demo": { help: "leave an empty catalogue empty" },
    watch: { help: "rebuild when a source file changes (npm run dev)" },
    logs: { help: "show every log line as it is, not only warnings and errors" },
  },
} as const;

export interface Options {
  readonly port: number;
  readonly simulatorPort: number;
  /** As given: relative to the working directory. */
  readonly state: string;
  readonly vars: string;
  readonly demo: boolean;
  readonly watch: boolean;
  readonly logs: boolean;
}

/** Null where the help was asked for. Throws `Foreseen` for what makes no sense. */
export function readOptions(args: readonly string[]): Options | null {
  const given = read(COMMAND_LINE, args);
  if (given === null) return null;
  const { port = DEFAULT_PORT, state = ".state", vars = ".dev.vars", "no-demo": noDemo, watch, logs } = given.values;
  const simulatorPort = given.values["simulator-port"] ?? port + 1;
  if (simulatorPort > LAST_PORT) throw new Foreseen(`--port is ${port}, the last port. Pass --simulator-port too.`);
  if (simulatorPort === port) throw new Foreseen(`--port and --simulator-port are both ${port}; expected two different ports.`);
  return { port, simulatorPort, state, vars, demo: !noDemo, watch, logs };
}
