/**
 * Runs the Worker within Cloudflare's limits: tests of flows in `npm test`, and all tests with STRICT_PLATFORM=true. A test in which the
 * product exceeds a limit fails, also if the product handled the error. Loaded before the other setup files, so that they bind the limited
 * bindings.
 */
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, expect } from "vitest";
import worker, { JobWorkflow, QuotaLedger, TenantDatabase } from "../../worker/src/index.ts";
import { platform, strictBindings, strictEntryPoints, strictFetch } from "../../scripts/strict-platform/index.ts";

/** Files whose tests always run within the limits. */
const ALWAYS = /\/test\/(?:faults|flow|handlers|strict-platform|tenants\/backups)\//u;

const isStrict = (): boolean => env.TEST_STRICT_PLATFORM || ALWAYS.test(expect.getState().testPath ?? "");

declare global {
  // Test files share one instance of the Worker, which must be wrapped once.
  var strictPlatformIsSet: boolean | undefined;
}

if (globalThis.strictPlatformIsSet !== true) {
  globalThis.strictPlatformIsSet = true;
  strictBindings(env);
  strictFetch();
  strictEntryPoints({ worker, workflows: [JobWorkflow], durableObjects: [QuotaLedger, TenantDatabase] });
}

/** Refusals that the product expects and repeats later. The tests check that it does. */
const EXPECTED = new Set(["kv_writes_per_second_and_key", "workflow_creations_per_second"]);

/** Most tests read a new value of KV immediately after the ledger's write. Tests of old reads set `isKvStale`. */
const start = (): void => platform.reset({ isEnforced: isStrict(), isKvStale: false, beyondOpenConnections: "fail" });

beforeAll(start);
beforeEach(start);

afterEach(() => {
  const exceeded = platform.takeExceeded().filter(({ limit }) => !EXPECTED.has(limit));
  if (exceeded.length > 0) throw new Error(`The product exceeded limits of the platform:\n${exceeded.map(String).join("\n")}`);
});
