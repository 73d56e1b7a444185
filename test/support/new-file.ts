/**
 * The initial state of every test file: real timers, no mocks, the configured bindings, empty stores, and a Worker without cached quota.
 * Test files share the Worker's modules, because loading them again for each file took half of the suite's time.
 */
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import { restoreBindings } from "./bindings.ts";
import { workEnded } from "./in-progress.ts";
import { emptyLedger } from "./worker.ts";

vi.restoreAllMocks();
vi.useRealTimers();
restoreBindings();
// Another clock replaces the services of the file before.
createDeps(env, () => Date.now());

beforeAll(async () => {
  await reset();
  await workEnded();
  // A reset may leave the data of a ledger that is still busy with the previous test file.
  await emptyLedger();
  await reset();
});
