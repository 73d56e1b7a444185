/** The receiver of webhooks, which sometimes fails and records the messages it accepted. */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import type { Random } from "../random.ts";
import type { Journal } from "../journal.ts";
import type { Storm } from "../storm.ts";
import type { TenantName } from "../tenants.ts";

const SLOW_MS = 1_500;

export interface Endpoint {
  readonly id: string;
  readonly project: string;
  /** null: all. */
  readonly events: readonly string[] | null;
}

const ENDPOINTS: readonly (readonly [TenantName, readonly string[] | null])[] = [
  ["reported", null],
  ["reported", ["quota.warning"]],
  ["toggled", null],
  ["toggled", ["project.suspended"]],
  ["rotating", null],
  ["readers", null],
];

export class Receiver {
  readonly endpoints: Endpoint[] = [];
  /** `<endpoint> <message>`, with its body. */
  readonly seen = new Map<string, string>();
  /** Messages that the receiver accepted with 2xx. */
  readonly taken = new Set<string>();
  readonly #server = createServer((request, response) => void this.#receive(request, response));
  readonly #secrets = new Map<string, Webhook>();
  readonly #random: Random;
  readonly #journal: Journal;
  /** If true, the receiver accepts every message. */
  calm = false;

  constructor(random: Random, journal: Journal) {
    [this.#random, this.#journal] = [random, journal];
  }

  async open(storm: Storm): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const { port } = this.#server.address() as AddressInfo;
    for (const [place, [project, events]] of ENDPOINTS.entries()) {
      const body = { url: `http://127.0.0.1:${port}/${place}`, events };
      const made = await storm.insist("setting up", { method: "POST", path: `/api/projects/${project}/webhooks`, body });
      if (made.status !== 201) throw new Error(`no webhook: ${made.status} ${made.text}`);
      const id = String(made.body["id"]);
      this.#secrets.set(`/${place}`, new Webhook(String(made.body["secret"])));
      this.endpoints.push({ id, project, events });
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request).catch(() => null);
    if (body === null) return;
    const path = request.url ?? "";
    const message = String(request.headers["webhook-id"]);
    const name = `${this.endpoints[Number(path.slice(1))]?.id ?? path} ${message}`;
    this.#check(path, name, request, body);
    this.#journal.count("webhooks received");
    // The receiver accepts a repeated message, which it recognizes by the id.
    const how = this.taken.has(name) || this.calm ? "take" : this.#random.weighted(HOWS);
    this.#journal.count(`webhooks: ${how}`);
    switch (how) {
      case "take":
        return this.#take(name, response);
      case "slow":
        await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
        return this.#take(name, response);
      case "fail":
        response.writeHead(500).end("not today");
        return;
      case "busy":
        response.writeHead(429, { "retry-after": "2" }).end();
        return;
      case "hang up":
        request.socket.destroy();
    }
  }

  #take(name: string, response: ServerResponse): void {
    if (this.taken.has(name)) this.#journal.count("webhooks taken again");
    // The response was passed to the system. This process does not know whether the Worker read it.
    response.writeHead(204).end(() => this.taken.add(name));
  }

  #check(path: string, name: string, request: IncomingMessage, body: string): void {
    try {
      this.#secrets.get(path)?.verify(body, request.headers as Record<string, string>);
    } catch (error) {
      this.#journal.fault(`webhook ${name}: ${String(error)}`);
    }
    const before = this.seen.get(name);
    if (before !== undefined && before !== body) this.#journal.fault(`webhook ${name} came with two bodies`);
    this.seen.set(name, body);
  }
}

const HOWS = [
  ["take", 60],
  ["slow", 10],
  ["fail", 15],
  ["busy", 5],
  ["hang up", 10],
] as const;
