/** Clients that request books: in batches, by author, by month. The ledger must contain the calls in their responses. */
import { isbns } from "../../../../../scripts/bench/product.ts";
import type { Random } from "../random.ts";
import type { Answer, Question } from "../storm.ts";
import type { TenantName } from "../tenants.ts";
import type { World } from "../world.ts";
import { metered } from "./metered.ts";

/** Few enough authors and ISBNs that clients request some again, so that the catalog is used too. */
const AUTHORS = 400;
const ISBNS = 20_000;
const FIRST_MONTH_OF = 2_020;

const WHO: readonly (readonly [TenantName | "admin", number])[] = [
  ["admin", 35],
  ["readers", 25],
  ["share", 20],
  ["tight", 8],
  ["thrifty", 8],
  ["stopped", 2],
  ["toggled", 5],
];

export async function spend(world: World, random: Random): Promise<void> {
  const { storm, tenants } = world;
  const [kind, path, body] = wanted(random);
  const who = random.weighted(WHO);
  const question: Question = { method: "POST", path, body };
  const answer =
    who === "admin"
      ? await storm.ask(kind, question)
      : await metered(storm, { tenant: tenants[who], meter: "function_invocations_per_day", kind }, question);
  const caller = who === "admin" ? kind : `project:${who}`;
  if (answer !== null) storm.journal.count(`reported ${caller}`, reportedCalls(answer));
  else storm.journal.count(`unreported ${caller}`);
}

/** Calls charged according to a response. */
function reportedCalls({ body }: Answer): number {
  const calls = body["api_calls"] ?? body["calls_charged"] ?? 0;
  return typeof calls === "number" ? calls : 0;
}

function wanted(random: Random): readonly [kind: string, path: string, body: object] {
  switch (random.weighted([["batch", 5] as const, ["bibliography", 5] as const, ["releases", 1] as const])) {
    case "batch": {
      const some = isbns(random.whole(0, ISBNS), random.whole(1, 40));
      return ["enrich.batch", "/api/enrich/batch-direct", { isbns: some, refresh: random.chance(20) }];
    }
    case "bibliography": {
      const body = { author_name: `Storm Writer ${random.whole(1, AUTHORS)}`, max_pages: random.whole(1, 3), refresh: random.chance(30) };
      return ["enrich.bibliography", "/api/authors/enrich-bibliography", body];
    }
    case "releases": {
      const month = `${FIRST_MONTH_OF + random.whole(0, 5)}-${String(random.whole(1, 12)).padStart(2, "0")}`;
      const body = { start_month: month, end_month: month, max_pages_per_month: 2 };
      return ["enrich.new-releases", "/api/books/enrich-new-releases", body];
    }
  }
}
