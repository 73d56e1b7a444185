/** Books published in a month. No I/O, no clock. */
import { dateWithin, subjectsOf } from "./book.ts";
import { mix } from "./hash.ts";
import type { Dates } from "./query.ts";
import type { World } from "./settings.ts";
import { MAX_RESULTS, SHELVES, isOn, stemAt } from "./shelf.ts";

const FIRST_YEAR = 1800;
const LAST_YEAR = 2199;

const monthAt = (index: number): string => `${FIRST_YEAR + Math.floor(index / 12)}-${String(1 + (index % 12)).padStart(2, "0")}`;

/** The shelf number is the number of months since January 1800. */
const indexOf = (month: string): number => (Number(month.slice(0, 4)) - FIRST_YEAR) * 12 + Number(month.slice(5, 7)) - 1;
const shelfOfMonth = (month: string): number => SHELVES.months.first + indexOf(month);

const MONTHS = Array.from({ length: (LAST_YEAR - FIRST_YEAR + 1) * 12 }, (_, index) => monthAt(index));

export const monthOnShelf = (shelf: number): string | undefined =>
  isOn(SHELVES.months, shelf) ? MONTHS[shelf - SHELVES.months.first] : undefined;

/** Number of books in a month. By default one to three pages of 1,000. */
export const releasesIn = (month: string, world: World): number => world.releases[month] ?? 300 + (mix(shelfOfMonth(month), 30) % 2_200);

const stemsOfMonth = (month: string, world: World): number[] =>
  Array.from({ length: Math.min(releasesIn(month, world), MAX_RESULTS) }, (_, place) => stemAt(shelfOfMonth(month), place));

/** Books published in a range. The total includes books that paging cannot reach. */
export const published = ({ from, to }: Dates, subject: string | undefined, world: World): { total: number; stems: number[] } => {
  const result: { total: number; stems: number[] } = { total: 0, stems: [] };
  for (const month of MONTHS.filter((each) => each >= from.slice(0, 7) && each <= to.slice(0, 7))) {
    const isWholeMonth = from <= `${month}-01` && to >= `${month}-28`;
    const stems = stemsOfMonth(month, world).filter((stem) => {
      const day = dateWithin(month, stem);
      return day >= from && day <= to && (subject === undefined || hasSubject(stem, subject));
    });
    result.total += isWholeMonth && subject === undefined ? releasesIn(month, world) : stems.length;
    for (const stem of stems.slice(0, MAX_RESULTS - result.stems.length)) result.stems.push(stem);
  }
  return result;
};

const hasSubject = (stem: number, part: string): boolean =>
  subjectsOf(stem).some((subject) => subject.toLowerCase().includes(part.toLowerCase()));
