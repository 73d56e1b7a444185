/** A local workerd that can be killed like a machine that loses power, and restarted with the state on its disk. */
import "../../../../scripts/start/offline.ts";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";
import type { V4WorkerOptions } from "miniflare";
import { liveProcesses } from "../process.ts";

const HOST = "127.0.0.1";
const POLL_MS = 5;
const READY_WITHIN_MS = 60_000;

export interface Logged {
  readonly level: string;
  readonly message: string;
}

interface LocalWorkerdOptions {
  /** Workers of this workerd. The first one receives the requests. */
  readonly workers: V4WorkerOptions[];
  /** Folder for all storage. */
  readonly state: string;
  readonly port: number;
  readonly onLog: (log: Logged) => void;
}

export class LocalWorkerd {
  readonly url: string;
  readonly #options: LocalWorkerdOptions;
  #miniflare: Miniflare | null = null;
  #process = 0;

  constructor(options: LocalWorkerdOptions) {
    this.#options = options;
    this.url = `http://${HOST}:${options.port}`;
  }

  async start(): Promise<void> {
    const { workers, state, port, onLog } = this.#options;
    const before = new Set(workerds().map(({ id }) => id));
    const miniflare = new Miniflare({
      ...convertV4MiniflareOptions({ workers }),
      host: HOST,
      port,
      resourcePersistencePath: state,
      handleStructuredLogs: onLog,
      // Ticks of the clock by `/cdn-cgi/local/scheduled`, and access to the objects' stores.
      unsafeTriggerHandlers: true,
      unsafeInspectDurableObjects: true,
    });
    await inTime(miniflare.ready);
    this.#process = workerds().find(({ id }) => !before.has(id))?.id ?? 0;
    if (this.#process === 0) throw new Error("the started workerd was not found");
    this.#miniflare = miniflare;
  }

  /** Kills workerd immediately, regardless of its work. */
  async kill(): Promise<void> {
    const { miniflare } = this;
    this.#miniflare = null;
    process.kill(this.#process, "SIGKILL");
    while (lives(this.#process)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    // Kills only the processes around it.
    await miniflare.dispose().catch(() => undefined);
  }

  async stop(): Promise<void> {
    await this.#miniflare?.dispose();
  }

  get running(): boolean {
    return this.#miniflare !== null;
  }

  /** Throws while it is not running. */
  get miniflare(): Miniflare {
    if (this.#miniflare === null) throw new Error("workerd is not running");
    return this.#miniflare;
  }

  /** The address of one Worker of this workerd. Each Worker has its own socket. */
  async urlOf(worker: string): Promise<URL> {
    return this.miniflare.unsafeGetDirectURL(worker);
  }
}

async function inTime(ready: Promise<unknown>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`workerd was not ready after ${READY_WITHIN_MS} ms`)), READY_WITHIN_MS);
  await Promise.race([ready, promise]).finally(() => clearTimeout(timer));
}

const workerds = () => liveProcesses().filter(({ parent, name }) => parent === process.pid && name.startsWith("workerd"));

/** Whether the process exists. An ended process exists until its parent has noticed the end. */
function lives(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch {
    return false;
  }
}
