/**
 * The client of Quota Coordinator: reserve calls before you send them, commit the calls that you used. It runs in Node 20 and newer, Bun,
 * Deno and Workers. It has no dependencies. It is not for browsers, because it carries a key.
 */

/** How long a response may take, in milliseconds. */
const RESPONSE_TIMEOUT_MS = 10_000;
/** How long a lost response is requested again, in milliseconds. */
const RETRY_FOR_MS = 30_000;
/** The first pause between two attempts, in milliseconds. Each pause is twice as long as the one before. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
/** How long `withQuota` waits for a turn, in milliseconds. */
const MAX_WAIT_MS = 60_000;
/** A reservation that ends sooner is not used: the request could reach the provider after it ended. */
const MIN_REMAINING_MS = 500;

/**
 * @typedef {object} QuotaClientOptions
 * @property {string | URL} url Address of the coordinator.
 * @property {string} key A project key, a service key or the admin token.
 * @property {string} [provider] Provider of all calls, if they name none.
 * @property {string} [caller] Label of all calls, if they name none. Project keys have a label of their own.
 * @property {number} [maxWaitMs] Longest wait for a turn in `withQuota`, in milliseconds. Default: 60,000.
 * @property {typeof fetch} [fetch] Sends the requests. Default: the global `fetch`.
 */

/**
 * @typedef {object} ReserveOptions
 * @property {number} [calls] Most calls that one request to the provider may cost. Default: 1.
 * @property {number} [minCalls] Grants the remaining calls, if there are at least this many.
 * @property {string} [id] Makes the request idempotent. Default: a random id.
 * @property {string} [provider] Default: the provider of the client.
 * @property {string} [caller] Default: the caller of the client.
 * @property {"interactive" | "background"} [priority] Background calls leave a floor to interactive calls.
 * @property {number} [ttlSeconds] Lifetime of the reservation, counted from its start.
 * @property {AbortSignal} [signal] Stops waiting.
 */

/**
 * @typedef {object} Reservation
 * @property {string} id
 * @property {number} calls Granted calls.
 * @property {number} startAt When the request may be sent: epoch milliseconds of this machine's clock.
 * @property {number} expiresAt When the reservation ends: epoch milliseconds of this machine's clock.
 * @property {Record<string, unknown>} quota State of the quota after the grant.
 */

/**
 * A reservation that is in use. Set `used` if the request cost fewer calls than reserved.
 * @typedef {Reservation & { used: number }} Grant
 */

/** An error response of the coordinator. */
export class QuotaError extends Error {
  /**
   * @param {string} message
   * @param {{ status: number, code: string, body: Record<string, unknown>, retryAfterMs: number | null }} response
   */
  constructor(message, { status, code, body, retryAfterMs }) {
    super(message);
    this.name = new.target.name;
    /** HTTP status. */
    this.status = status;
    /** Stable code of the error, such as `quota_exhausted`. */
    this.code = code;
    /** The whole response. */
    this.body = body;
    /** When the same request may succeed, in milliseconds from now. null: unknown. */
    this.retryAfterMs = retryAfterMs;
  }
}

/** No turn in time. The quota is not used up: try again after `retryAfterMs`. */
export class PaceExceeded extends QuotaError {}

/** Too few calls remain in the period. Stop until `resetAt`. */
export class QuotaExhausted extends QuotaError {
  /** When the calls return: epoch milliseconds. null: unknown. */
  get resetAt() {
    const { reset_at: text } = this.body;
    const at = typeof text === "string" ? Date.parse(text) : Number.NaN;
    return Number.isNaN(at) ? null : at;
  }
}

/** The coordinator did not respond. Nothing was granted. `cause` is the last error. */
export class QuotaUnavailable extends Error {
  /**
   * @param {string} message
   * @param {unknown} cause
   */
  constructor(message, cause) {
    super(message, { cause });
    this.name = "QuotaUnavailable";
  }
}

const NOT_SENT = Symbol.for("quota-coordinator.not-sent");

/**
 * Marks an error: the request was definitely not sent to the provider, so its calls are returned. If in doubt, do not mark it.
 * @template {object} E
 * @param {E} error
 * @returns {E}
 */
export function notSent(error) {
  Object.defineProperty(error, NOT_SENT, { value: true, configurable: true });
  return error;
}

/** Reserves and commits calls. One client serves any number of concurrent calls. */
export class QuotaClient {
  #root;
  #key;
  #provider;
  #caller;
  #maxWaitMs;
  #fetch;

  /** @param {QuotaClientOptions} options */
  constructor({ url, key, provider, caller, maxWaitMs = MAX_WAIT_MS, fetch = globalThis.fetch }) {
    if (typeof key !== "string" || key === "") throw new TypeError("`key` is required: a project key, a service key or the admin token.");
    const { protocol, href } = new URL(url);
    if (protocol !== "https:" && protocol !== "http:") throw new TypeError(`\`url\` must begin with https: or http: (got ${protocol}).`);
    this.#root = href.replace(/\/+$/u, "");
    this.#key = key;
    this.#provider = provider;
    this.#caller = caller;
    this.#maxWaitMs = maxWaitMs;
    this.#fetch = fetch.bind(globalThis);
  }

  /**
   * Reserves calls. Wait until `startAt` before you send. Then commit or release the reservation: after `expiresAt`, all calls are charged.
   * A lost response is requested again with the same id, so nothing is reserved twice.
   * @param {ReserveOptions} [options]
   * @returns {Promise<Reservation>}
   * @throws {PaceExceeded | QuotaExhausted | QuotaError | QuotaUnavailable}
   */
  async reserve({ calls = 1, minCalls, id = crypto.randomUUID(), provider, caller = this.#caller, priority, ttlSeconds, signal } = {}) {
    const body = { id, calls, min_calls: minCalls, caller, priority, ttl_seconds: ttlSeconds };
    const path = `/api/quota/reservations${this.#query(provider)}`;
    try {
      const { body: granted, sentAt, receivedAt, serverTime } = await this.#send("POST", path, { body, signal });
      const { quota } = /** @type {{ quota: Record<string, unknown> }} */ (granted);
      // Clocks differ, so only differences of the coordinator's times count. It decided between the request and its response: the start is
      // counted from the response and the end from the request.
      const startIn = numberIn(granted, "start_in_ms") ?? Date.parse(String(granted["start_at"])) - serverTime;
      const expiresIn = Date.parse(String(granted["expires_at"])) - Date.parse(String(granted["start_at"])) + startIn;
      const times = { startAt: receivedAt + Math.max(0, startIn), expiresAt: sentAt + expiresIn };
      return { id, calls: Number(granted["calls"]), ...times, quota };
    } catch (error) {
      // A response may have been lost on the way: its calls are returned now, not charged at the end.
      if (error instanceof QuotaUnavailable || signal?.aborted === true) void this.#abandon(id, provider);
      throw error;
    }
  }

  /**
   * Charges the calls that were used. Default: all reserved calls. The same commit again has the same outcome.
   * @param {string} id
   * @param {{ calls?: number, sentAt?: Date, provider?: string | undefined, signal?: AbortSignal | undefined }} [options]
   * @returns {Promise<{ charged: number, late: boolean, quota: Record<string, unknown> }>}
   */
  async commit(id, { calls, sentAt, provider, signal } = {}) {
    const path = `${pathOf(id)}/commit${this.#query(provider)}`;
    const { body } = await this.#send("POST", path, { body: { calls, sent_at: sentAt?.toISOString() }, signal });
    const { charged, late, quota } = /** @type {{ charged: number, late?: boolean, quota: Record<string, unknown> }} */ (body);
    return { charged, late: late === true, quota };
  }

  /**
   * Returns the calls of a request that was definitely not sent.
   * @param {string} id
   * @param {{ provider?: string | undefined, signal?: AbortSignal | undefined }} [options]
   * @returns {Promise<{ released: number, quota: Record<string, unknown> }>}
   */
  async release(id, { provider, signal } = {}) {
    const { body } = await this.#send("DELETE", `${pathOf(id)}${this.#query(provider)}`, { signal });
    return /** @type {{ released: number, quota: Record<string, unknown> }} */ (body);
  }

  /**
   * The state of the quota: `used`, `remaining`, `reset_at` and more.
   * @param {{ provider?: string | undefined, signal?: AbortSignal | undefined }} [options]
   * @returns {Promise<Record<string, unknown>>}
   */
  async status({ provider, signal } = {}) {
    return (await this.#send("GET", `/api/quota/status${this.#query(provider)}`, { signal })).body;
  }

  /**
   * Reserves, waits for the turn, calls `send`, and commits. If `send` throws, the calls are committed too, because the request may have
   * been sent. Mark the error with `notSent` to return the calls instead. Waits through `PaceExceeded` for up to `maxWaitMs`.
   * @template T
   * @param {Omit<ReserveOptions, "id"> & { maxWaitMs?: number }} options
   * @param {(grant: Grant) => T | Promise<T>} send
   * @returns {Promise<T>}
   * @throws {PaceExceeded | QuotaExhausted | QuotaError | QuotaUnavailable} Nothing was sent.
   */
  async withQuota({ maxWaitMs = this.#maxWaitMs, ...options }, send) {
    const { provider } = options;
    const until = Date.now() + maxWaitMs;
    const grant = await this.#turn(options, until);
    let outcome;
    try {
      outcome = { value: await send(grant) };
    } catch (error) {
      outcome = { error };
    }
    if ("error" in outcome && isMarked(outcome.error)) await this.#abandon(grant.id, provider);
    // If the commit fails, the coordinator charges all calls when the reservation ends. The result is kept in any case.
    else await this.commit(grant.id, { calls: grant.used, provider }).catch(() => undefined);
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  /**
   * Reserves and waits for the start. Returns a reservation with enough time left.
   * @param {ReserveOptions} options
   * @param {number} until
   * @returns {Promise<Grant>}
   */
  async #turn(options, until) {
    const { signal, provider } = options;
    for (;;) {
      /** @type {Reservation} */
      let reserved;
      try {
        // oxlint-disable-next-line no-await-in-loop -- one turn after the other
        reserved = await this.reserve(options);
      } catch (error) {
        const wait = waitAfter(error);
        if (wait === 0 && Date.now() > until) throw new QuotaUnavailable("The reservation ended before its response arrived.", error);
        if (wait === null || Date.now() + wait > until) throw error;
        // oxlint-disable-next-line no-await-in-loop -- one turn after the other
        await sleep(wait, signal);
        continue;
      }
      try {
        // oxlint-disable-next-line no-await-in-loop -- one turn after the other
        await sleep(reserved.startAt - Date.now(), signal);
      } catch (error) {
        // oxlint-disable-next-line no-await-in-loop -- one turn after the other
        await this.#abandon(reserved.id, provider);
        throw error;
      }
      if (reserved.expiresAt - Date.now() >= MIN_REMAINING_MS) return { ...reserved, used: reserved.calls };
      // The machine slept past `startAt`.
      // oxlint-disable-next-line no-await-in-loop -- one turn after the other
      await this.#abandon(reserved.id, provider);
    }
  }

  /**
   * Releases a reservation that may not exist.
   * @param {string} id
   * @param {string | undefined} provider
   */
  async #abandon(id, provider) {
    await this.release(id, { provider }).catch(() => undefined);
  }

  /** @param {string | undefined} provider */
  #query(provider = this.#provider) {
    return provider === undefined ? "" : `?${new URLSearchParams({ provider }).toString()}`;
  }

  /**
   * Sends a request that may be repeated, until there is a definite response.
   * @param {string} method
   * @param {string} path
   * @param {{ body?: unknown, signal?: AbortSignal | undefined }} options
   */
  async #send(method, path, { body, signal }) {
    const until = Date.now() + RETRY_FOR_MS;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      signal?.throwIfAborted();
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      const result = await this.#attempt(method, path, body, signal);
      if ("answer" in result) return result.answer;
      const wait = Math.max(pause * (0.5 + Math.random() / 2), result.retryAfterMs ?? 0);
      if (Date.now() + wait > until)
        throw new QuotaUnavailable(`The coordinator did not respond: ${reasonOf(result.failure)}`, result.failure);
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      await sleep(wait, signal);
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} body
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<{ answer: { body: Record<string, unknown>, sentAt: number, receivedAt: number, serverTime: number } } | { failure: unknown, retryAfterMs: number | null }>}
   */
  async #attempt(method, path, body, signal) {
    const timeout = AbortSignal.timeout(RESPONSE_TIMEOUT_MS);
    const sentAt = Date.now();
    const headers = { authorization: `Bearer ${this.#key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
    /** @type {Response} */
    let response;
    /** @type {unknown} */
    let json;
    try {
      response = await this.#fetch(`${this.#root}${path}`, {
        method,
        headers,
        redirect: "manual",
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      json = await response.json();
    } catch (error) {
      signal?.throwIfAborted();
      return { failure: error, retryAfterMs: null };
    }
    const receivedAt = Date.now();
    const answer = typeof json === "object" && json !== null ? /** @type {Record<string, unknown>} */ (json) : {};
    if (response.ok) return { answer: { body: answer, sentAt, receivedAt, serverTime: serverTimeOf(response, answer) } };
    const error = errorOf(response, answer);
    if (response.status >= 500) return { failure: error, retryAfterMs: error.retryAfterMs };
    throw error;
  }
}

/** @param {string} id */
const pathOf = (id) => `/api/quota/reservations/${encodeURIComponent(id)}`;

/**
 * The coordinator's clock when it responded, rounded down: counted from there, a turn never comes too early.
 * @param {Response} response
 * @param {Record<string, unknown>} body
 */
function serverTimeOf(response, body) {
  const { quota } = body;
  const told = typeof quota === "object" && quota !== null && "as_of" in quota ? Date.parse(String(quota.as_of)) : Number.NaN;
  const dated = Date.parse(response.headers.get("date") ?? "");
  return [told, dated].find((time) => !Number.isNaN(time)) ?? Date.now();
}

/**
 * @param {Response} response
 * @param {Record<string, unknown>} body
 */
function errorOf(response, body) {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : null;
  const code = typeof body["code"] === "string" ? body["code"] : `http_${response.status}`;
  const detail = typeof body["detail"] === "string" ? body["detail"] : `HTTP ${response.status}`;
  const problem = { status: response.status, code, body, retryAfterMs };
  if (code === "pace_exceeded" || code === "rate_limited") return new PaceExceeded(detail, problem);
  if (code === "quota_exhausted") return new QuotaExhausted(detail, problem);
  return new QuotaError(detail, problem);
}

/**
 * How long to wait before another reservation, in milliseconds. null: another one does not help.
 * @param {unknown} error
 */
function waitAfter(error) {
  if (error instanceof PaceExceeded) return error.retryAfterMs;
  // The id is random: the reservation was granted, its response got lost, and it ended meanwhile.
  return error instanceof QuotaError && error.code === "conflict" ? 0 : null;
}

/** @param {unknown} error */
function reasonOf(error) {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

/**
 * @param {Record<string, unknown>} body
 * @param {string} name
 */
function numberIn(body, name) {
  const value = body[name];
  return typeof value === "number" ? value : undefined;
}

/** @param {unknown} error */
function isMarked(error) {
  return typeof error === "object" && error !== null && NOT_SENT in error;
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<void>}
 */
async function sleep(milliseconds, signal) {
  signal?.throwIfAborted();
  if (!(milliseconds > 0)) return;
  await new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve(undefined);
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
