/** The Worker's bindings with traps in them. Spies on the shared bindings: jobs and Durable Objects meet them as well as requests. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { Manner, Traps } from "./traps.ts";

const LEDGER: Manner = {
  failure: () => new Error("ledger is away"),
  overloaded: () =>
    Object.assign(new Error("Durable Object is overloaded. Too many requests queued."), { overloaded: true, retryable: true }),
  lost: () => Object.assign(new Error("Network connection lost."), { retryable: true }),
};

const KV: Manner = {
  failure: () => new Error("KV GET failed: 500 Internal Server Error"),
  overloaded: () => new Error("KV PUT failed: 429 Too Many Requests"),
  lost: () => new Error("Network connection lost."),
};

const D1: Manner = {
  failure: () => new Error("D1_ERROR: internal error"),
  overloaded: () => new Error("D1_ERROR: D1 DB is overloaded. Too many requests queued."),
  lost: () => new Error("D1_ERROR: Network connection lost."),
  // "Query ≤ 30 s": D1 ends it by itself.
  platformLimitMs: 30_000,
};

type Method = (...given: unknown[]) => Promise<unknown>;

/** The object goes down in the middle: what it stored stays, what it remembered is gone. */
function abort(stub: DurableObjectStub): () => Promise<void> {
  return async () => runInDurableObject(stub, (_, state) => state.abort("restarted")).catch(() => undefined);
}

export function trapLedger(traps: Traps): void {
  const real = env.QUOTA_LEDGER.getByName.bind(env.QUOTA_LEDGER);
  vi.spyOn(env.QUOTA_LEDGER, "getByName").mockImplementation((object) => {
    const stub = real(object);
    const manner = { ...LEDGER, restart: abort(real(object)) };
    return new Proxy(stub, {
      get(target, name) {
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== "function" || typeof name !== "string") return member;
        if (name === "fetch") return member.bind(target) as unknown;
        return async (...given: unknown[]) =>
          traps.through({
            part: "ledger",
            name,
            manner,
            real: async () => Reflect.apply(member as Method, target, given),
            nonsense: () => ({}),
          });
      },
    });
  });
}

export function trapKv(traps: Traps): void {
  const through = (name: string, method: Method, given: unknown[]): Promise<unknown> =>
    traps.through({
      part: "kv",
      name: `${name} ${String(given[0])}`,
      manner: KV,
      real: async () => method(...given),
      nonsense: () => (name === "get" ? { status: "<html>", enforcement: 7, version: [null] } : undefined),
    });
  for (const name of ["get", "put"] as const) {
    const method = env.QUOTA_KV[name].bind(env.QUOTA_KV) as unknown as Method;
    vi.spyOn(env.QUOTA_KV, name).mockImplementation(((...given: unknown[]) => through(name, method, given)) as never);
  }
}

const READERS = new Set(["run", "all", "first", "raw"]);

/** What is no JSON, D1's own client refuses; what gets through are rows of another table. */
const strangeResult = (): unknown => ({ success: true, meta: {}, results: [{ strange: null }] });

/** An operation's name is its SQL, the statements of a batch one after the other. */
export function trapD1(traps: Traps): void {
  const natives = new WeakMap<object, { readonly native: D1PreparedStatement; readonly sql: string }>();
  const prepare = env.DB.prepare.bind(env.DB);
  const batch = env.DB.batch.bind(env.DB);

  const statement = (native: D1PreparedStatement, sql: string): D1PreparedStatement => {
    const proxy = new Proxy(native, {
      get(target, name) {
        if (name === "bind") return (...values: unknown[]) => statement(target.bind(...values), sql);
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== "function" || !READERS.has(String(name))) return member;
        return async (...given: unknown[]) =>
          traps.through({
            part: "d1",
            name: sql,
            manner: D1,
            real: async () => Reflect.apply(member as Method, target, given),
            nonsense: () => (name === "first" ? null : name === "raw" ? [[null]] : strangeResult()),
          });
      },
    });
    natives.set(proxy, { native, sql });
    return proxy;
  };

  vi.spyOn(env.DB, "prepare").mockImplementation((sql) => statement(prepare(sql), sql));
  vi.spyOn(env.DB, "batch").mockImplementation((async (statements: D1PreparedStatement[]) => {
    const known = statements.map((each) => natives.get(each)).filter((each) => each !== undefined);
    return traps.through<unknown>({
      part: "d1",
      name: known.map(({ sql }) => sql).join("; "),
      manner: D1,
      real: async () => batch(known.map(({ native }) => native)),
      nonsense: () => known.map(strangeResult),
    });
  }) as never);
}
