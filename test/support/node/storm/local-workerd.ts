/** A local workerd that can be killed as by a machine that loses its power, and begun anew on what is on its disk. */
import "../../../../scripts/start/offline.ts";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";
import type { V4WorkerOptions } from "miniflare";
import { liveProcesses } from "../process.ts";

const HOST = "127.0.0.1";
const POLL_MS = 5;

export interface Logged {
  readonly level: string;
  readonly message: string;
}

interface LocalWorkerdOptions {
  readonly worker: V4WorkerOptions & { readonly name: string };
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
    const { worker, state, port, onLog } = this.#options;
    const before = new Set(workerds().map(({ id }) => id));
    const miniflare = new Miniflare({
      ...convertV4MiniflareOptions({ workers: [worker] }),
      host: HOST,
      port,
      resourcePersistencePath: state,
      handleStructuredLogs: onLog,
      // Ticks of the clock by `/cdn-cgi/local/scheduled`, and a look into the objects' stores.
      unsafeTriggerHandlers: true,
      unsafeInspectDurableObjects: true,
    });
    await miniflare.ready;
    this.#process = workerds().find(({ id }) => !before.has(id))?.id ?? 0;
    if (this.#process === 0) throw new Error("the workerd that was started cannot be found");
    this.#miniflare = miniflare;
  }

  /** Everything in it at once, in the middle of whatever it does. */
  async kill(): Promise<void> {
    const { miniflare } = this;
    this.#miniflare = null;
    process.kill(this.#process, "SIGKILL");
    while (lives(this.#process)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    // Only what stood around it.
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

  /** Takes an object out of memory; its next request begins it anew. Nothing happens where it is not in memory. */
  async evict(className: string, name: string): Promise<boolean> {
    try {
      await this.miniflare.unsafeEvictDurableObject(this.#options.worker.name, className, { name });
      return true;
    } catch {
      return false;
    }
  }

  /** All rows of a D1 statement. */
  async d1<Row>(sql: string, ...values: (string | number | null)[]): Promise<Row[]> {
    const database = await this.miniflare.getD1Database("DB");
    const { results } = await database
      .prepare(sql)
      .bind(...values)
      .all<Row>();
    return results;
  }

  /** All rows of a statement on an object's own store. */
  async sqlOf<Row>(className: string, name: string, sql: string, ...values: (string | number | null)[]): Promise<Row[]> {
    const storage = await this.miniflare.unsafeGetDurableObjectStorage(this.#options.worker.name, className, { name });
    return (await storage.exec(sql, ...values)) as Row[];
  }
}

const workerds = () => liveProcesses().filter(({ parent, name }) => parent === process.pid && name.startsWith("workerd"));

/** Until its end was noticed, too. */
function lives(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch {
    return false;
  }
}
