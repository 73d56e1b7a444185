/** The one answer to "which book is this?", whatever list or request asks. No I/O, no clock. */
import { authorOnShelf, isAuthorShelf, someAuthors, withCompany } from "./authors.ts";
import { dateOf, dateWithin, makeBook } from "./book.ts";
import type { Book } from "./book.ts";
import { CURATED } from "./curated.ts";
import { mix } from "./hash.ts";
import { monthOnShelf, releasesIn } from "./releases.ts";
import type { World } from "./settings.ts";
import { placeOf } from "./shelf.ts";

/** By ISBN, two in a hundred (a setting) are unknown; books that some list names never are. */
const looseBook = (stem: number, world: World): Book | undefined =>
  mix(stem, 40) % 10_000 < world.unknown_percent * 100 ? undefined : makeBook(stem, someAuthors(stem), dateOf(stem));

export const findBook = (stem: number, world: World): Book | undefined => {
  const real = CURATED.get(stem);
  if (real !== undefined) return real;
  const at = placeOf(stem);
  if (at === undefined) return looseBook(stem, world);
  const month = monthOnShelf(at.shelf);
  if (month !== undefined) {
    return at.place < releasesIn(month, world) ? makeBook(stem, someAuthors(stem), dateWithin(month, stem)) : looseBook(stem, world);
  }
  if (!isAuthorShelf(at.shelf)) return looseBook(stem, world);
  const author = authorOnShelf(at.shelf, world);
  if (author === undefined) return makeBook(stem, someAuthors(stem), dateOf(stem));
  return at.place < author.total ? bookBy(author.name, stem) : looseBook(stem, world);
};

/** As the author's own page lists it: with that name, also for names that no ISBN can carry. */
export const bookBy = (name: string, stem: number): Book => CURATED.get(stem) ?? makeBook(stem, withCompany(name, stem), dateOf(stem));
