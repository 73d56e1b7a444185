/** The process that makes the load, from the side of who asks it. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Load {
  /** The beginning of the ids of its requests. */
  readonly name: string;
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON, with `{id}` where each request has its own. */
  readonly body?: string;
  readonly connections: number;
  /** It ends with the earlier of the two. */
  readonly seconds: number;
  readonly requests: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

type Reply = { readonly result: LoadResult } | { readonly error: string };

export class LoadProcess {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL("load.ts", import.meta.url)));

  /** One load at a time. */
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
