/** The command line of `npm start`. No I/O. */
import { parseArgs } from "node:util";
import { Foreseen } from "./foreseen.js";

export const HELP = `npm start -- [options]     starts the Worker and a simulated ISBNdb on this machine

  --port N             the Worker's port (8787)
  --simulator-port N   the simulator's port (the Worker's, plus one)
  --state DIR          where everything is kept between runs (.state)
  --vars FILE          local secrets and variables (.dev.vars; written when missing)
  --no-demo            leave an empty catalogue empty
  --watch              rebuild when a source file changes (npm run dev)
  --logs               every log line as it is, not only warnings and errors
  --help               this page
`;

const DEFAULT_PORT = 8787;
const LAST_PORT = 65_535;

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
  const values = parsed(args);
  if (values.help) return null;
  const port = values.port === undefined ? DEFAULT_PORT : portOf("--port", values.port);
  const simulatorPort = values["simulator-port"] === undefined ? port + 1 : portOf("--simulator-port", values["simulator-port"]);
  if (simulatorPort > LAST_PORT) throw new Foreseen(`--port is ${port}, the last there is; name a --simulator-port too.`);
  if (simulatorPort === port) throw new Foreseen(`--port and --simulator-port are both ${port}; expected two different ports.`);
  const { state, vars, "no-demo": noDemo, watch, logs } = values;
  return { port, simulatorPort, state: pathOf("--state", state), vars: pathOf("--vars", vars), demo: !noDemo, watch, logs };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        port: { type: "string" },
        "simulator-port": { type: "string" },
        state: { type: "string", default: ".state" },
        vars: { type: "string", default: ".dev.vars" },
        "no-demo": { type: "boolean", default: false },
        watch: { type: "boolean", default: false },
        logs: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    throw new Foreseen(unparsed(error));
  }
}

function unparsed(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : null;
  const [first = ""] = error instanceof Error ? error.message.split(/[.\n]/u, 1) : [];
  // npm keeps options for itself that do not stand after "--", and hands on only their values.
  if (code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL") return `${first}; options go after "--": npm start -- --port 9000`;
  return `${first}; npm start -- --help shows what there is.`;
}

function portOf(name: string, text: string): number {
  const port = /^\d{1,5}$/u.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= LAST_PORT) return port;
  throw new Foreseen(`${name} is ${JSON.stringify(text)}; expected a whole number from 1 to ${LAST_PORT}.`);
}

function pathOf(name: string, text: string): string {
  if (text === "") throw new Foreseen(`${name} is empty; expected a path.`);
  return text;
}
