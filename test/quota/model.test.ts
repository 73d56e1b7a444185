/**
 * Random sequences of operations on the real ledger and a reference model. Both must agree after every step, and the laws must hold.
 * `npm run test:soak` runs many more. A failure prints the shortest sequence and its seed.
 */
import { env } from "cloudflare:workers";
import * as fc from "fast-check";
import { beforeEach, expect, test, vi } from "vitest";
import { freshStart } from "../support/worker.ts";
import { operations } from "./model/operations.ts";
import { Run } from "./model/run.ts";

const SOAK = env.TEST_SOAK === "true";
const SEQUENCES = SOAK ? 10_000 : 60;
const HOUR = 3_600_000;

beforeEach(async () => {
  await freshStart();
  return () => vi.restoreAllMocks();
});

test(
  "agrees with the reference model and keeps every law, in any order of operations",
  async () => {
    const property = fc.asyncProperty(operations, async (sequence) => {
      const run = new Run();
      await run.begin();
      for (const operation of sequence) await run.step(operation);
      await run.end();
    });
    await expect(fc.assert(property, { numRuns: SEQUENCES })).resolves.toBeUndefined();
  },
  SOAK ? HOUR : 120_000,
);
