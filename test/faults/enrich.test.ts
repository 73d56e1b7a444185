/** Requests with the admin token that spend the provider's calls. */
import { isbnNumber, simulator } from "../support/worker.ts";
import { batch } from "./cells/batch.ts";
import { bibliography } from "./cells/bibliography.ts";
import { newReleases } from "./cells/new-releases.ts";
import { faultMatrix } from "./harness/index.ts";
import { resultOf } from "./words.ts";

const OF_BATCH = { enriched: "enriched", cached: "cached", not_found: "not found", failed: "failed" };

faultMatrix({
  table: batch,
  use: async (n, { send }) => resultOf(await send("POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(n)] }), OF_BATCH),
});

const OF_BIBLIOGRAPHY = {
  enriched: "enriched",
  already_existed: "known",
  failed: "failed",
  cached: "cached",
  complete: "complete",
  next_page: "next page #",
};
/** More than the number of cells. */
const AUTHORS = 120;
const nameOf = (n: number): string => `Author Number ${n}`;

faultMatrix({
  table: bibliography,
  prepare: async () => {
    const authors = Object.fromEntries(Array.from({ length: AUTHORS }, (_, n) => [nameOf(n), 2]));
    await simulator.control("PUT", "/settings", { authors });
  },
  use: async (n, { send }) =>
    resultOf(await send("POST", "/api/authors/enrich-bibliography", { author_name: nameOf(n), page_size: 1 }), OF_BIBLIOGRAPHY),
});

const OF_RELEASES = {
  newly_enriched: "enriched",
  already_existed: "known",
  failed: "failed",
  complete: "complete",
  resume: "with a cursor",
};

const FIRST_YEAR = 1900;
const YEARS = 100;

/** January and February of the cell's own year. */
const monthsOf = (n: number) => ({ start_month: `${FIRST_YEAR + n}-01`, end_month: `${FIRST_YEAR + n}-02` });
/** Cursor of each cell's last use. */
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
  use: async (n, { send }) => {
    const resume = cursors.get(n);
    const reply = await send("POST", "/api/books/enrich-new-releases", { ...monthsOf(n), ...(resume === undefined ? {} : { resume }) });
    if (typeof reply.body["resume"] === "string") cursors.set(n, reply.body["resume"]);
    return resultOf(reply, OF_RELEASES);
  },
});
