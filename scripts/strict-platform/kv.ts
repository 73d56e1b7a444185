/** KV: one write per second and key, writes per day, and reads that may be 60 s old. */
import { currentInvocation, operation } from "./invocation.ts";
import { platform } from "./platform.ts";
import { mark, since } from "./rate.ts";
import { replace } from "./replace.ts";
import type { Method } from "./replace.ts";

const CACHE_MS = 60_000;
const SECOND_MS = 1_000;
const REFUSED = "KV PUT failed: 429 Too Many Requests";

interface Read {
  readonly at: ReturnType<typeof mark>;
  readonly forMs: number;
  /** Null: the key did not exist. Absence is cached too. */
  readonly text: string | null;
}

const written = new Map<string, ReturnType<typeof mark>>();
/** Reads by place and key. */
const reads = new Map<string, Read>();
let today = "";
let writesToday = 0;

platform.onReset(() => {
  written.clear();
  reads.clear();
  writesToday = 0;
});

/** Durable Objects run elsewhere than the Worker, so that a write of one is late at the other. */
const place = (): string => (currentInvocation()?.kind === "object" ? "object" : "Worker");

function checkWrite(key: string): void {
  const last = written.get(key);
  if (last !== undefined && since(last) < SECOND_MS) throw platform.exceeded("kv_writes_per_second_and_key", 2, `${REFUSED} for ${key}`);
  const day = new Date().toISOString().slice(0, 10);
  if (day !== today) writesToday = 0;
  today = day;
  writesToday += 1;
  platform.check("kv_writes_per_day", writesToday, REFUSED);
  written.set(key, mark());
}

/** Options of a read: a type, or an object with type and cache time. */
function optionsOf(given: unknown): { readonly type: string; readonly forMs: number } {
  if (typeof given === "string") return { type: given, forMs: CACHE_MS };
  const { type = "text", cacheTtl }: { type?: string; cacheTtl?: number } = typeof given === "object" && given !== null ? given : {};
  return { type, forMs: cacheTtl === undefined ? CACHE_MS : cacheTtl * 1_000 };
}

async function read(get: Method, key: unknown, options: unknown): Promise<unknown> {
  const { type, forMs } = optionsOf(options);
  if (typeof key !== "string" || (type !== "text" && type !== "json")) return get(key, options);
  const id = `${place()} ${key}`;
  let found = reads.get(id);
  if (found === undefined || !platform.settings.isKvStale || since(found.at) >= found.forMs) {
    found = { at: mark(), forMs, text: (await get(key, "text")) as string | null };
    reads.set(id, found);
  }
  return type === "json" && found.text !== null ? (JSON.parse(found.text) as unknown) : found.text;
}

export function strictKv(namespace: object): void {
  const connection = async (name: string, run: () => Promise<unknown>): Promise<unknown> => operation(name, run, { isConnection: true });
  replace(
    namespace,
    "get",
    (get) => async (key, options) =>
      currentInvocation() === undefined ? get(key, options) : connection(`KV get ${String(key)}`, async () => read(get, key, options)),
  );
  replace(namespace, "put", (put) => async (...given) => {
    const key = String(given[0]);
    if (currentInvocation() === undefined) return put(...given);
    return connection(`KV put ${key}`, async () => {
      checkWrite(key);
      await put(...given);
      // A write is visible immediately at its own place.
      reads.delete(`${place()} ${key}`);
    });
  });
  for (const name of ["delete", "list", "getWithMetadata"]) {
    replace(
      namespace,
      name,
      (original) =>
        async (...given) =>
          connection(`KV ${name}`, async () => original(...given)),
    );
  }
}
