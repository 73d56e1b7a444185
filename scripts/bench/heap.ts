/** Live heap of a Worker, measured by workerd's inspector. Resident memory is not useful, because garbage collection is late without a limit. */

const MEGABYTE = 1_000_000;

interface Message {
  readonly id?: number;
  readonly error?: { readonly message: string };
  readonly params?: { readonly chunk?: string };
}

interface Snapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: readonly string[] } };
  /** Fields of all nodes in one list. */
  readonly nodes: readonly number[];
}

export class Heap {
  readonly #socket: WebSocket;
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  static async of(inspector: URL, worker: string): Promise<Heap> {
    const targets = (await (await fetch(`http://${inspector.host}/json`)).json()) as { id: string; webSocketDebuggerUrl: string }[];
    const target = targets.find(({ id }) => id.endsWith(`:user:${worker}`));
    if (target === undefined) throw new Error(`The inspector has no Worker ${worker}`);
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve, { once: true });
      socket.addEventListener("error", reject, { once: true });
    });
    return new Heap(socket);
  }

  /** Live heap in megabytes, from a snapshot after a full garbage collection. Call it sequentially. */
  async liveMb(): Promise<number> {
    const { snapshot, nodes } = JSON.parse(await this.#snapshot()) as Snapshot;
    const fields = snapshot.meta.node_fields;
    const size = fields.indexOf("self_size");
    let bytes = 0;
    for (let at = size; at < nodes.length; at += fields.length) bytes += nodes[at] ?? 0;
    return bytes / MEGABYTE;
  }

  close(): void {
    this.#socket.close();
  }

  async #snapshot(): Promise<string> {
    this.#lastId += 1;
    const id = this.#lastId;
    const chunks: string[] = [];
    return new Promise((resolve, reject) => {
      const onMessage = ({ data }: MessageEvent): void => {
        const message = JSON.parse(String(data)) as Message;
        if (message.params?.chunk !== undefined) chunks.push(message.params.chunk);
        if (message.id !== id) return;
        this.#socket.removeEventListener("message", onMessage);
        if (message.error === undefined) resolve(chunks.join(""));
        else reject(new Error(`Heap snapshot failed: ${message.error.message}`));
      };
      this.#socket.addEventListener("message", onMessage);
      this.#socket.send(JSON.stringify({ id, method: "HeapProfiler.takeHeapSnapshot" }));
    });
  }
}
