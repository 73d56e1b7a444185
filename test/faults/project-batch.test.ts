import { isbnNumber } from "../support/worker.ts";
import { organization, tenant } from "../tenants/key-support.ts";
import { projectBatch } from "./cells/project-batch.ts";
import { numberOf } from "./harness/untrapped.ts";
import { faultMatrix } from "./harness/index.ts";
import { tell } from "./words.ts";

const MEMBERS = { enriched: "enriched", cached: "cached", not_found: "not found", failed: "failed" };
const COUNTED = "SELECT used FROM counters WHERE project_id = 'shop' AND meter = 'function_invocations_per_day'";
const BILLED = "SELECT sum(api_calls) FROM billing_periods WHERE organization_id = 'acme'";

let token = "";

faultMatrix({
  table: projectBatch,
  prepare: async () => {
    await organization("acme");
    token = (await tenant("shop", "acme")).key;
  },
  use: async (n, { ask }) => {
    const before = await numberOf(COUNTED);
    const reply = await ask("POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(n)] }, { token });
    const counted = (await numberOf(COUNTED)) - before;
    if ((await numberOf(BILLED)) !== (await numberOf(COUNTED))) return "project and organisation were counted apart";
    return `${tell(reply, MEMBERS)}; ${counted === 0 ? "no use" : `${counted} use`} counted`;
  },
});
