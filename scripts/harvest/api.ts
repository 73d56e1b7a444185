/** Client of the coordinator's HTTP API. Responses, refusals and network errors are data. It does not throw them. */
import type { z } from "zod";
import { bibliography, quotaStatus, topAuthors } from "./answers.ts";
import type { Bibliography, QuotaStatus } from "./answers.ts";
import { refusalOf } from "./refusals.ts";
import type { Refusal } from "./refusals.ts";

/** Five pages take up to 150 s, because each waits up to 10 s for the pace and 20 s for the provider. */
export const PAGES_PER_REQUEST = 5;
const TIMEOUT_MS = 240_000;
const STATUS_TIMEOUT_MS = 30_000;
/** Longest wait for a response after the first Ctrl-C. Its calls may be charged already. */
const GRACE_MS = 30_000;

export type Reply<Body> = { readonly kind: "answer"; readonly body: Body } | Refusal;

interface Request<Body> {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
  readonly schema: z.ZodType<Body>;
  readonly timeoutMs: number;
}

export class Api {
  readonly #baseUrl: string;
  readonly #token: string;
  readonly #deadline = new AbortController();

  constructor(baseUrl: string, token: string, interrupted: AbortSignal) {
    this.#baseUrl = baseUrl;
    this.#token = token;
    const abort = (): void => this.#deadline.abort(new Error("interrupted"));
    interrupted.addEventListener("abort", () => setTimeout(abort, GRACE_MS).unref(), { once: true });
  }

  async status(): Promise<Reply<QuotaStatus>> {
    return this.#send({ method: "GET", path: "/api/quota/status", schema: quotaStatus, timeoutMs: STATUS_TIMEOUT_MS });
  }

  async topAuthors(offset: number, limit: number): Promise<Reply<z.infer<typeof topAuthors>>> {
    const path = `/api/authors/top?offset=${offset}&limit=${limit}`;
    return this.#send({ method: "GET", path, schema: topAuthors, timeoutMs: STATUS_TIMEOUT_MS });
  }

  async enrich(author: string, maxPages: number): Promise<Reply<Bibliography>> {
    // Background priority leaves the floor to interactive callers.
    const body = { author_name: author, max_pages: maxPages, caller: "bulk.harvest", priority: "background" };
    return this.#send({ method: "POST", path: "/api/authors/enrich-bibliography", body, schema: bibliography, timeoutMs: TIMEOUT_MS });
  }

  async #send<Body>({ method, path, body, schema, timeoutMs }: Request<Body>): Promise<Reply<Body>> {
    const signal = AbortSignal.any([this.#deadline.signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const response = await fetch(`${this.#baseUrl}${path}`, {
        method,
        redirect: "manual",
        signal,
        headers: { authorization: `Bearer ${this.#token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (response.status !== 200) return refusalOf(response, text);
      const parsed = schema.safeParse(jsonIn(text));
      if (parsed.success) return { kind: "answer", body: parsed.data };
      return trouble(`The server's response is invalid (${JSON.stringify(text.slice(0, 60))})`);
    } catch (error) {
      return trouble(`No response from the server (${reasonOf(error)})`);
    }
  }
}

/** Refusal for a missing or invalid response. Its cost is unknown. */
function trouble(detail: string): Refusal {
  return { kind: "trouble", detail, retryAfterSeconds: null, charged: 0, retry: true, lost: true };
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
  if (!(cause instanceof Error)) return message;
  const code = "code" in cause ? String(cause.code) : "";
  return cause.message === "" ? code || message : cause.message;
}
