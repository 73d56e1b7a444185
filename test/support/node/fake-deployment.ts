/** A valid deployment with faults set by a test: the smallest server that passes the smoke test. */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";

export const TOKEN = "fake-admin-token-0123456789";
const SAFETY_LIMIT = 100;

/** One fault of this deployment. */
export type Fault = "leaks_token" | "leaks_stack" | "miscounts" | "never_refuses" | "forgets_headers" | "lets_everybody_in" | "hangs";

interface Reply {
  readonly status: number;
  readonly body: object;
  readonly headers?: Record<string, string>;
}

const SECURITY = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=15552000",
  "x-request-id": "1",
};

export class FakeDeployment {
  used = 0;
  readonly requests: string[] = [];
  readonly #fault: Fault | null;
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  constructor(fault: Fault | null = null, used = 0) {
    this.#fault = fault;
    this.used = used;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const route = `${request.method} ${request.url?.split("?")[0]}`;
    this.requests.push(`${route} ${text}`.trim());
    const isAdmin = this.#fault === "lets_everybody_in" || request.headers.authorization === `Bearer ${TOKEN}`;
    if (this.#fault === "hangs" && this.used >= SAFETY_LIMIT && request.method === "POST") return;
    const { status, body, headers } = this.#reply(route, isAdmin, text === "" ? {} : (JSON.parse(text) as { used?: number }));
    const type = status < 400 ? "application/json" : "application/problem+json";
    response.writeHead(status, { "content-type": type, ...(this.#fault === "forgets_headers" ? {} : SECURITY), ...headers });
    response.end(JSON.stringify(body));
  }

  #status(): object {
    const remaining = Math.max(0, SAFETY_LIMIT - this.used);
    return {
      date: "2026-01-01",
      used: this.used,
      reserved: 0,
      remaining,
      safety_limit: SAFETY_LIMIT,
      enforcement: "enforce",
      upstream: null,
    };
  }

  #reply(route: string, isAdmin: boolean, { used }: { used?: number }): Reply {
    switch (route) {
      case "GET /health":
        return { status: 200, body: { status: "ok" } };
      case "GET /openapi.json":
        return { status: 200, body: { openapi: "3.1.0", ...(this.#fault === "leaks_token" ? { example: TOKEN } : {}) } };
      case "GET /docs":
      case "GET /docs-assets/swagger-ui.css":
        return { status: 200, body: {} };
      case "GET /api/quota/status":
        return { status: 200, body: this.#status() };
      case "DELETE /api/quota/status":
        return problem(405, "method_not_allowed");
      case "GET /no-such-page":
        return problem(404, "not_found", this.#fault === "leaks_stack" ? "Error: no\n    at handle (index.js:10:3)" : "nothing");
    }
    if (!isAdmin) return problem(401, "unauthorized");
    switch (route) {
      case "PUT /api/quota/usage":
        if (used === undefined) return problem(400, "invalid_request");
        this.used = used;
        return { status: 200, body: this.#status() };
      case "POST /api/enrich/batch-direct":
        return this.#enrich();
      default:
        return { status: 200, body: {} };
    }
  }

  #enrich(): Reply {
    if (this.used >= SAFETY_LIMIT && this.#fault !== "never_refuses") {
      const headers = {
        "retry-after": "3600",
        "ratelimit-policy": `"daily";q=${SAFETY_LIMIT};w=86400`,
        ratelimit: '"daily";r=0;t=3600',
      };
      return { status: 429, body: { code: "quota_exhausted", detail: "The day is over.", quota: this.#status() }, headers };
    }
    this.used += this.#fault === "miscounts" ? 0 : 1;
    return { status: 200, body: { found: 1, api_calls: 1 } };
  }
}

function problem(status: number, code: string, detail = code): Reply {
  return { status, body: { code, detail } };
}
