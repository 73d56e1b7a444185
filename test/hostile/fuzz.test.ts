/**
 * Every operation of the OpenAPI document with requests that are right, nearly right, and anything: answered as the document says, in time,
 * and a request that is refused changes nothing. `npm run test:soak` sends many more; a failure prints the shortest request and its seed.
 */
import { env } from "cloudflare:workers";
import * as fc from "fast-check";
import { beforeAll, expect, test, vi } from "vitest";
import { ADMIN_TOKEN } from "../support/worker.ts";
import { nameOf, operations } from "./described.ts";
import { requests } from "./requests.ts";
import { Trial } from "./trial.ts";

const SOAK = env.TEST_SOAK === "true";
/** Of each of more than seventy operations. */
const REQUESTS = SOAK ? 400 : 4;
const HOUR = 3_600_000;

let trial: Trial;

beforeAll(async () => {
  trial = await Trial.begin();
  // Tens of thousands of lines that nobody reads.
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => undefined);
  return () => vi.restoreAllMocks();
});

test(
  "every operation answers as the document says, in time, and a refused request changes nothing",
  async () => {
    const failures: string[] = [];
    for (const operation of await operations()) {
      const property = fc.asyncProperty(requests(operation, trial.world.names), async (sent) => {
        const wrong = await trial.faults(operation, sent);
        if (wrong.length > 0) throw new Error(wrong.join("\n"));
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
