/** The Worker under test through its API, with a simulated provider. */
import { reset, runInDurableObject } from "cloudflare:test";
import type { D1Migration } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { vi } from "vitest";
import type { QuotaLedger } from "../../worker/src/index.ts";
import { newInstance } from "./bindings.ts";
import { createTables } from "./empty-database.ts";
import { isbnNumber } from "./isbn.ts";
import { notOurs } from "./secret-watch.ts";
import { JobQueue } from "../../worker/src/jobs/enqueue.ts";
import { CountedDatabase } from "../../worker/src/store/statements.ts";
import { readMoves } from "../../worker/src/store/library/moved.ts";
import type { JobRow } from "../../worker/src/store/jobs/jobs.ts";

declare global {
  namespace Cloudflare {
    interface Env {
      ADMIN_TOKEN: string;
      ISBNDB_API_KEY: string;
      KEY_PEPPER: string;
      SESSION_SECRET: string;
      METRICS_TOKEN: string;
      ALERTMANAGER_TOKEN: string;
      GRAFANA_SECRET: string;
      DATADOG_TOKEN: string;
      SIMULATOR: Fetcher;
      /** "true" in `npm run test:soak`. */
      TEST_SOAK: string;
      /** All tests run within Cloudflare's limits. */
      TEST_STRICT_PLATFORM: boolean;
      TEST_MIGRATIONS: D1Migration[];
      TEST_CATALOG_MIGRATIONS: D1Migration[];
      /** The recording target of `npm run record-release`, if any. */
      TEST_RELEASE: string;
      /** The cron expressions of wrangler.jsonc. */
      TEST_CRONS: string[];
    }
  }
}

export { isbnNumber };

export const ADMIN_TOKEN = "test-admin-token-0123456789";

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

interface Options {
  readonly token?: string | null;
  readonly headers?: Record<string, string>;
}

function request(method: string, path: string, body: unknown, { token = ADMIN_TOKEN, headers = {} }: Options): Request {
  return new Request(`http://coordinator.test${path}`, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

async function read<Body>(response: Response): Promise<Answer<Body>> {
  const text = await response.text();
  const isJson = /json/u.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as Body };
}

/** One HTTP request with the admin token, unless `token` says otherwise. */
export async function call<Body = Record<string, unknown>>(
  method: string,
  path: string,
  body?: unknown,
  options: Options = {},
): Promise<Answer<Body>> {
  return read<Body>(await exports.default.fetch(request(method, path, body, options)));
}

export const get = async <Body = Record<string, unknown>>(path: string, options?: Options): Promise<Answer<Body>> =>
  call<Body>("GET", path, undefined, options);
export const post = async <Body = Record<string, unknown>>(path: string, body?: unknown, options?: Options): Promise<Answer<Body>> =>
  call<Body>("POST", path, body, options);
export const put = async <Body = Record<string, unknown>>(path: string, body?: unknown, options?: Options): Promise<Answer<Body>> =>
  call<Body>("PUT", path, body, options);

/** Controls the simulator. */
export const simulator = {
  async control<Body = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Body> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const response = await env.SIMULATOR.fetch(`http://isbndb.test/_simulator${path}`, init);
    notOurs.add(response);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Body;
  },
  async state(): Promise<{ spent: number; requests: number }> {
    return this.control("GET", "/state");
  },
};

/** A time far from midnight on both sides, in a year whose alarms do not fire during a test. */
export const AFTERNOON = "2031-05-14T14:03:11Z";

/** Sets the Worker's and the provider's clock. Timers stay real. */
export async function setClock(time: string): Promise<void> {
  vi.setSystemTime(new Date(time));
  await simulator.control("PUT", "/settings", { clock: time });
}

/** A reset has no effect while background work still queries the database. `succeeded` returns whether the database was empty. */
async function resetUntil(succeeded: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    await reset();
    if (await succeeded()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("The database could not be emptied.");
}

/** Updates the Worker's knowledge of the move, because a test has changed the table itself. */
export async function rereadMoves(binding = env.CATALOG): Promise<void> {
  await readMoves({ catalog: new CountedDatabase(binding) });
}

export const emptied = async (): Promise<void> =>
  resetUntil(async () => (await Promise.all([isEmpty(env.DB), isEmpty(env.CATALOG)])).every(Boolean));

async function isEmpty(db: D1Database): Promise<boolean> {
  return (await db.prepare("SELECT 1 FROM sqlite_schema WHERE name IN ('projects', 'moves')").first()) === null;
}

/** Whether the tables could be created. They cannot if the database still has some. */
const tablesCreated = async (): Promise<boolean> =>
  createTables().then(
    () => true,
    (error: unknown) => {
      if (String(error).includes(" already exists")) return false;
      throw error;
    },
  );

/** Empty stores, an unused provider, a new instance of the Worker, and the given time. */
export async function freshStart(time = AFTERNOON): Promise<void> {
  newInstance();
  await resetUntil(tablesCreated);
  await rereadMoves();
  vi.useFakeTimers({ toFake: ["Date"] });
  await simulator.control("POST", "/reset");
  vi.setSystemTime(new Date(time));
  await simulator.control("PUT", "/settings", { rate_per_second: 0, clock: time });
  withoutTheirJobs();
}

/** A fresh start whose ledger has its first count and its settings in KV. An empty ledger answers no direct call. */
export async function freshLedger(time = AFTERNOON): Promise<void> {
  await freshStart(time);
  await settings({ rate_per_second: 0 });
}

/**
 * Projects are ready when they are created, and no job ends the grace of a rotated key. Both have their own tests, and hundreds of others
 * need a project or a key. Lasts until the mocks are restored.
 */
export function withoutTheirJobs(): void {
  const job = { status: "queued" } as JobRow;
  vi.spyOn(JobQueue.prototype, "enqueueProvisionProjectJob").mockImplementation(async ({ projectId }) => {
    await env.DB.prepare("UPDATE projects SET provisioning = 'done' WHERE id = ?").bind(projectId).run();
    return { id: "none", created: true, job };
  });
  vi.spyOn(JobQueue.prototype, "enqueueRotateKeyJob").mockResolvedValue({ id: "none", created: true, job });
}

/** Projects are provisioned by their job, and keys rotated by theirs, as in production. */
export function withTheirJobs(): void {
  vi.restoreAllMocks();
}

export async function settings(change: Record<string, unknown>): Promise<void> {
  const { status, body } = await put("/api/quota/settings", change);
  if (status !== 200) throw new Error(`settings: ${status} ${JSON.stringify(body)}`);
}

export interface Status {
  readonly used: number;
  readonly reserved: number;
  readonly remaining: number;
  readonly callers: { caller: string; used: number }[];
  readonly upstream: { spent: number; untracked: number; bulk_billing: string; bulk_billing_source: string } | null;
  readonly [name: string]: unknown;
}

export const quotaStatus = async (): Promise<Status> => (await get<Status>("/api/quota/status")).body;

export const ledger = (): DurableObjectStub<QuotaLedger> => env.QUOTA_LEDGER.getByName("isbndb");

/** Resets the ledger's storage to its initial state. */
export async function emptyLedger(stub = ledger()): Promise<void> {
  await runInDurableObject(stub, async (_, state) => {
    await state.storage.deleteAlarm();
    await state.storage.deleteAll();
    // An abort discards writes that are not stored yet.
    await state.storage.sync();
    state.abort("emptied");
  }).catch(() => undefined);
}

/** Runs `work` for 0 … count-1 on `clients` at a time, each starting its next one as soon as it is free. */
export async function concurrently<Result>(count: number, clients: number, work: (index: number) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      results[index] = await work(index);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return results;
}

export const isbns = (from: number, count: number): string[] => Array.from({ length: count }, (_, index) => isbnNumber(from + index));
