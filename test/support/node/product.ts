/** The built Worker and the simulator as two servers on loopback, as `npm start` runs them, but without state on disk. */

const ADMIN_TOKEN = "e2e-admin-token-0123456789";
/** A complete API key. */
const KEY = /qc_(?:live|test)_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}/u;
const config = (path: string): URL => new URL(`../../../${path}`, import.meta.url);

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface Product {
  readonly url: URL;
  readonly token: string;
  /** A request with the admin token. */
  readonly call: <Body = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Answer<Body>>;
  /** Controls the simulator. */
  readonly simulator: <Body = Record<string, unknown>>(method: string, path: string, body?: unknown) => Promise<Body>;
  /** A project's database object, by its own methods. */
  readonly database: (project: string) => Promise<DatabaseObject>;
  /** Removes all R2 objects with this prefix. */
  readonly loseBackups: (prefix: string) => Promise<void>;
  /** Statements on the main database, in one transaction. */
  readonly d1: (...statements: readonly Statement[]) => Promise<void>;
  /** The same on the catalog. */
  readonly catalog: Product["d1"];
  /** A statement on the ledger's own store. The ledger then behaves as if the change had always been there. */
  readonly ledgerSql: (sql: string, ...values: (string | number | null)[]) => Promise<void>;
  /** Evicts the ledger repeatedly at random times. */
  readonly evictLedgerUntilStopped: () => { readonly stop: () => Promise<void> };
  /** Throws if the Worker logged a secret meanwhile. */
  readonly stop: () => Promise<void>;
}

/** SQL with the values of its placeholders. */
export type Statement = readonly [sql: string, ...values: (string | number | null)[]];

async function send(url: URL, method: string, body: unknown, headers: Record<string, string>): Promise<Response> {
  const init =
    body === undefined ? { headers } : { headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) };
  return fetch(url, { method, ...init });
}

interface Bucket {
  list(options: { readonly prefix: string }): Promise<{ readonly objects: readonly { readonly key: string }[] }>;
  delete(keys: readonly string[]): Promise<void>;
}

interface Database {
  prepare(sql: string): { bind(...values: unknown[]): unknown };
  batch(statements: unknown[]): Promise<unknown>;
}

/** Methods of a project's database that jobs call. */
export interface DatabaseObject {
  freeze(id: string): Promise<{ readonly result: string }>;
  dumpPart(request: {
    readonly freeze: string;
    readonly mode: "full";
    readonly cursor: string | null;
    readonly maxBytes: number;
  }): Promise<DatabasePart>;
  thaw(id: string): Promise<void>;
  beginImport(id: string): Promise<{ readonly result: string }>;
  importPart(id: string, piece: number, sql: string, isLines: boolean): Promise<{ readonly result: string }>;
  finishImport(id: string, schemaVersion: number): Promise<{ readonly result: string }>;
  query(request: {
    readonly sql: string;
    readonly params: [];
    readonly readOnly: boolean;
    readonly maxRows: number;
  }): Promise<{ readonly result: string; readonly message?: string }>;
}

export interface DatabasePart {
  readonly result: string;
  readonly sql: string;
  readonly next: string | null;
  readonly schemaHash: string;
  readonly tables: readonly { readonly name: string; readonly rows: number; readonly hash: string }[];
}

/**
 * Starts both servers on free ports, with these variables changed and these secrets added. Takes a few seconds. `configPath`: the
 * wrangler.jsonc of the Worker.
 */
export async function startProduct(
  vars: Readonly<Record<string, string>> = {},
  secrets: Readonly<Record<string, string>> = {},
  configPath: string | URL = config("wrangler.jsonc"),
): Promise<Product> {
  // Loading wrangler takes a second, which importers of this file may not need.
  const { wrangler } = await import("../../../scripts/start/wrangler.ts");
  const provider = wrangler.createTestHarness({ workers: [{ configPath: config("scripts/isbndb-simulator/wrangler.jsonc") }] });
  const { url: providerUrl } = await provider.listen();
  const allSecrets = {
    ADMIN_TOKEN,
    ISBNDB_API_KEY: "simulator-key",
    KEY_PEPPER: "test-key-pepper-0123456789",
    SESSION_SECRET: "test-session-secret-0123456789",
    ...secrets,
  };
  const coordinator = wrangler.createTestHarness({
    workers: [
      {
        configPath,
        vars: { ...vars, ISBNDB_BASE_URL: providerUrl.origin },
        secrets: allSecrets,
      },
    ],
  });
  const { url } = await coordinator.listen();
  const worker = coordinator.getWorker();
  await worker.applyD1Migrations("DB");
  await worker.applyD1Migrations("CATALOG");
  const batchOn =
    (binding: "DB" | "CATALOG"): Product["d1"] =>
    async (...statements) => {
      const { [binding]: db } = (await worker.getEnv()) as unknown as Record<"DB" | "CATALOG", Database>;
      await db.batch(statements.map(([sql, ...values]) => db.prepare(sql).bind(...values)));
    };

  return {
    url,
    token: ADMIN_TOKEN,
    call: async <Body = Record<string, unknown>>(
      method: string,
      path: string,
      body?: unknown,
      headers: Readonly<Record<string, string>> = {},
    ): Promise<Answer<Body>> => {
      const response = await send(new URL(path, url), method, body, { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers });
      return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
    },
    simulator: async <Body = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Body> => {
      const response = await send(new URL(`/_simulator${path}`, providerUrl), method, body, {});
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as Body;
    },
    database: async (project) => {
      const { TENANT_DATABASE } = (await worker.getEnv()) as unknown as {
        TENANT_DATABASE: { getByName: (name: string) => DatabaseObject };
      };
      return TENANT_DATABASE.getByName(project);
    },
    loseBackups: async (prefix) => {
      const { BACKUPS } = (await worker.getEnv()) as unknown as { BACKUPS: Bucket };
      await BACKUPS.delete((await BACKUPS.list({ prefix })).objects.map(({ key }) => key));
    },
    d1: batchOn("DB"),
    catalog: batchOn("CATALOG"),
    ledgerSql: async (sql, ...values) => {
      const storage = await worker.getDurableObjectStorage("QuotaLedger", { name: "isbndb" });
      await storage.exec(sql, ...values);
    },
    evictLedgerUntilStopped: () => {
      const stopping = new AbortController();
      const running = (async () => {
        while (!stopping.signal.aborted) {
          await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 80));
          // Rejects if the ledger is not running, because then it cannot be evicted.
          await worker.evictDurableObject("QuotaLedger", { name: "isbndb" }).catch(() => undefined);
        }
      })();
      return {
        stop: async () => {
          stopping.abort();
          await running;
        },
      };
    },
    stop: async () => {
      const lines = coordinator.getLogs().map(({ message }) => message);
      await coordinator.close();
      await provider.close();
      const leaks = lines.filter((line) => KEY.test(line) || Object.values(allSecrets).some((secret) => line.includes(secret)));
      if (leaks.length > 0) throw new Error(`A secret is in the log:\n${leaks.join("\n")}`);
    },
  };
}

let shared: Promise<Product> | null = null;

/** One product for all suites of a test file. The file stops it. */
export async function sharedProduct(): Promise<Product> {
  shared ??= startProduct({ ALLOW_PRIVATE_WEBHOOKS: "true" });
  return shared;
}

export const stopSharedProduct = async (): Promise<void> => (await shared)?.stop();
