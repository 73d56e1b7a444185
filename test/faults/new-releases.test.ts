import { simulator } from "../support/worker.ts";
import { newReleases } from "./cells/new-releases.ts";
import { faultMatrix } from "./harness/index.ts";
import { tell } from "./words.ts";

const MEMBERS = { newly_enriched: "enriched", already_existed: "known", failed: "failed", complete: "complete", resume: "with a cursor" };

const FIRST_YEAR = 1900;
const YEARS = 100;

/** January and February of a year of the cell's own, and where its last use stopped. */
const asked = (n: number) => ({ start_month: `${FIRST_YEAR + n}-01`, end_month: `${FIRST_YEAR + n}-02` });
const cursors = new Map<number, string>();

faultMatrix({
  table: newReleases,
  prepare: async () => {
    const years = Array.from({ length: YEARS }, (_, n) => [
      [`${FIRST_YEAR + n}-01`, 1],
      [`${FIRST_YEAR + n}-02`, 1],
    ]);
    await simulator.control("PUT", "/settings", { releases: Object.fromEntries(years.flat()) });
  },
  use: async (n, { ask }) => {
    const resume = cursors.get(n);
    const reply = await ask("POST", "/api/books/enrich-new-releases", { ...asked(n), ...(resume === undefined ? {} : { resume }) });
    if (typeof reply.body["resume"] === "string") cursors.set(n, reply.body["resume"]);
    return tell(reply, MEMBERS);
  },
});
