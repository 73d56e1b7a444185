/**
 * Sends valid, almost valid and random requests to every operation of the OpenAPI document. Each answer must match the document and arrive in
 * time. A refused request must change nothing. `npm run test:soak` sends many more. A failure prints the shortest request and its seed.
 */
import { env } from "cloudflare:workers";
import * as fc from "fast-check";
import { beforeAll, expect, test, vi } from "vitest";
import { ADMIN_TOKEN } from "../support/worker.ts";
import { nameOf, operations } from "./operations.ts";
import { requests } from "./requests.ts";
import { Trial } from "./trial.ts";

const SOAK = env.TEST_SOAK === "true";
/** Requests for each operation. */
const REQUESTS = SOAK ? 400 : 4;
const HOUR = 3_600_000;

let trial: Trial;

beforeAll(async () => {
  trial = await Trial.begin();
  // Hides tens of thousands of lines.
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => undefined);
  return () => vi.restoreAllMocks();
});

test(
  "every operation matches the document, and a refused request changes nothing",
  async () => {
    const failures: string[] = [];
    for (const operation of await operations()) {
      const property = fc.asyncProperty(requests(operation, trial.world.names), async (sent) => {
        const faults = await trial.faults(operation, sent);
        if (faults.length > 0) throw new Error(faults.join("\n"));
      });
      const result = await fc.check(property, { numRuns: REQUESTS });
      if (!result.failed) continue;
      const report = fc.defaultReportMessage(result) ?? "";
      failures.push(`${nameOf(operation)}\n${report.replaceAll(trial.world.key, "<key>").replaceAll(ADMIN_TOKEN, "<token>")}`);
      await trial.undo();
    }
    expect(failures.join("\n\n")).toBe("");
  },
  SOAK ? HOUR : 120_000,
);
