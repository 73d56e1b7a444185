/** Finds the book of an ISBN. All lists and requests use it, so that they agree. No I/O, no clock. */
import { authorOnShelf, isAuthorShelf, someAuthors, withCoauthor } from "./authors.ts";
import { dateOf, dateWithin, makeBook } from "./book.ts";
import type { Book } from "./book.ts";
import { CURATED } from "./curated.ts";
import { mix } from "./hash.ts";
import { monthOnShelf, releasesIn } from "./releases.ts";
import type { World } from "./settings.ts";
import { placeOf } from "./shelf.ts";

/** A book outside all lists. Two percent of them (a setting) are unknown. */
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

/** Book as on the page of the author. It has this author even if the ISBN does not determine the name. */
export const bookBy = (name: string, stem: number): Book => CURATED.get(stem) ?? makeBook(stem, withCoauthor(name, stem), dateOf(stem));
