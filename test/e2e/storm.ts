/** The built Worker and the simulator, each over real HTTP on loopback, with real concurrency from another process. */
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sharedProduct } from "../support/node/product.ts";
import type { Product } from "../support/node/product.ts";
import { SOAK } from "../support/node/soak.ts";

/** The limit, and the number of requests. */
const [LIMIT, REQUESTS] = SOAK ? [500, 1_500] : [60, 180];
/** The same figures for requests to the provider. */
const [CALLS, AUTHORS] = SOAK ? [100, 150] : [40, 64];

let product: Product;

beforeAll(async () => {
  product = await sharedProduct();
});
beforeEach(async () => {
  await product.simulator("POST", "/reset");
  await product.simulator("PUT", "/settings", { rate_per_second: 0 });
  await product.call("POST", "/api/quota/reset");
  await product.call("DELETE", "/api/quota/settings");
});

async function runClients(count: number, clients: number, work: (index: number) => Promise<number>): Promise<number[]> {
  const statuses: number[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      statuses.push(await work(next));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return statuses;
}

const count = (statuses: readonly number[], expected: number): number => statuses.filter((status) => status === expected).length;

interface Status {
  readonly used: number;
  readonly reserved: number;
  readonly remaining: number;
  readonly callers: readonly { used: number }[];
}

const readStatus = async (): Promise<Status> => (await product.call<Status>("GET", "/api/quota/status")).body;

describe("over HTTP", () => {
  test(`${REQUESTS} reservations by 64 clients against a limit of ${LIMIT} give exactly ${LIMIT} grants despite evictions`, async () => {
    await product.call("PUT", "/api/quota/settings", { daily_limit: LIMIT, safety_buffer: 0, rate_per_second: 0 });
    const evicting = product.evictLedgerUntilStopped();
    const statuses = await runClients(REQUESTS, 64, async (index) => {
      const id = `storm-${index}`;
      const { status } = await product.call("POST", "/api/quota/reservations", { calls: 1, id });
      if (status === 201) await product.call("POST", `/api/quota/reservations/${id}/commit`);
      return status;
    });
    await evicting.stop();
    expect({ granted: count(statuses, 201), refused: count(statuses, 429) }).toEqual({ granted: LIMIT, refused: REQUESTS - LIMIT });
    const { used, reserved, remaining, callers } = await readStatus();
    expect({ used, reserved, remaining, byCallers: callers.reduce((sum, caller) => sum + caller.used, 0) }).toEqual({
      used: LIMIT,
      reserved: 0,
      remaining: 0,
      byCallers: LIMIT,
    });
  });

  test("real requests stop at the limit, and the provider's count equals the charge", async () => {
    await product.call("PUT", "/api/quota/settings", { daily_limit: CALLS, safety_buffer: 0, rate_per_second: 0 });
    const statuses = await runClients(AUTHORS, 32, async (index) => {
      const body = { author_name: `Storm Author ${index}`, max_pages: 1 };
      return (await product.call("POST", "/api/authors/enrich-bibliography", body)).status;
    });
    expect({ granted: count(statuses, 200), refused: count(statuses, 429) }).toEqual({ granted: CALLS, refused: AUTHORS - CALLS });
    const { spent } = await product.simulator<{ spent: number }>("GET", "/state");
    expect({ spent, used: (await readStatus()).used }).toEqual({ spent: CALLS, used: CALLS });
  });

  test("at three a second the provider never receives more than three in one second", async () => {
    await product.simulator("PUT", "/settings", { rate_per_second: 3 });
    await runClients(
      9,
      9,
      async (index) =>
        (await product.call("POST", "/api/authors/enrich-bibliography", { author_name: `Paced ${index}`, max_pages: 1 })).status,
    );
    const log = await product.simulator<{ at: string; path: string; status: number }[]>("GET", "/requests");
    const arrivals = log.filter(({ path }) => path.startsWith("/author/")).map(({ at }) => Date.parse(at));
    expect(arrivals).toHaveLength(9);
    // Requests start a third of a second apart. The network may shorten one gap, but never put four requests into one second.
    const spans = arrivals.slice(3).map((at, index) => at - (arrivals[index] ?? at));
    expect(Math.min(...spans)).toBeGreaterThan(700);
  });
});
