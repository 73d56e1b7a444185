/** Commands of `scripts/` as child processes, with the Node that runs the tests. */
import { spawn, spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** For slow machines, which start workerd slowly. Successful tests never wait this long. */
const TEXT_WITHIN_MS = 60_000;
const POLL_MS = 50;

type Environment = Readonly<Record<string, string>>;

export class Command {
  readonly #child;
  /** All output so far, of both streams. */
  output = "";
  /** The exit code. Null if a signal ended it. */
  readonly ended: Promise<number | null>;

  /** `args` begins with the script's path from the root. Node's own options may precede it. */
  constructor(args: readonly string[], environment: Environment = {}) {
    const env = { ...process.env, NO_COLOR: "1", ...environment };
    this.#child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    }
    this.ended = new Promise((resolve) => this.#child.once("close", resolve));
  }

  async printed(text: string): Promise<void> {
    const giveUpAt = performance.now() + TEXT_WITHIN_MS;
    while (!this.output.includes(text)) {
      if (this.#child.exitCode !== null || performance.now() > giveUpAt) throw new Error(`never printed "${text}":\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.#child.kill(signal);
    return this.ended;
  }

  /** Its child processes that still run, as `<id> <name>`. */
  children(): string[] {
    return liveProcesses()
      .filter(({ parent }) => parent === this.#child.pid)
      .map(({ id, name }) => `${id} ${name}`);
  }
}

interface LiveProcess {
  readonly id: number;
  readonly parent: number;
  readonly name: string;
}

/** Excludes processes that have ended but whose parent has not read their status. */
export function liveProcesses(): LiveProcess[] {
  const { stdout } = spawnSync("ps", ["-eo", "pid=,ppid=,stat=,comm="], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => {
    const [id, parent, state = "Z", name = ""] = line.trim().split(/\s+/u);
    return state.startsWith("Z") ? [] : [{ id: Number(id), parent: Number(parent), name }];
  });
}

/** Runs a command to its end. */
export async function run(args: readonly string[], environment: Environment = {}): Promise<{ code: number | null; output: string }> {
  const command = new Command(args, environment);
  const code = await command.ended;
  return { code, output: command.output };
}

/** Below the ports that systems assign to clients, so that no client gets one while its server restarts. */
const FIRST_QUIET_PORT = 20_000;
const QUIET_PORTS = 10_000;

/** Two adjacent ports for servers that restart. */
export async function quietPorts(): Promise<number> {
  const port = FIRST_QUIET_PORT + Math.floor(Math.random() * QUIET_PORTS);
  return (await portOrNull(port)) !== null && (await portOrNull(port + 1)) !== null ? port : quietPorts();
}

/** Two adjacent ports that are free now. */
export async function freePorts(): Promise<number> {
  const port = await portOrNull(0);
  if (port !== null && (await portOrNull(port + 1)) !== null) return port;
  return freePorts();
}

async function portOrNull(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null));
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : null));
    });
  });
}
