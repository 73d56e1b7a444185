/** Authors and their books. No I/O, no clock. */
import { CURATED } from "./curated.ts";
import { mix, mixText, pick } from "./hash.ts";
import type { World } from "./settings.ts";
import { MAX_RESULTS, SHELVES, isOn, stemAt } from "./shelf.ts";
import { FIRST_NAMES, LAST_NAMES } from "./vocabulary.ts";

export interface Author {
  name: string;
  shelf: number;
  /** 0: unknown to the provider. May exceed the results that paging can reach. */
  total: number;
}

const keyOf = (name: string): string => name.normalize("NFC").trim().replaceAll(/\s+/g, " ").toLowerCase();

const curatedStems = new Map<string, number[]>();
for (const [stem, book] of CURATED) {
  for (const name of book.authors) curatedStems.set(name, [...(curatedStems.get(name) ?? []), stem]);
}
const CURATED_NAMES = [...curatedStems.keys()].toSorted();

const poolName = (index: number): string =>
  `${pick(FIRST_NAMES, Math.floor(index / LAST_NAMES.length))} ${pick(LAST_NAMES, index % LAST_NAMES.length)}`;
const POOL_NAMES = Array.from({ length: SHELVES.pool.count }, (_, index) => poolName(index));

const knownByKey = new Map<string, { name: string; shelf: number }>();
POOL_NAMES.forEach((name, index) => knownByKey.set(keyOf(name), { name, shelf: SHELVES.pool.first + index }));
CURATED_NAMES.forEach((name, index) => knownByKey.set(keyOf(name), { name, shelf: SHELVES.curatedAuthors.first + index }));

/** Most authors have up to 60 books. One in fifty has up to 4,000. */
const naturalTotal = (shelf: number): number => {
  const seed = mix(shelf, 20);
  return seed % 50 === 0 ? 61 + ((seed >>> 8) % 3_940) : 1 + ((seed >>> 8) % 60);
};

const overrideFor = (key: string, world: World): number | undefined => {
  const found = Object.entries(world.authors).find(([name]) => keyOf(name) === key);
  return found?.[1];
};

/** Names with this prefix are unknown to the provider. All other names have books. */
const UNKNOWN_PREFIX = "nobody";

export const authorNamed = (written: string, world: World): Author => {
  const key = keyOf(written);
  const { name, shelf } = knownByKey.get(key) ?? {
    name: written.trim().replaceAll(/\s+/g, " "),
    shelf: SHELVES.otherAuthors.first + (mixText(key) % SHELVES.otherAuthors.count),
  };
  const natural = key.startsWith(UNKNOWN_PREFIX) ? 0 : Math.max(naturalTotal(shelf), curatedStems.get(name)?.length ?? 0);
  return { name, shelf, total: overrideFor(key, world) ?? natural };
};

export const isAuthorShelf = (shelf: number): boolean =>
  isOn(SHELVES.pool, shelf) || isOn(SHELVES.curatedAuthors, shelf) || isOn(SHELVES.otherAuthors, shelf);

/** Author of a shelf. A name outside the pool is only found if a setting contains it. */
export const authorOnShelf = (shelf: number, world: World): Author | undefined => {
  if (isOn(SHELVES.pool, shelf)) return authorNamed(pick(POOL_NAMES, shelf - SHELVES.pool.first), world);
  const curated = CURATED_NAMES[shelf - SHELVES.curatedAuthors.first];
  if (curated !== undefined) return authorNamed(curated, world);
  return Object.keys(world.authors)
    .map((name) => authorNamed(name, world))
    .find((author) => author.shelf === shelf);
};

/** Stems of the author's books. Real books come before generated ones. */
export const stemsOfAuthor = ({ name, shelf, total }: Author): number[] => {
  const real = curatedStems.get(name) ?? [];
  return Array.from({ length: Math.min(total, MAX_RESULTS) }, (_, place) => real[place] ?? stemAt(shelf, place));
};

/** One to three authors of the pool, for a book that is not on an author's page. */
export const someAuthors = (stem: number): string[] => {
  const count = 1 + (mix(stem, 21) % 3);
  return [...new Set(Array.from({ length: count }, (_, index) => pick(POOL_NAMES, mix(stem, 22 + index))))];
};

/** The author, with a coauthor on every third book. */
export const withCoauthor = (name: string, stem: number): string[] =>
  mix(stem, 25) % 3 === 0 ? [...new Set([name, pick(POOL_NAMES, mix(stem, 26))])] : [name];
