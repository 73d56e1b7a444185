/** HTTP client of the deployment. Keeps all responses for the search for leaks. */

export interface Answer {
  readonly request: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed body. Empty if it is not a JSON object. */
  readonly json: Readonly<Record<string, unknown>>;
}

interface Request {
  /** null: no token. */
  readonly token?: string | null;
  readonly body?: unknown;
}

/** Covers the wait of a provider call and the first start of a Worker. */
const TIMEOUT_MS = 60_000;

export class Client {
  readonly #baseUrl: string;
  readonly #token: string;
  readonly #interrupted: AbortSignal;
  readonly answers: Answer[] = [];

  constructor(baseUrl: string, token: string, interrupted: AbortSignal) {
    this.#baseUrl = baseUrl;
    this.#token = token;
    this.#interrupted = interrupted;
  }

  /** A client for cleanup that an interruption does not stop. */
  uninterruptible(): Client {
    return new Client(this.#baseUrl, this.#token, new AbortController().signal);
  }

  async send(method: string, path: string, { token = this.#token, body }: Request = {}): Promise<Answer> {
    const response = await fetch(`${this.#baseUrl}${path}`, {
      method,
      redirect: "manual",
      signal: AbortSignal.any([this.#interrupted, AbortSignal.timeout(TIMEOUT_MS)]),
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer = { request: `${method} ${path}`, status: response.status, headers: response.headers, text, json: objectIn(text) };
    this.answers.push(answer);
    return answer;
  }
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}
