import { isbnNumber } from "../support/worker.ts";
import { organization, tenant } from "../support/tenants/keys.ts";
import { projectBatch } from "./cells/project-batch.ts";
import { workerDies } from "./cells/worker-dies.ts";
import { numberOf } from "./harness/stores.ts";
import { faultMatrix } from "./harness/index.ts";
import type { Reply, World } from "./harness/index.ts";
import { resultOf } from "./words.ts";

const MEMBERS = { enriched: "enriched", cached: "cached", not_found: "not found", failed: "failed" };
const COUNTED = "SELECT used FROM counters WHERE project_id = 'shop' AND meter = 'function_invocations_per_day'";
const BILLED = "SELECT sum(api_calls) FROM billing_periods WHERE organization_id = 'acme'";

let token = "";

async function prepare(): Promise<void> {
  await organization("acme");
  token = (await tenant("shop", "acme")).key;
}

/** Uses counted since `before`. */
async function countedSince(before: number): Promise<string> {
  const [counted, billed] = [await numberOf(COUNTED), await numberOf(BILLED)];
  if (counted !== billed) return "the counts of project and organization differ";
  return `${counted === before ? "no use" : `${counted - before} use`} counted`;
}

const enrich = async (n: number, { send }: World): Promise<Reply> =>
  send("POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(n)] }, { token });

faultMatrix({
  table: projectBatch,
  prepare,
  use: async (n, world) => {
    const before = await numberOf(COUNTED);
    return `${resultOf(await enrich(n, world), MEMBERS)}, ${await countedSince(before)}`;
  },
});

let before = 0;

faultMatrix({
  table: workerDies,
  prepare,
  arrange: async () => {
    before = await numberOf(COUNTED);
  },
  use: async (n, world) => {
    const started = await numberOf(COUNTED);
    return `${resultOf(await enrich(n, world), MEMBERS)}, ${await countedSince(started)}`;
  },
  whenStopped: async () => `no answer, ${await countedSince(before)}`,
});
