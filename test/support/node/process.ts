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

/** Below the ports that systems assign to clients, so that no client gets one between the check and its use. */
const FIRST_PORT = 10_000;
/** Each test worker has a range of its own, so that two workers never choose the same port. */
const PORTS_OF_A_WORKER = 1_000;
const WORKERS = 20;

const firstPort = FIRST_PORT + (Number(process.env["VITEST_POOL_ID"] ?? 0) % WORKERS) * PORTS_OF_A_WORKER;
/** A random first port, because other test runs on this machine have the same ranges. */
let nextPort = Math.floor(Math.random() * PORTS_OF_A_WORKER);

/** Two adjacent free ports. The next call returns others. */
export async function freePorts(): Promise<number> {
  for (;;) {
    const port = firstPort + (nextPort % (PORTS_OF_A_WORKER - 1));
    nextPort += 2;
    if ((await isFree(port)) && (await isFree(port + 1))) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
