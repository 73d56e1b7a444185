/** The Worker's bindings with injected faults. Spies on the shared bindings, so that jobs and Durable Objects use them too. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { Failures, FaultInjector } from "./injector.ts";

const LEDGER: Failures = {
  failure: () => new Error("ledger is unavailable"),
  overloaded: () =>
    Object.assign(new Error("Durable Object is overloaded. Too many requests queued."), { overloaded: true, retryable: true }),
  lost: () => Object.assign(new Error("Network connection lost."), { retryable: true }),
};

const KV: Failures = {
  failure: () => new Error("KV GET failed: 500 Internal Server Error"),
  overloaded: () => new Error("KV PUT failed: 429 Too Many Requests"),
  lost: () => new Error("Network connection lost."),
};

const D1: Failures = {
  failure: () => new Error("D1_ERROR: internal error"),
  overloaded: () => new Error("D1_ERROR: D1 DB is overloaded. Too many requests queued."),
  lost: () => new Error("D1_ERROR: Network connection lost."),
  // D1 ends a query after 30 s.
  platformLimitMs: 30_000,
};

type Method = (...given: unknown[]) => Promise<unknown>;

/** Restarts the object during a call: stored data stays, memory is lost. */
function abort(stub: DurableObjectStub): () => Promise<void> {
  return async () => runInDurableObject(stub, (_, state) => state.abort("restarted")).catch(() => undefined);
}

export function wrapLedger(injector: FaultInjector): void {
  const real = env.QUOTA_LEDGER.getByName.bind(env.QUOTA_LEDGER);
  vi.spyOn(env.QUOTA_LEDGER, "getByName").mockImplementation((object) => {
    const stub = real(object);
    const failures = { ...LEDGER, restart: abort(real(object)) };
    return new Proxy(stub, {
      get(target, name) {
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== "function" || typeof name !== "string") return member;
        if (name === "fetch") return member.bind(target) as unknown;
        return async (...given: unknown[]) =>
          injector.run({
            part: "ledger",
            name,
            failures,
            real: async () => Reflect.apply(member as Method, target, given),
            nonsense: () => ({}),
          });
      },
    });
  });
}

export function wrapKv(injector: FaultInjector): void {
  const run = (name: string, method: Method, given: unknown[]): Promise<unknown> =>
    injector.run({
      part: "kv",
      name: `${name} ${String(given[0])}`,
      failures: KV,
      real: async () => method(...given),
      nonsense: () => (name === "get" ? { status: "<html>", enforcement: 7, version: [null] } : undefined),
    });
  for (const name of ["get", "put"] as const) {
    const method = env.QUOTA_KV[name].bind(env.QUOTA_KV) as unknown as Method;
    vi.spyOn(env.QUOTA_KV, name).mockImplementation(((...given: unknown[]) => run(name, method, given)) as never);
  }
}

const READERS = new Set(["run", "all", "first", "raw"]);

/** Rows of another table. D1's own client refuses an answer that is not JSON. */
const strangeResult = (): unknown => ({ success: true, meta: {}, results: [{ strange: null }] });

/** Wraps both databases. The name of an operation is its SQL. A batch has all its statements, in order. */
export function wrapD1(injector: FaultInjector): void {
  for (const db of [env.DB, env.CATALOG]) wrapDatabase(db, injector);
}

function wrapDatabase(db: D1Database, injector: FaultInjector): void {
  const natives = new WeakMap<object, { readonly native: D1PreparedStatement; readonly sql: string }>();
  const prepare = db.prepare.bind(db);
  const batch = db.batch.bind(db);

  const statement = (native: D1PreparedStatement, sql: string): D1PreparedStatement => {
    const proxy = new Proxy(native, {
      get(target, name) {
        if (name === "bind") return (...values: unknown[]) => statement(target.bind(...values), sql);
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== "function" || !READERS.has(String(name))) return member;
        return async (...given: unknown[]) =>
          injector.run({
            part: "d1",
            name: sql,
            failures: D1,
            real: async () => Reflect.apply(member as Method, target, given),
            nonsense: () => (name === "first" ? null : name === "raw" ? [[null]] : strangeResult()),
          });
      },
    });
    natives.set(proxy, { native, sql });
    return proxy;
  };

  vi.spyOn(db, "prepare").mockImplementation((sql) => statement(prepare(sql), sql));
  vi.spyOn(db, "batch").mockImplementation((async (statements: D1PreparedStatement[]) => {
    const known = statements.map((each) => natives.get(each)).filter((each) => each !== undefined);
    return injector.run<unknown>({
      part: "d1",
      name: known.map(({ sql }) => sql).join("; "),
      failures: D1,
      real: async () => batch(known.map(({ native }) => native)),
      nonsense: () => known.map(strangeResult),
    });
  }) as never);
}
