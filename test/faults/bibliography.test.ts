import { simulator } from "../support/worker.ts";
import { bibliography } from "./cells/bibliography.ts";
import { faultMatrix } from "./harness/index.ts";
import { tell } from "./words.ts";

const MEMBERS = {
  enriched: "enriched",
  already_existed: "known",
  failed: "failed",
  cached: "cached",
  complete: "complete",
  next_page: "is the next page",
};
/** More than there are cells. */
const AUTHORS = 120;
const nameOf = (n: number): string => `Author Number ${n}`;

faultMatrix({
  table: bibliography,
  prepare: async () => {
    const authors = Object.fromEntries(Array.from({ length: AUTHORS }, (_, n) => [nameOf(n), 2]));
    await simulator.control("PUT", "/settings", { authors });
  },
  use: async (n, { ask }) => tell(await ask("POST", "/api/authors/enrich-bibliography", { author_name: nameOf(n), page_size: 1 }), MEMBERS),
});
