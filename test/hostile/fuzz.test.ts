/**
 * Every operation of the OpenAPI document with requests that are right, nearly right, and anything: answered as the document says, in time,
 * and a request that is refused changes nothing. `npm run test:soak` sends many more; a failure prints the shortest request and its seed.
 */
import { env } from "cloudflare:workers";
import * as fc from "fast-check";
import { beforeAll, expect, test, vi } from "vitest";
import type { Reply } from "../routes/support.ts";
import { ADMIN_TOKEN } from "../support/worker.ts";
import { forbidden, unpromised } from "./answers.ts";
import { nameOf, operations } from "./described.ts";
import type { Operation } from "./described.ts";
import { requests } from "./requests.ts";
import type { Sent } from "./requests.ts";
import { contents, differences, putBack } from "./stores.ts";
import { ask, calmQuota, ledgerState, makeWorld } from "./world.ts";
import type { World } from "./world.ts";

const SOAK = env.TEST_SOAK === "true";
/** Of each of more than seventy operations. */
const REQUESTS = SOAK ? 400 : 5;
const HOUR = 3_600_000;

let world: World;
/** As it stands before each request. */
let ledger: string;

beforeAll(async () => {
  world = await makeWorld();
  ledger = await ledgerState();
  // Tens of thousands of lines that nobody reads.
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => undefined);
  return () => vi.restoreAllMocks();
});

/** What changed, where nothing may have: by whoever reads, and by a request that was refused. */
async function changes({ body }: Reply): Promise<string[]> {
  const after = await ledgerState();
  // A statement that SQLite refuses was looked at all the same: the answer says that it counts.
  const uses = body["counted"] === true ? ["admissions", "counters", "billing_periods"] : [];
  const rows = differences(world.contents, await contents(), uses);
  return after === ledger ? rows : [...rows, `- ledger ${ledger}`, `+ ledger ${after}`];
}

async function putAllBack(): Promise<void> {
  if (ledger !== (await ledgerState())) {
    await calmQuota();
    ledger = await ledgerState();
  }
  await putBack(world.contents);
}

/** What is wrong with the answer to one request. */
async function faults(operation: Operation, sent: Sent): Promise<string[]> {
  const answer = await ask(world, operation.method, sent);
  const wrong = unpromised(operation, answer);
  if (answer.status < 400) wrong.push(...forbidden(operation, sent).map((why) => `${answer.status} to what the document forbids: ${why}`));
  if (answer.status >= 400 || operation.method === "GET") wrong.push(...(await changes(answer)));
  if (answer.status < 400 ? operation.method !== "GET" : answer.body["counted"] === true) await putAllBack();
  return wrong;
}

test(
  "every operation answers as the document says, in time, and a refused request changes nothing",
  async () => {
    const failures: string[] = [];
    for (const operation of await operations()) {
      const property = fc.asyncProperty(requests(operation, world.names), async (sent) => {
        const wrong = await faults(operation, sent);
        if (wrong.length > 0) throw new Error(wrong.join("\n"));
      });
      const result = await fc.check(property, { numRuns: REQUESTS });
      if (!result.failed) continue;
      const report = fc.defaultReportMessage(result) ?? "";
      failures.push(`${nameOf(operation)}\n${report.replaceAll(world.key, "<key>").replaceAll(ADMIN_TOKEN, "<token>")}`);
      await putAllBack();
    }
    expect(failures.join("\n\n")).toBe("");
  },
  SOAK ? HOUR : 120_000,
);
