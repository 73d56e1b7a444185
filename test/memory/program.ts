/**
 * Fetches and stores full provider answers at the same time, with the product's own modules, in Node. The test bundles it and runs it with
 * a limited heap. The provider and D1 are stand-ins that keep as little as possible.
 */
import { createDeps } from "../../worker/src/deps.ts";
import { enrichBatch, readIsbns } from "../../worker/src/library/batch.ts";
import type { QuotaManager } from "../../worker/src/quota/index.ts";
import { isbnNumber } from "../support/isbn.ts";

/** Set by the bundler. */
declare const BATCHES: number;
declare const RECORD_BYTES: number;

const RECORDS = 1_000;
const RECORDS_PER_CHUNK = 20;
const D1_LATENCY_MS = 30;

const encoder = new TextEncoder();

// workerd has this method and Node 22 does not.
Reflect.set(Uint8Array.prototype, "toHex", function toHex(this: Uint8Array): string {
  return Array.from(this, (byte) => byte.toString(16).padStart(2, "0")).join("");
});

const pause = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One record as the provider sends it, with a synopsis that fills it up. No two texts are equal. */
function record(isbn13: string): string {
  const book = {
    title: `The Book ${isbn13}`,
    isbn13,
    publisher: "Example House",
    language: "en",
    date_published: "2019-05-14",
    pages: 320,
    binding: "Hardcover",
    image: `https://images.example/${isbn13}.jpg`,
    msrp: 19.99,
    authors: [`Author ${isbn13.slice(0, 9)}`, `Editor ${isbn13.slice(3)}`],
    subjects: ["Fiction", "History", `Subject ${isbn13.slice(-4)}`],
    synopsis: "",
  };
  const words = `${isbn13} and the `.repeat(Math.ceil((RECORD_BYTES - JSON.stringify(book).length) / 22));
  return JSON.stringify({ ...book, synopsis: words });
}

/** Written while it is read, so that the provider takes no memory. */
function answer(isbns: readonly string[]): Response {
  let next = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const part = isbns.slice(next, next + RECORDS_PER_CHUNK).map(record);
      const [begin, end] = [next === 0 ? `{"total":${isbns.length},"books":[` : ",", next + RECORDS_PER_CHUNK >= isbns.length ? "]}" : ""];
      next += RECORDS_PER_CHUNK;
      controller.enqueue(encoder.encode(`${begin}${part.join(",")}${end}`));
      if (end !== "") controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "application/json" } });
}

globalThis.fetch = async (address, init) => answer((await new Request(address, init).json<{ isbns: string[] }>()).isbns);

interface Statement {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** The bytes sent to D1, which its client serializes like this, are alive until the answer arrives. */
async function send(statements: readonly Statement[]): Promise<{ success: true; results: never[]; meta: object }[]> {
  const bytes = encoder.encode(JSON.stringify(statements));
  await pause(D1_LATENCY_MS + bytes.byteLength / 1_000_000);
  return statements.map(() => ({ success: true, results: [], meta: { changes: 1 } }));
}

function statement(sql: string, values: readonly unknown[] = []): object {
  const one = async (): Promise<unknown> => (await send([{ sql, values }]))[0];
  return { sql, values, bind: (...given: unknown[]) => statement(sql, given), all: one, run: one, first: async () => null };
}

const quota = {
  withQuota: async (_spending: unknown, work: (grant: object) => Promise<unknown>) => {
    const value = await work({ id: "one", deadline: Infinity, settle: () => undefined });
    return { result: "done", value, charged: 1, status: null };
  },
} as unknown as QuotaManager;

const DATABASE = {
  prepare: statement,
  batch: async (statements: Statement[]) => send(statements.map(({ sql, values }) => ({ sql, values }))),
};

const env = {
  ADMIN_TOKEN: "memory-admin-token",
  KEY_PEPPER: "memory-key-pepper",
  SESSION_SECRET: "memory-session-secret",
  ISBNDB_API_KEY: "memory-key",
  ISBNDB_BASE_URL: "http://isbndb.test",
  DB: DATABASE,
  CATALOG: DATABASE,
  QUOTA_KV: {},
} as unknown as Env;

/** One request, up to the text of its answer. */
async function batch(number: number): Promise<number> {
  const isbns = Array.from({ length: RECORDS }, (_, index) => isbnNumber(number * RECORDS + index));
  const deps = { ...createDeps(env, () => Date.now()), quota };
  const request = { isbns: readIsbns(isbns), refresh: true, withBooks: true, caller: "memory", priority: "interactive" } as const;
  const result = await enrichBatch(deps, request);
  return result.enriched * Math.sign(JSON.stringify(result).length);
}

const enriched = await Promise.all(Array.from({ length: BATCHES }, async (_, number) => batch(number)));
console.log(`enriched ${enriched.reduce((sum, count) => sum + count, 0)}`);
