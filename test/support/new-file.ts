/**
 * What a test file may expect when it begins: real timers, no mocks, the configured bindings, empty stores, and a Worker that remembers
 * nothing of the quota. Test files share the Worker's modules, because loading them again for each file took half of the suite's time.
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
// Another clock: the services of the file before are replaced.
createDeps(env, () => Date.now());

beforeAll(async () => {
  await reset();
  await workEnded();
  // A reset may spare a ledger that still works for the file before.
  await emptyLedger();
  await reset();
});
