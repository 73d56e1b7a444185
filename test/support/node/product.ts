/** The built Worker and the simulator as two servers on loopback, as `npm start` runs them, but without state on disk. */
import { createTestHarness } from "wrangler";

const ADMIN_TOKEN = "e2e-admin-token-0123456789";
const config = (path: string): URL => new URL(`../../../${path}`, import.meta.url);

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface Product {
  readonly url: URL;
  readonly token: string;
  /** A request as the administrator. */
  readonly call: <Body = Record<string, unknown>>(method: string, path: string, body?: unknown) => Promise<Answer<Body>>;
  /** The simulator's control. */
  readonly simulator: <Body = Record<string, unknown>>(method: string, path: string, body?: unknown) => Promise<Body>;
  /** Evicts the ledger again and again at random moments. */
  readonly evictLedgerUntilStopped: () => { readonly stop: () => Promise<void> };
  readonly stop: () => Promise<void>;
}

async function send(url: URL, method: string, body: unknown, headers: Record<string, string>): Promise<Response> {
  const init =
    body === undefined ? { headers } : { headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) };
  return fetch(url, { method, ...init });
}

/** Each on a free port. Takes some seconds. */
export async function startProduct(): Promise<Product> {
  const provider = createTestHarness({ workers: [{ configPath: config("scripts/isbndb-simulator/wrangler.jsonc") }] });
  const { url: providerUrl } = await provider.listen();
  const coordinator = createTestHarness({
    workers: [
      {
        configPath: config("wrangler.jsonc"),
        vars: { ISBNDB_BASE_URL: providerUrl.origin },
        secrets: { ADMIN_TOKEN, ISBNDB_API_KEY: "simulator-key", KEY_PEPPER: "test-key-pepper-0123456789" },
      },
    ],
  });
  const { url } = await coordinator.listen();
  const worker = coordinator.getWorker();
  await worker.applyD1Migrations("DB");

  return {
    url,
    token: ADMIN_TOKEN,
    call: async <Body = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Answer<Body>> => {
      const response = await send(new URL(path, url), method, body, { authorization: `Bearer ${ADMIN_TOKEN}` });
      return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
    },
    simulator: async <Body = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Body> => {
      const response = await send(new URL(`/_simulator${path}`, providerUrl), method, body, {});
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as Body;
    },
    evictLedgerUntilStopped: () => {
      const stopping = new AbortController();
      const running = (async () => {
        while (!stopping.signal.aborted) {
          await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 80));
          // Rejects where the ledger is not running at this moment: then there is nothing to evict.
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
      await coordinator.close();
      await provider.close();
    },
  };
}
