/** How many books a month brought, and which. No I/O, no clock. */
import { mix } from "./hash.ts";
import type { World } from "./settings.ts";
import { MAX_RESULTS, SHELVES, isOn, stemAt } from "./shelf.ts";

export const FIRST_YEAR = 1800;
export const LAST_YEAR = 2199;

/** Months since January 1800 make the number of the shelf. */
const shelfOfMonth = (month: string): number =>
  SHELVES.months.first + (Number(month.slice(0, 4)) - FIRST_YEAR) * 12 + Number(month.slice(5, 7)) - 1;

export const monthOnShelf = (shelf: number): string | undefined => {
  const index = shelf - SHELVES.months.first;
  const year = FIRST_YEAR + Math.floor(index / 12);
  return isOn(SHELVES.months, shelf) && year <= LAST_YEAR ? `${year}-${String(1 + (index % 12)).padStart(2, "0")}` : undefined;
};

/** One to three pages of a thousand, unless a setting says otherwise. */
export const releasesIn = (month: string, world: World): number => world.releases[month] ?? 300 + (mix(shelfOfMonth(month), 30) % 2_200);

export const stemsOfMonth = (month: string, world: World): number[] =>
  Array.from({ length: Math.min(releasesIn(month, world), MAX_RESULTS) }, (_, place) => stemAt(shelfOfMonth(month), place));
