/** A coordinator for the harvest that fails on demand, in ways that the real one cannot. */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";

export interface Reply {
  readonly status?: number;
  /** Text is sent unchanged. */
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** Runs before the response is sent. */
  readonly before?: () => void;
}

export const TOMORROW = "2999-01-01T00:00:00Z";

export function statusBody(used = 0, limit = 1_000, more: object = {}): object {
  return {
    date: "2998-12-31",
    daily_limit: limit,
    safety_limit: limit,
    used,
    reserved: 0,
    remaining: Math.max(0, limit - used),
    percentage_used: 0,
    reset_at: TOMORROW,
    can_make_calls: used < limit,
    enforcement: "enforce",
    source: "ledger",
    as_of: "2998-12-31T12:00:00Z",
    callers: [],
    forecast: { calls_per_hour: 0, exhausted_at: null },
    background: { floor: 0, remaining: Math.max(0, limit - used) },
    ...more,
  };
}

/** A bibliography of one page. `more` changes it. */
export function bibliographyBody(more: object = {}): object {
  const figures = { books_found: 3, pages_fetched: 1, api_calls: 1, cached: false, complete: true, quota_exhausted: false };
  return { author: "somebody", ...figures, errors: [], quota: null, ...more };
}

export const refusal = (status: number, code: string, more: object = {}, headers: Record<string, string> = {}): Reply => ({
  status,
  body: { status, code, detail: `This is ${code}.`, ...more },
  headers,
});

export class HarvestServer {
  /** Names in the order of their requests. */
  readonly asked: string[] = [];
  readonly bodies: { author_name: string; max_pages: number; priority?: string }[] = [];
  readonly paths: string[] = [];
  /** Responses by author, in order. After them, each author gets a bibliography of one page. `"*"` matches every author. */
  readonly script = new Map<string, Reply[]>();
  /** Authors whose bibliographies are in the catalog. */
  readonly #complete = new Set<string>();
  status: Reply = { body: statusBody() };
  top: readonly string[] = [];
  /** If set, responses wait for this promise. */
  hold: Promise<void> | null = null;
  #port = 0;
  #server = createServer();

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async listen(): Promise<void> {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async askedFor(count: number): Promise<void> {
    while (this.asked.length < count) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const { status = 200, body, headers } = await this.#reply(request.url ?? "", text);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  }

  async #reply(url: string, text: string): Promise<Reply> {
    this.paths.push(url);
    const { pathname, searchParams } = new URL(url, "http://localhost");
    if (pathname === "/api/quota/status") return this.status;
    if (pathname === "/api/authors/top") {
      const offset = Number(searchParams.get("offset"));
      const page = this.top.slice(offset, offset + Number(searchParams.get("limit")));
      return { body: { authors: page.map((author_name) => ({ author_name, work_count: 1, edition_count: 2_500 })) } };
    }
    const body = JSON.parse(text) as { author_name: string; max_pages: number; priority?: string };
    this.asked.push(body.author_name);
    this.bodies.push(body);
    await this.hold;
    const planned = this.script.get(body.author_name) ?? this.script.get("*");
    const cached = this.#complete.has(body.author_name) ? { cached: true, pages_fetched: 0, api_calls: 0 } : {};
    const reply = planned?.shift() ?? { body: bibliographyBody({ author: body.author_name, ...cached }) };
    reply.before?.();
    if (typeof reply.body === "object" && reply.body !== null && "complete" in reply.body && reply.body.complete === true)
      this.#complete.add(body.author_name);
    return reply;
  }
}
