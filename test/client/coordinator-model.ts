/**
 * A coordinator in memory, written from the contract: one limit, one pace, reservations that are charged when they expire. Stricter than
 * the product: it refuses any request that a client should never send, and remembers why.
 */

interface Held {
  readonly calls: number;
  readonly body: string;
  readonly startAt: number;
  readonly expiresAt: number;
  state: "open" | "committed" | "released" | "expired";
  charged: number;
}

interface Demand {
  readonly id: string;
  readonly calls: number;
  readonly min_calls?: number;
  readonly ttl_seconds?: number;
}

interface Limits {
  readonly limit: number;
  /** Time between two starts, in milliseconds. */
  readonly spacingMs: number;
  /** A turn further away is refused. */
  readonly maxAheadMs: number;
  /** The coordinator's clock minus the client's, in milliseconds. */
  readonly skewMs: number;
}

export class CoordinatorModel {
  readonly reservations = new Map<string, Held>();
  readonly wrong: string[] = [];
  readonly #limits: Limits;
  #nextStart = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  now(): number {
    return Date.now() + this.#limits.skewMs;
  }

  /** Ends expired reservations. Returns the charged calls and the reserved calls. */
  totals(): { charged: number; held: number } {
    let [charged, held] = [0, 0];
    for (const reservation of this.reservations.values()) {
      if (reservation.state === "open" && reservation.expiresAt <= this.now()) {
        reservation.state = "expired";
        reservation.charged = reservation.calls;
      }
      if (reservation.state === "open") held += reservation.calls;
      charged += reservation.charged;
    }
    return { charged, held };
  }

  answer(method: string, url: URL, body: string | null, authorization: string | null): Response {
    this.totals();
    if (authorization !== "Bearer qc_test") return this.#wrong("no key");
    const [, id = "", action] = /^\/api\/quota\/reservations(?:\/([^/]+))?(?:\/(commit))?$/u.exec(url.pathname) ?? [];
    if (method === "POST" && url.pathname === "/api/quota/reservations") return this.#reserve(body ?? "");
    if (method === "POST" && action === "commit") return this.#commit(decodeURIComponent(id), body ?? "");
    if (method === "DELETE" && id !== "") return this.#release(decodeURIComponent(id));
    return this.#wrong(`${method} ${url.pathname}`);
  }

  #reserve(body: string): Response {
    const { id, calls, min_calls: minCalls, ttl_seconds: ttl = 60 } = JSON.parse(body) as Demand;
    const known = this.reservations.get(id);
    if (known && known.body !== body) return this.#wrong(`another body for ${id}`);
    if (known && known.state !== "open") return this.#problem(409, "conflict", {});
    if (known) return this.#granted(id, known);
    const { charged, held } = this.totals();
    const remaining = this.#limits.limit - charged - held;
    const granted = remaining >= calls ? calls : minCalls !== undefined && remaining >= minCalls ? remaining : 0;
    const reset = { reset_at: new Date(this.now() + 3_600_000).toISOString() };
    if (granted === 0) return this.#problem(429, "quota_exhausted", reset, 3_600);
    const startAt = Math.max(this.now(), this.#nextStart);
    if (startAt - this.now() > this.#limits.maxAheadMs) {
      return this.#problem(429, "pace_exceeded", {}, Math.ceil((startAt - this.now() - this.#limits.maxAheadMs) / 1_000));
    }
    this.#nextStart = startAt + this.#limits.spacingMs;
    const reservation: Held = { calls: granted, body, startAt, expiresAt: startAt + ttl * 1_000, state: "open", charged: 0 };
    this.reservations.set(id, reservation);
    return this.#granted(id, reservation);
  }

  #granted(id: string, { calls, startAt, expiresAt }: Held): Response {
    const times = { start_at: new Date(startAt).toISOString(), expires_at: new Date(expiresAt).toISOString() };
    return Response.json({ id, calls, ...times, start_in_ms: Math.max(0, startAt - this.now()), quota: {} }, { status: 201 });
  }

  #commit(id: string, body: string): Response {
    const reservation = this.reservations.get(id);
    if (!reservation) return this.#wrong(`commit of unknown ${id}`);
    const { calls = reservation.calls } = JSON.parse(body === "" ? "{}" : body) as { calls?: number };
    if (calls > reservation.calls) return this.#problem(422, "unprocessable", {});
    if (reservation.state === "open") {
      reservation.state = "committed";
      reservation.charged = calls;
    } else if (reservation.state === "released") this.wrong.push(`commit of ${id} after its release`);
    const late = reservation.state === "expired" ? { late: true } : {};
    return Response.json({ id, charged: reservation.charged, ...late, quota: {} });
  }

  #release(id: string): Response {
    const reservation = this.reservations.get(id);
    if (!reservation) return this.#problem(404, "not_found", {});
    if (reservation.state === "committed") this.wrong.push(`release of ${id} after its commit`);
    if (reservation.state !== "open" && reservation.state !== "released") return this.#problem(409, "conflict", {});
    reservation.state = "released";
    return Response.json({ released: reservation.calls, quota: {} });
  }

  #problem(status: number, code: string, members: object, retryAfter?: number): Response {
    const headers = {
      "content-type": "application/problem+json",
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
    };
    return new Response(JSON.stringify({ code, status, detail: `${code}.`, ...members }), { status, headers });
  }

  #wrong(why: string): Response {
    this.wrong.push(why);
    return this.#problem(400, "invalid_request", {});
  }
}
