/**
 * The initial state of every test file: real timers, no mocks, the configured bindings, empty stores, and a Worker without cached quota.
 * Test files share the Worker's modules, because loading them again for each file took half of the suite's time.
 */
import { reset, runInDurableObject } from "cloudflare:test";
import { beforeAll, vi } from "vitest";
import { restoreBindings } from "./bindings.ts";
import { workEnded } from "./in-progress.ts";
import { emptyLedger, ledger } from "./worker.ts";

vi.restoreAllMocks();
vi.useRealTimers();
restoreBindings();

/** A reset may keep the rows of a ledger that still works for the previous file. */
async function hasRows(): Promise<boolean> {
  return runInDurableObject(ledger(), (_, { storage }) =>
    ["days", "reservations", "audit"].some((table) => storage.sql.exec(`SELECT 1 FROM ${table} LIMIT 1`).toArray().length > 0),
  );
}

beforeAll(async () => {
  await reset();
  await workEnded();
  for (let tries = 0; tries < 20; tries += 1) {
    await emptyLedger();
    await reset();
    if (!(await hasRows())) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("The ledger could not be emptied.");
});
