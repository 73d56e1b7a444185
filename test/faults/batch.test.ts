import { isbnNumber } from "../support/worker.ts";
import { batch } from "./cells/batch.ts";
import { faultMatrix } from "./harness/index.ts";
import { tell } from "./words.ts";

const MEMBERS = { enriched: "enriched", cached: "cached", not_found: "not found", failed: "failed" };

faultMatrix({
  table: batch,
  use: async (n, { ask }) => tell(await ask("POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(n)] }), MEMBERS),
});
