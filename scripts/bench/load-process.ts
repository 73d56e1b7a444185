/** Controls the process that generates the load. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Load {
  /** Prefix of the request ids. */
  readonly name: string;
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. `{id}` is replaced by the id of each request. */
  readonly body?: string;
  readonly connections: number;
  /** The load ends after `seconds` or after `requests`, the earlier of the two. */
  readonly seconds: number;
  readonly requests: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Number of responses by status. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

type Reply = { readonly result: LoadResult } | { readonly error: string };

export class LoadProcess {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL("load.ts", import.meta.url)));

  /** Runs one load. Call it sequentially. */
  async run(load: Load): Promise<LoadResult> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      const ended = (): void => reject(new Error("the load generator ended"));
      this.#child.once("exit", ended);
      this.#child.once("message", (message) => {
        this.#child.off("exit", ended);
        resolve(message as Reply);
      });
      this.#child.send(load);
    });
    if ("error" in reply) throw new Error(`${load.method} ${load.url}: ${reply.error}`);
    return reply.result;
  }

  stop(): void {
    this.#child.kill();
  }
}
