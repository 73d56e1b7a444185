/** Checkpoints: every author of every harvest is done once, with as many books as the catalog has. */
import type { HarvestRun } from "../around/harvests.ts";
import type { World } from "../world.ts";
import { Comparison, total } from "./compare.ts";

export async function harvestBooks(world: World): Promise<{ discrepancies: string[]; figures: Record<string, number> }> {
  const books = new Comparison();
  for (const [place, run] of world.harvests.runs.entries()) await compare(world, books, `harvest ${place}`, run);
  const done = world.harvests.runs.map(({ saved }) => saved.totals);
  const figures = { authors: total(done.map(({ authors }) => authors)), books: total(done.map((each) => each.books)) };
  return { discrepancies: books.discrepancies, figures };
}

async function compare({ storm }: World, books: Comparison, name: string, run: HarvestRun): Promise<void> {
  const { names, saved, output } = run;
  const { settled, processed, failed, unfinished, totals } = saved;
  const all = names.length;
  books.same(
    name,
    { settled, processed, failed, unfinished, authors: totals.authors },
    { settled: all, processed: all, failed: [], unfinished: null, authors: all },
  );
  const reported = [...output.matchAll(/^\[\d+\/\d+\] ([^:\n]+): (?!failed)/gmu)].map((match) => match[1] ?? "");
  books.none(
    `${name}: authors that were done twice`,
    reported.filter((author, place) => reported.indexOf(author) !== place),
  );
  books.none(
    `${name}: authors that are not its own`,
    reported.filter((author) => !names.includes(author)),
  );

  const known = names.filter((author) => !author.startsWith("Nobody"));
  const found = await Promise.all(
    known.map(async (author_name) => {
      // The author's bibliography is complete, so this request is free.
      const { body } = await storm.insist("look again", {
        method: "POST",
        path: "/api/authors/enrich-bibliography",
        body: { author_name, max_pages: 1 },
      });
      return { author_name, cached: body["cached"], books: Number(body["books_found"]) };
    }),
  );
  books.none(
    `${name}: authors that are not complete`,
    found.filter(({ cached }) => cached !== true),
  );
  books.same(`${name}: books`, totals.books, total(found.map((each) => each.books)));
}
