/** Paid answers are kept: after a short failure of D1, and if the client disconnects. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import worker from "../../worker/src/index.ts";
import { postWith } from "../routes/support.ts";
import { watchedDb } from "../support/tenants/keys.ts";
import { ADMIN_TOKEN, freshStart, isbns, quotaStatus, simulator } from "../support/worker.ts";
import { countRows, requestsArrived } from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await simulator.control("PUT", "/settings", { unknown_percent: 0, authors: { "Ines Sieben": 30 }, releases: { "2025-11": 30 } });
});

const PAID = [
  ["/api/enrich/batch-direct", { isbns: isbns(1, 30) }],
  ["/api/authors/enrich-bibliography", { author_name: "Ines Sieben" }],
  ["/api/books/enrich-new-releases", { start_month: "2025-11", end_month: "2025-11" }],
] as const;

describe.each(PAID)("%s", (path, body) => {
  test("stores the books although the first write was lost", async () => {
    let failures = 0;
    const { db } = watchedDb((trip) => {
      if (failures > 0 || !trip.some((sql) => sql.includes("INSERT INTO books"))) return null;
      failures += 1;
      throw new Error("D1_ERROR: Network connection lost.");
    }, env.CATALOG);
    expect(await postWith({ CATALOG: db }, path, body)).toMatchObject({ status: 200, body: { failed: path.includes("batch") ? [] : 0 } });
    expect({ failures, books: await countRows("books") }).toEqual({ failures: 1, books: 30 });
  });

  test("settles and stores the answer if the client disconnects before it arrives", async () => {
    await simulator.control("PUT", "/settings", { latency_ms: 400 });
    const context = createExecutionContext();
    const request = new Request(`http://coordinator.test${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const response = worker.fetch(request, env, context);
    await requestsArrived(1);
    // From here on, the platform runs only the work that the context waits for.
    await waitOnExecutionContext(context);
    expect(await countRows("books")).toBe(30);
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
    await (await response).text();
  });
});
